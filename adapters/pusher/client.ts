/**
 * The client half of the Pusher adapter: the one connection of a page. Sockets come and go behind it, each opened after a
 * wait that grows with every failure; what a socket holds is the business of its session. The SDK `pusher-js` is loaded
 * with the first connection.
 */
import { ListenError } from '../errors.js';
import type { ProviderClientAdapter, ProviderConnection, ProviderHost, ProviderInterest } from '../provider.js';
import type { PusherPublicSettings } from './details.js';
import type { Session } from './session.js';
import type { PusherClass } from './socket.js';

/**
 * Bounds of the wait before the next socket, in milliseconds: after a cut, with full jitter. The page listens over SSE
 * meanwhile, and returns within this and the 5 to 10 s that it takes the core to trust a provider again.
 */
const CUT = { min: 1_000, max: 15_000 };
/** After a refusal (quota, unknown key, no WebSocket): a person must act, so it may take longer. */
const REFUSED = { min: 2_000, max: 300_000 };
/** A socket that carried for so long was no failure, in milliseconds: the waits begin again with the shortest. */
const STABLE = 10_000;
/** Pusher has no limit of channels on one connection; this keeps one request to `/auth` and its answer in bounds. */
const CHANNELS = 1_000;

/**
 * The client half. Listed in `adapters` of the client or the provider component, it is used when the server says so:
 *
 * ```tsx
 * <ListenProvider url="/notify-listen" adapters={[pusher()]}>
 * ```
 */
export function pusher(): ProviderClientAdapter {
  return { name: 'pusher', capabilities: { fansOut: 'provider', channels: CHANNELS }, connect };
}

/** What a page downloads only when it connects: the SDK, and the larger part of this half. */
async function load() {
  try {
    const [{ createSession }, { openSocket }, sdk] = await Promise.all([
      import('./session.js'),
      import('./socket.js'),
      import('pusher-js'),
    ]);
    // The SDK is CommonJS, and describes itself as a module: `default` is the class, or holds it.
    const { default: loaded } = sdk as unknown as { default: PusherClass | { default: PusherClass } };
    const Pusher = 'default' in loaded ? loaded.default : loaded;
    // A bundler may have put an empty stand-in for an optional peer that is not installed.
    if (typeof Pusher !== 'function') throw new TypeError('"pusher-js" holds no class');
    return { createSession, openSocket, Pusher };
  } catch (cause) {
    // Retried: the file of a page that was deployed anew is there again after the next build.
    throw new ListenError('unavailable', 'pusher: "pusher-js" could not be loaded; it needs npm install pusher-js', {
      cause,
    });
  }
}

function connect(core: ProviderHost): ProviderConnection {
  const { world, config } = core;
  let closed = false;
  let session: Session | undefined;
  let interest: ProviderInterest | undefined;
  let timer: unknown;
  let failures = 0;
  /** When the present socket began to carry, on the monotonic clock. */
  let since: number | undefined;

  /** What the core does wrong with a call must not reach pusher-js, which would stop handling its own events. */
  function tell(call: () => void): void {
    if (closed) return;
    try {
      call();
    } catch (error) {
      world.setTimeout(() => {
        throw error;
      }, 0);
    }
  }

  const host: ProviderHost = {
    ...core,
    attached(set) {
      since ??= world.monotonic();
      tell(() => core.attached(set));
    },
    missed: () => tell(() => core.missed()),
    message: (data) => tell(() => core.message(data)),
    down: (error) => tell(() => core.down(error)),
  };

  async function start(): Promise<void> {
    try {
      const { createSession, openSocket, Pusher } = await load();
      if (closed) return;
      const settings = config.settings as Partial<PusherPublicSettings>;
      if (typeof settings.key !== 'string') throw new ListenError('protocol', 'pusher: /config names no key');
      session = createSession(
        host,
        (events) => openSocket(Pusher, settings as PusherPublicSettings, world, events),
        ended,
      );
      if (interest) session.update(interest);
    } catch (cause) {
      ended(cause instanceof ListenError ? cause : new ListenError('unavailable', 'pusher: no socket', { cause }));
    }
  }

  function ended(error: ListenError): void {
    if (closed) return;
    session = undefined;
    if (since !== undefined && world.monotonic() - since >= STABLE) failures = 0;
    since = undefined;
    const cut = error.code === 'network';
    const { min, max } = cut ? CUT : REFUSED;
    const most = Math.min(max, min * 2 ** Math.min(failures++, 30));
    // A refusal waits at least half of it: Pusher asks for a second or more.
    const wait = cut ? world.random() * most : (0.5 + world.random() / 2) * most;
    timer = world.setTimeout(() => void start(), wait);
    host.down(error);
  }

  // Nothing may come back before this function returned.
  void Promise.resolve().then(() => (closed ? undefined : start()));

  return {
    update(newest) {
      interest = newest;
      session?.update(newest);
    },
    close() {
      closed = true;
      world.clearTimeout(timer);
      session?.close();
      session = undefined;
    },
  };
}
