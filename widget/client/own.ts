/** Recognises the echo of this page's own requests: a secret goes out with the request, its hash comes back as `cause`. */
import type { World } from '../../adapters/contract.js';
import { CAUSE_HEADER } from '../../adapters/protocol.js';

/** How long an echo waits for its request to settle, in milliseconds; then it counts as somebody else's change. */
export const LONGEST_HOLD = 10_000;
/** Requests that are remembered: an echo comes within moments, and a replay after a cut within minutes. */
const MAX_OWN = 200;

export interface OwnChanges {
  /** The browser's `fetch` with the mark, for requests to the page's or the server's own origin only. */
  readonly fetch: (input: RequestInfo | URL, init?: RequestInit) => Promise<Response>;
  /** Of a request of this page: whether it succeeded, at most 10 s from now. Of anything else: `undefined`. */
  settled(cause: string | undefined): Promise<boolean> | undefined;
}

export function createOwnChanges(world: World, base: string): OwnChanges {
  const own = new Map<string, Promise<boolean>>();

  return {
    async fetch(input, init) {
      const address = typeof input === 'object' && 'url' in input ? input.url : String(input);
      // Without a secure context there is no digest: the echo then runs, which is safe.
      if (!globalThis.crypto?.subtle || !isOurs(address, base)) return world.fetch(input, init);
      const secret = hex(crypto.getRandomValues(new Uint8Array(16)));
      const cause = hex(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(secret))));
      const headers = new Headers(
        init?.headers ?? (typeof input === 'object' && 'headers' in input ? input.headers : undefined),
      );
      headers.set(CAUSE_HEADER, secret);
      const answer = world.fetch(input, { ...init, headers });
      // Known before the request leaves: the echo may overtake the answer.
      own.set(
        cause,
        answer.then(
          (response) => response.ok,
          () => false,
        ),
      );
      const [oldest] = own.keys();
      if (own.size > MAX_OWN && oldest) own.delete(oldest);
      return answer;
    },
    settled(cause) {
      const answer = own.get(cause ?? '');
      return (
        answer &&
        new Promise((resolve) => {
          const timer = world.setTimeout(() => resolve(false), LONGEST_HOLD);
          answer.then((succeeded) => {
            world.clearTimeout(timer);
            resolve(succeeded);
          });
        })
      );
    },
  };
}

/** Whether an address is of the page's own origin, or of the server that we listen to; the secret goes nowhere else. */
function isOurs(address: string, base: string): boolean {
  try {
    const page = globalThis.location?.href;
    const { origin } = new URL(address, page);
    return origin === new URL(base, page).origin || (page !== undefined && origin === new URL(page).origin);
  } catch {
    return false;
  }
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
