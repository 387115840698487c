/**
 * One socket at Pusher: one instance of pusher-js, used for one connection only. pusher-js would connect again by itself,
 * at once or each second, without jitter, and stops for good at some codes; here every end is the end, and whoever opened
 * the socket decides when to open another.
 */
import type { World } from '../contract.js';
import { ListenError } from '../errors.js';
import type { PusherPublicSettings } from './details.js';

/** How long connecting may take, in milliseconds, handshake included. */
const CONNECT_LIMIT = 10_000;
/**
 * After so much silence pusher-js asks whether the other end is there, and so long it waits for the answer: a dead socket
 * is found within 40 s, where the defaults would take 150 s. Pings are not counted as messages.
 */
const ACTIVITY_TIMEOUT = 30_000;
const PONG_TIMEOUT = 10_000;

type Handler<Data> = (error: Error | null, data: Data | null) => void;
export interface UserSignature {
  readonly auth: string;
  readonly user_data: string;
}

interface Emitter {
  bind(event: string, handler: (data: never) => void): unknown;
  unbind_all(): unknown;
}

/** What is used of an instance of pusher-js. */
interface Instance {
  readonly connection: Emitter & { readonly state: string; readonly socket_id: string; connect(): void };
  /** The instance's own record of what happened, errors of its transport among them. */
  readonly timeline: { error(event: unknown): void };
  subscribe(name: string): ChannelEmitter;
  unsubscribe(name: string): void;
  signin(): void;
  disconnect(): void;
}

interface ChannelEmitter extends Emitter {
  bind_global(handler: (event: string, data: unknown) => void): unknown;
}

/** What is used of pusher-js. */
export interface PusherClass {
  new (key: string, options: Readonly<Record<string, unknown>>): Instance;
  readonly instances: Instance[];
  readonly Runtime: {
    getNetwork(): {
      readonly callbacks: { get(event: string): readonly { readonly fn: () => void }[] | undefined };
      unbind(event: string, handler: () => void): unknown;
    };
  };
}

export interface SocketEvents {
  /** Connected; the id is that of the socket. */
  open(id: string): void;
  subscribed(name: string): void;
  message(data: unknown): void;
  /** It carries nothing any more. Once, and nothing comes after it. */
  over(error: ListenError): void;
}

export interface Socket {
  signIn(user: UserSignature): void;
  subscribe(name: string, auth: string): void;
  unsubscribe(name: string): void;
  /** Ends it. Nothing is told afterwards. */
  close(): void;
}

/**
 * An error as pusher-js tells it. `WebSocketError`: the connection has failed or was closed, with the error inside. Any
 * other is a word of a server whose connection goes on: a warning (43xx), or what it says to a message that it does not
 * know (Reverb answers signing in with 4200).
 */
interface Told {
  readonly type?: string;
  readonly data?: { readonly code?: number | null; readonly message?: string };
  readonly error?: Told;
}

const MEANING: Readonly<Record<number, string>> = {
  4000: 'it takes only encrypted connections: set PUSHER_SCHEME to https',
  4001: 'it knows no application of this key: compare PUSHER_KEY and PUSHER_CLUSTER',
  4003: 'the application is disabled',
  4004: 'the connections of the account are used up',
  4009: 'the connection was ended, or a signature is not taken: compare PUSHER_SECRET',
  4100: 'it is over its capacity',
};

/** What a close code means for the page. Nothing here is final: a quota, a key and an application can be mended. */
function errorOf(code: number | undefined, message: string | undefined, proven: boolean): ListenError {
  const text = `pusher: ${[code, (code !== undefined && MEANING[code]) || message].filter(Boolean).join(' ') || 'the connection was cut'}`;
  if (code === 4004 || code === 4100) return new ListenError('limit', text);
  // 4009 is how our own revocation ends a socket, 42xx asks to connect again: both as after a cut. On a socket of which
  // Pusher has not taken a signature yet, 4009 means that it does not take any.
  const refused = code !== undefined && code >= 4000 && code < 4200 && !(code === 4009 && proven);
  return new ListenError(refused ? 'unavailable' : 'network', text);
}

