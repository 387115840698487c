/** The public face of the server. */
import type { Log, ObjectRef } from '../adapters/contract.js';
import type { ActionOf } from '../adapters/define.js';
import type { Position } from '../adapters/position.js';
import type { ProviderAdapter } from '../adapters/provider.js';

/** A user as the application knows it: an id, or an object that has one. */
export type User = string | number | { readonly id: string | number };

/** Who may listen to the objects of one entity. Each question may be answered later (a promise). */
export interface EntityAccess<U> {
  /** May this user listen to this object? Not naming it denies all objects of the entity, unless `many` is there. */
  readonly one?: (user: U, id: string) => boolean | Promise<boolean>;
  /** Which of these ids may the user listen to? Asked once for all objects of a request; it wins over `one`. */
  readonly many?: (user: U, ids: readonly string[]) => Iterable<string | number> | Promise<Iterable<string | number>>;
  /** May this user listen to the entity as a whole (a list)? Not naming it denies. */
  readonly all?: (user: U) => boolean | Promise<boolean>;
}

/** Limits on what a client can make the server do. Each is an option with a default that suits a person's browser. */
export interface Limits {
  /** Live connections of one user. Default 200. Nodes on a shared log never hold more than twice that together. */
  readonly connectionsPerUser: number;
  /** Channels of one connection. Default 1,000. */
  readonly channelsPerConnection: number;
  /** Bytes of a request's body. Default 512 KiB: 1,000 channels with long names and their grants. */
  readonly bodyBytes: number;
  /**
   * Streams, and authorisations of a connection at a provider, of one user in quick succession. Default 100; then
   * `openingsPerSecond` more each second. Nodes on a shared log together allow at most twice that.
   */
  readonly openingsBurst: number;
  /** Default 5. A client beyond it waits; it is never cut off for good. */
  readonly openingsPerSecond: number;
}

/** One structured line of the log. Info lines carry channels and counts, nothing personal. */
export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  /** What happened, a constant sentence without data. */
  readonly message: string;
  readonly [field: string]: unknown;
}

/** `Request` is the request of the framework in use, as `user` and `session` get it. */
// biome-ignore lint/suspicious/noExplicitAny: without an annotation, `request` is the framework's, which is not known here
export interface NotifierOptions<Request = any, U extends User = any> {
  /** Who is asking: a user id, or an object with `id`; nothing: nobody is logged in (401). Throwing is answered by 503. */
  readonly user: (request: Request) => U | null | undefined | Promise<U | null | undefined>;
  /** Names the login session, so that one of several of a user can be addressed. Default: there are none. */
  readonly session?: (request: Request) => string | null | undefined | Promise<string | null | undefined>;
  /** The right to listen at all. `false` is answered by 403. Default: every user has it. */
  readonly mayListen?: (user: U) => boolean | Promise<boolean>;
  /** By entity, who may listen. An entity that is not named is denied. */
  readonly canListen: { readonly [entity: string]: EntityAccess<U> };
  /** How long one access question may take, in milliseconds, before it counts as unanswered (retried). Default 5,000. */
  readonly accessTimeout?: number;
  /** How long a grant lives, in milliseconds. Default 5 min. Must be shorter than the retention. */
  readonly grantLife?: number;
  /** Milliseconds between heartbeats. Default 15,000; more is cut off by common proxies. */
  readonly heartbeat?: number;
  /**
   * After how many milliseconds the platform cuts a request off (serverless functions: often 10,000 to 300,000). Streams
   * then end before, and their pages open the next one beside it; waits stay below. At least 5,000. Wins over
   * `NOTIFY_LISTEN_MAX_DURATION`. Default: nothing is cut off.
   */
  readonly maxDuration?: number;
  /** Pages of these other origins (`https://app.example`) may listen, with credentials. Default: this site's own only. */
  readonly origins?: readonly string[];
  readonly limits?: Partial<Limits>;
  /** How many compacted entries a node keeps. Default 100,000 (about 50 MB); beyond, the oldest go and their readers resync. */
  readonly historyCap?: number;
  /** How long `notify` waits for the log before it answers `{ accepted: false }`, in milliseconds. Default 2,000. */
  readonly notifyTimeout?: number;
  /** Wins over the environment. For tests and for an application that builds its own. */
  readonly log?: Log;
  /** An adapter of your own; wins over `NOTIFY_LISTEN_PROVIDER`. Pages need its client half. See docs/writing-an-adapter.md. */
  readonly adapter?: ProviderAdapter;
  /** The environment constants. Default: `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Gets every fault that reached no caller: of the log, of access checks, of the tail. Default: one `error` log line. */
  readonly onError?: (error: unknown) => void;
  /** Structured log. Default: `console`, without debug lines. */
  readonly logger?: (line: LogLine) => void;
}

/** To whom a notification goes, or not: the application's own ids. */
export interface Recipients {
  readonly users?: readonly (string | number)[];
  readonly sessions?: readonly string[];
}

