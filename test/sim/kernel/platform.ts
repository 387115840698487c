/**
 * What a browser and Node give, in a form that costs little: the same behaviour for what the shipped code uses of it, a
 * tenth of the time. A history makes hundreds of abort signals, headers and keyed hashes.
 */
import { type Hmac, createHmac as nativeHmac } from 'node:crypto';

export * from 'node:crypto';

interface Listener {
  readonly run: () => void;
  readonly once: boolean;
}

class LightSignal {
  aborted = false;
  reason: unknown;
  onabort: (() => void) | null = null;
  readonly listeners: Set<Listener> = new Set();

  addEventListener(_type: 'abort', run: () => void, options: { once?: boolean; signal?: LightSignal } = {}): void {
    const { signal } = options;
    if (signal?.aborted) return;
    const listener = { run, once: options.once === true };
    this.listeners.add(listener);
    signal?.addEventListener('abort', () => this.listeners.delete(listener));
  }

  removeEventListener(_type: 'abort', run: () => void): void {
    for (const listener of this.listeners) if (listener.run === run) this.listeners.delete(listener);
  }

  throwIfAborted(): void {
    if (this.aborted) throw this.reason;
  }
}

class LightController {
  readonly signal: LightSignal = new LightSignal();

  abort(reason: unknown = ABORTED): void {
    const { signal } = this;
    if (signal.aborted) return;
    signal.aborted = true;
    signal.reason = reason;
    signal.onabort?.();
    for (const listener of [...signal.listeners]) {
      // One that another one has taken away is not called any more.
      if (!signal.listeners.has(listener)) continue;
      if (listener.once) signal.listeners.delete(listener);
      listener.run();
    }
  }
}

const ABORTED = Object.assign(new Error('This operation was aborted'), { name: 'AbortError' });

class LightHeaders {
  readonly values: Map<string, string> = new Map();

  constructor(given: Readonly<Record<string, string>> = {}) {
    for (const [name, value] of Object.entries(given)) this.set(name, value);
  }

  get(name: string): string | null {
    return this.values.get(name.toLowerCase()) ?? null;
  }

  set(name: string, value: string): void {
    this.values.set(name.toLowerCase(), value);
  }
}

/** Puts the light forms in the place of the platform's, for good. */
export function takePlatform(): void {
  Object.assign(globalThis, { AbortController: LightController, AbortSignal: LightSignal, Headers: LightHeaders });
}

/** Keyed hashes that were made: those of users come again in every history. */
const hashes = new Map<string, Buffer>();
const MOST_HASHES = 5_000;

/** `createHmac` of Node, for one `update` with text; the same input is not hashed twice. */
export function createHmac(algorithm: string, secret: string): Hmac {
  let text = '';
  const hmac = {
    update(more: string) {
      text += more;
      return hmac;
    },
    digest(encoding?: BufferEncoding) {
      const key = `${secret}\0${text}`;
      let hash = hashes.get(key);
      if (!hash) {
        if (hashes.size >= MOST_HASHES) hashes.clear();
        hash = nativeHmac(algorithm, secret).update(text).digest();
        hashes.set(key, hash);
      }
      return encoding ? hash.toString(encoding) : Buffer.from(hash);
    },
  };
  return hmac as unknown as Hmac;
}
