/**
 * The words of the protocol between a page and the server, in one place; `docs/protocol.md` tells what they mean and in
 * which order they come. No word of the protocol stands as a literal anywhere else.
 */
import type { Channel } from './channel.js';
import type { ErrorCode } from './errors.js';
import type { Position } from './position.js';

/** The version that this package speaks. The server serves this one and the one before. */
export const PROTOCOL_VERSION = 1;
/** The oldest version that the server still serves. */
export const OLDEST_PROTOCOL_VERSION = 1;

/** The header in which `client.fetch` sends the secret of a request, so that its own echo can be recognised. */
export const CAUSE_HEADER = 'notify-listen-cause';

/** `GET /config`: who is asking, and how to listen. */
export interface ConfigAnswer {
  readonly protocol: number;
  readonly epoch: string;
  /** The adapter that the server is configured for. */
  readonly provider: string;
  /** Its public settings. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** The keyed hash of the user, and of the login session where there is one. */
  readonly user: string;
  readonly session?: string;
  /** The same user under the other secrets in use: a page that knew one of them still has its user. */
  readonly aliases?: readonly string[];
  /** Milliseconds between heartbeats. */
  readonly heartbeat: number;
  /** Bounds of the wait before a reconnect, in milliseconds. */
  readonly retry: { readonly min: number; readonly max: number };
  /** How long the log keeps a notification, in milliseconds. */
  readonly retention: number;
}

/** `POST /auth`: may I listen to these? */
export interface AuthRequest {
  readonly protocol: number;
  readonly objects: readonly { readonly entity: string; readonly id?: string }[];
}

/** `retry`: the question could not be answered now, which is not a refusal. */
export type AuthResult = 'granted' | 'refused' | 'retry';

/** One result for each object of the request, in its order. */
export interface AuthAnswer {
  readonly epoch: string;
  readonly results: readonly AuthResult[];
  /** Present when anything was granted. Opaque to the page. */
  readonly grant?: string;
  /** The life of the grant from now on, in milliseconds. */
  readonly expiresIn: number;
}

/** `POST /auth` of a connection at a provider: may it hear the channels that these grants cover? */
export interface ProviderAuthRequest {
  readonly protocol: number;
  /** How the provider names the connection. */
  readonly connection: string;
  readonly grants: readonly string[];
  readonly channels: readonly Channel[];
}

export interface ProviderAuthAnswer {
  readonly epoch: string;
  /** Channels that the grants do not cover (any more). Everything else is covered by `details`. */
  readonly reauthorise: readonly Channel[];
  /** For the client half of the adapter. */
  readonly details: unknown;
  /** After how many milliseconds to ask again. */
  readonly renewIn: number;
}

/** `POST /stream`: read the log for these channels. */
export interface StreamRequest {
  readonly protocol: number;
  /** `stream`: an event stream. `poll`: an answer as soon as there is one, 25 s at most. `once`: an answer at once. */
  readonly wait: 'stream' | 'poll' | 'once';
  readonly grants: readonly string[];
  /** For each channel the position after which to read; `null`: from now on. */
  readonly channels: Readonly<Record<Channel, Position | null>>;
  /** The same for the user's and the session's own channel. */
  readonly own: Position | null;
}

/** The answer to `poll` and `once`: the events that a stream would have sent, in their order. */
export interface StreamAnswer {
  readonly events: readonly ServerEvent[];
}

/** The newest notification of one action on a channel. */
export interface Latest {
  readonly position: Position;
  /** Milliseconds since this node learned of it; 0 for what it loaded at its start. */
  readonly age: number;
  /** Not on an entity's channel: who may see the list may not see each object of it. */
  readonly changedDate?: string | number;
  readonly unordered?: true;
}

/** `ready` of one channel: by action, the newest notification. */
export type LatestByAction = Readonly<Record<string, Latest>>;

/** A rendering of a notification. Without `changedDate` it is the reduced one, for those who hold only the entity. */
export interface WireNotification {
  readonly entity: string;
  readonly id?: string;
  readonly action: string;
  readonly changedDate?: string | number;
  readonly unordered?: true;
  readonly notifier?: string;
  readonly position: Position;
  readonly cause?: string;
  readonly except?: readonly string[];
  /** It came on the user's or the session's own channel. */
  readonly to?: true;
  /** The window of the random wait before refreshing, in milliseconds. */
  readonly spread?: number;
  readonly detail?: unknown;
}

/** Every key that a rendering may have, in the order in which it is written. */
export const WIRE_KEYS: readonly (keyof WireNotification)[] = [
  'entity',
  'id',
  'action',
  'changedDate',
  'unordered',
  'notifier',
  'position',
  'cause',
  'except',
  'to',
  'spread',
  'detail',
];

/** First on every stream: the request was understood and the user is known. Sent before access is asked. */
export interface HelloEvent {
  readonly type: 'hello';
  readonly protocol: number;
  readonly epoch: string;
  readonly user: string;
  readonly session?: string;
  /** As in `ConfigAnswer`. */
  readonly aliases?: readonly string[];
  /** The adapter that the server is configured for; a page that has another one asks `/config` again. */
  readonly provider?: string;
  readonly heartbeat: number;
  /** The window for refreshes after a resync, in milliseconds; 0: none. */
  readonly spread: number;
  /** Which part of a window this page waits, from 0 to 1: those of all pages lie evenly, as random ones would not. */
  readonly turn?: number;
}

/** The channels of the stream are covered from `position` on: nothing after it will be missed. */
export interface ReadyEvent {
  readonly type: 'ready';
  readonly position: Position;
  /** For how long, in milliseconds, this node has known everything; what began earlier must be refreshed. */
  readonly known: number;
  /** What happened lately on each covered channel; channels without recent news are left out. */
  readonly latest: Readonly<Record<Channel, LatestByAction>>;
}

export interface NotificationEvent {
  readonly type: 'notification';
  readonly notification: WireNotification;
}

/** The link is alive, and everything up to `position` was sent. Without a position the node cannot say so: degraded. */
export interface HeartbeatEvent {
  readonly type: 'heartbeat';
  readonly position?: Position;
  readonly degraded?: true;
  readonly spread: number;
}

/** Something may have been missed on these channels (`null`: on all): refresh once. */
export interface ResyncEvent {
  readonly type: 'resync';
  readonly channels: readonly Channel[] | null;
}

/** The grant of these channels is no longer taken; ask again. Not a refusal. The stream no longer covers them. */
export interface ReauthoriseEvent {
  readonly type: 'reauthorise';
  readonly channels: readonly Channel[];
}

/** The user may not listen to these. The stream does not cover them. */
export interface RefusedEvent {
  readonly type: 'refused';
  readonly channels: readonly Channel[];
}

/** The server ends the stream on purpose; come back after a random wait within `within` milliseconds. */
export interface GoodbyeEvent {
  readonly type: 'goodbye';
  readonly within: number;
  /** For so many milliseconds the stream is still served, so that the next one can be opened beside it. Default: it ends now. */
  readonly lasts?: number;
}

/** Everything that a server says on a stream, a poll or a catch-up read. */
export type ServerEvent =
  | HelloEvent
  | ReadyEvent
  | NotificationEvent
  | HeartbeatEvent
  | ResyncEvent
  | ReauthoriseEvent
  | RefusedEvent
  | GoodbyeEvent;

/** The body of every answer that is not 2xx. */
export interface ErrorAnswer {
  readonly error: { readonly code: ErrorCode; readonly message: string };
}