export function openSocket(
  Pusher: PusherClass,
  settings: PusherPublicSettings,
  world: World,
  events: SocketEvents,
): Socket {
  const { key, cluster = '', host, port, scheme } = settings;
  const signatures = new Map<string, string>();
  let user: UserSignature | undefined;
  let over = false;
  /** A signature was taken. */
  let proven = false;
  /** What was said last, for the sentence that tells why it ended. */
  let said: Told['data'];

  const network = Pusher.Runtime.getNetwork();
  const listening = (event: string) => (network.callbacks.get(event) ?? []).map(({ fn }) => fn);
  const before = new Set([...listening('online'), ...listening('offline')]);

  const pusher = new Pusher(key, {
    cluster,
    ...(host !== undefined && { wsHost: host }),
    ...(port !== undefined && { wsPort: port, wssPort: port }),
    forceTLS: scheme === 'https',
    // The fallback is our own SSE: no streaming of the vendor's, and nothing loaded from its CDN.
    enabledTransports: scheme === 'https' ? ['ws', 'wss'] : ['ws'],
    activityTimeout: ACTIVITY_TIMEOUT,
    pongTimeout: PONG_TIMEOUT,
    unavailableTimeout: CONNECT_LIMIT,
    channelAuthorization: {
      customHandler({ channelName }: { channelName: string }, answer: Handler<{ auth: string }>) {
        const auth = signatures.get(channelName);
        if (auth === undefined) answer(new Error(`no signature for ${channelName}`), null);
        else answer(null, { auth });
      },
    },
    userAuthentication: {
      customHandler(_socket: unknown, answer: Handler<UserSignature>) {
        if (user) answer(null, user);
        else answer(new Error('no signature for the user'), null);
      },
    },
  });
  const ours = ['online', 'offline'].map((event) => [event, listening(event).filter((fn) => !before.has(fn))] as const);
  const limit = world.setTimeout(
    () => end(new ListenError('network', `pusher: no answer within ${CONNECT_LIMIT} ms`)),
    CONNECT_LIMIT,
  );

  /** Leaves nothing of the instance behind: pusher-js itself keeps every one, with its listeners, for ever. */
  function dispose(): void {
    // After some codes it plans its next try twice, and disconnecting undoes only one of them.
    pusher.connection.connect = () => {};
    pusher.disconnect();
    pusher.connection.unbind_all();
    const at = Pusher.instances.indexOf(pusher);
    if (at >= 0) Pusher.instances.splice(at, 1);
    for (const [event, handlers] of ours) for (const handler of handlers) network.unbind(event, handler);
  }

  function close(): void {
    if (over) return;
    over = true;
    world.clearTimeout(limit);
    // Not at once: where pusher-js is about to plan its own next try, disconnecting before it has would not undo that.
    queueMicrotask(dispose);
  }

  function end(error: ListenError): void {
    if (over) return;
    close();
    events.over(error);
  }
  const cut = () => end(errorOf(said?.code ?? undefined, said?.message, proven));

  const { connection, timeline } = pusher;
  connection.bind('error', (told: Told) => {
    said = told.data ?? told.error?.data ?? said;
    if (told.type === 'WebSocketError') cut();
  });
  connection.bind('connecting_in', cut);
  connection.bind('state_change', ({ previous, current }: { previous: string; current: string }) => {
    if (over) return;
    if (current === 'connected') {
      world.clearTimeout(limit);
      events.open(connection.socket_id);
    } else if (current === 'failed') {
      end(new ListenError('unavailable', 'pusher: there is no WebSocket here'));
    } else if (current !== 'connecting' || previous === 'connected') cut();
  });
  // A socket that cannot be opened is told only here; without it that would be noticed by the limit.
  const record = timeline.error;
  timeline.error = (event) => {
    record.call(timeline, event);
    cut();
  };
  // It may have connected, or given up, while it was made.
  if (connection.state === 'failed') {
    queueMicrotask(() => end(new ListenError('unavailable', 'pusher: there is no WebSocket here')));
  }

  return {
    signIn(signature) {
      user = signature;
      if (!over) pusher.signin();
    },
    subscribe(name, auth) {
      if (over) return;
      signatures.set(name, auth);
      pusher.subscribe(name).bind_global((event, data) => {
        if (over || !signatures.has(name)) return;
        if (event === 'pusher:subscription_succeeded') {
          proven = true;
          events.subscribed(name);
        } else if (event === 'pusher:subscription_error') {
          const fix = 'compare PUSHER_SECRET on the server';
          end(
            new ListenError('unavailable', `pusher: the subscription of ${name} was refused; ${fix}`, { cause: data }),
          );
        } else if (!event.startsWith('pusher:')) events.message(data);
      });
    },
    unsubscribe(name) {
      if (over || !signatures.delete(name)) return;
      // A subscription that is not confirmed yet stays there until it is; it must not be listened to twice then.
      pusher.subscribe(name).unbind_all();
      pusher.unsubscribe(name);
    },
    close,
  };
}