export interface NotifyOptions {
  /** Who or what made the change, for display. */
  readonly notifier?: string;
  /**
   * Only for these, on their own channels. It is your decision that they may know of this object. `caller`: the login
   * session whose request or job is being handled. Default: all listeners.
   */
  readonly to?: Recipients | 'caller' | undefined;
  /** Not for these: a hint that their pages follow, never secrecy. */
  readonly except?: Recipients;
  /** `false`: nobody waits before refreshing, however many listen. Default `true`. */
  readonly spread?: boolean;
  /** Leaves at once, even inside `transaction`. Default `false`. */
  readonly immediate?: boolean;
  /** A small JSON value that travels along. The whole hint stays within 1 KiB. */
  readonly detail?: unknown;
  /** Copies of one notification made on several nodes carry the same key and count as one. */
  readonly dedupeKey?: string;
  /** The request that made the change; by default the one in whose handling `notify` was called, where known. */
  readonly request?: unknown;
  /**
   * A transaction of the application's own Postgres database, which must also be the log's: a `pg` client, or a transaction of
   * Knex, Kysely, Drizzle or Prisma. The notification leaves once it commits, and never when it is rolled back. `notify`
   * then rejects when the database refuses. Default: none; see also `transaction()`.
   */
  readonly transaction?: unknown;
}

/** An object as an application notifies it. */
export interface ChangedObject extends ObjectRef {
  /**
   * A `Date`, ISO 8601 text with a time zone, or a whole number (a version). Default: now, which is for display only and
   * never lets a listener skip a refresh.
   */
  readonly changedDate?: Date | string | number;
}

export interface NotifyResult {
  /** The log has it, and every listener will hear of it. `false`: it is kept and retried; what is given up on becomes a resync. */
  readonly accepted: boolean;
  /** It waits for the end of the transaction. */
  readonly held?: true;
  /** Where it stands in the log, one for each object; none unless accepted. */
  readonly positions?: readonly Position[];
}

/** The worker that carries the log to a hosted provider. */
export interface RelayMetrics {
  /** This node does it; in a cluster one node does. */
  readonly holds: boolean;
  /** Items that wait for the provider, newer ones merged into older ones. */
  readonly waiting: number;
  readonly published: number;
  /** Items that the provider will never take. */
  readonly skipped: number;
  /** For how many milliseconds nothing has been accepted although something waits; 0: all is well. */
  readonly stuck: number;
}

export interface Metrics {
  /** Only with a hosted provider. */
  readonly relay?: RelayMetrics;
  readonly connections: number;
  /** Nodes on the shared log that are alive, this one included. */
  readonly nodes: number;
  /** Connections of all nodes, as far as this one knows: the others' are seconds old. */
  readonly everywhere: number;
  readonly channels: number;
  readonly users: number;
  /** Entries in the compacted history. */
  readonly history: number;
  /** Notifications appended through this node. */
  readonly notified: number;
  /** Renderings written to connections. */
  readonly delivered: number;
  /** Notifications merged into a newer one before they were written. */
  readonly conflated: number;
  /** Connections closed because they did not read. */
  readonly stalled: number;
  readonly resyncs: number;
  readonly refused: number;
  /** Notifications that wait for the log. */
  readonly waiting: number;
  readonly degraded: boolean;
}

/** What any process can do that shares the log. */
export interface Publisher {
  /**
   * Tells every listener of these objects that something happened to them.
   *
   * @returns once the log has accepted it, or after `notifyTimeout`. Never rejects for a fault of the transport.
   * @throws TypeError or RangeError that names the field, before anything is sent, for what only the caller can mend.
   */
  notify<O extends ChangedObject>(
    action: ActionOf<O>,
    object: O | readonly O[],
    options?: NotifyOptions,
  ): Promise<NotifyResult>;
  /**
   * Ends a user's right to listen to an object, or to everything. Change the right first, then revoke. Inside
   * `transaction` it waits for the end, as notifications do: before the commit the right still looks as it was.
   */
  revoke(
    user: User,
    object?: ObjectRef,
    options?: { readonly transaction?: NotifyOptions['transaction'] },
  ): Promise<NotifyResult>;
  /**
   * Holds what `fn` notifies until `fn` resolves, merged by object and action; nothing is sent when it rejects. Wrap the
   * database transaction in it: `transaction(() => db.transaction(...))`. An inner one joins the outer one.
   */
  transaction<T>(fn: () => T | Promise<T>): Promise<T>;
  /** Tries to bring out what waits for the log, for `notifyTimeout` at most, and frees everything. */
  close(): Promise<void>;
}

export interface PublisherOptions {
  /** As in {@link NotifierOptions}. */
  readonly log?: Log;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly notifyTimeout?: number;
  readonly onError?: (error: unknown) => void;
  readonly logger?: (line: LogLine) => void;
}

export interface Notifier extends Publisher {
  /**
   * The place in the log that this node has reached. Take it before you read the data that a page will show. Rejects after
   * `notifyTimeout` when the log has never been reached since the start; the page then does without (`loadedAt`).
   */
  position(): Promise<Position>;
  metrics(): Metrics;
  /**
   * Takes no new streams from now on, says goodbye to every stream, and frees everything: docs/deploying.md.
   *
   * `within`: pages come back after a random wait within so many milliseconds. Default 3,000. `drain`: where other nodes
   * take over, streams are served until their page has another one, so that none is without for a moment; it takes
   * `within` and two seconds at most. Default `false`: streams end at once.
   */
  close(options?: { readonly within?: number; readonly drain?: boolean }): Promise<void>;
}
