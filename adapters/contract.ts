/**
 * The contract: what a notification, a log and the two halves of an adapter are, and what they promise. The contract
 * suites of `notify-listen/testing` prove these sentences for every implementation, with two instances each.
 */
import type { ListenError } from './errors.js';
import type { Position } from './position.js';
import type { AuthAnswer, ConfigAnswer, ServerEvent, StreamRequest, WireNotification } from './protocol.js';
import type { ProviderAdapter } from './provider.js';

/** What an application listens to. `{ entity }` alone is the entity as a whole: a list. */
export interface ObjectRef {
  readonly entity: string;
  /** A number and its decimal text are the same id. Leave the key out to mean the entity as a whole. */
  readonly id?: string | number;
}

/** Users and login sessions by their keyed hashes, as they travel in the log: raw ids never leave the process. */
export interface Audience {
  readonly users?: readonly string[];
  readonly sessions?: readonly string[];
}

/**
 * The hint: something happened to an object. It carries no data of the object, so it is safe to repeat, to merge and to
 * deliver late; the page refetches with its own rights.
 */
export interface Notification {
  readonly entity: string;
  /** Always text. None: it concerns the entity as a whole, and therefore every object of it. */
  readonly id?: string;
  readonly action: string;
  /** ISO 8601 text, or a whole number (a version). */
  readonly changedDate: string | number;
  /** `changedDate` is only the time of the call, or a merge of unlike kinds: it never lets a listener skip a refresh. */
  readonly unordered?: true;
  /** Who or what made the change, for display. */
  readonly notifier?: string;
  /** SHA-256 (hex) of the secret of the request that made the change; the page that sent it knows the secret. */
  readonly cause?: string;
  /** A hint to the listeners of these users and sessions not to run. Never secrecy. */
  readonly except?: readonly string[];
  /** A small value that travels along, under the same limit of size. */
  readonly detail?: unknown;
}

/** One notification as the log keeps it. */
export interface NotificationEntry {
  readonly kind: 'notification';
  readonly notification: Notification;
  /** Travels on these users' and sessions' own channels only; without it, on the object's and the entity's. */
  readonly to?: Audience;
  /** `false`: nobody waits before refreshing. */
  readonly spread?: false;
  /** Copies with the same key that lie within the retention are one notification (a log with `dedupes` collapses them). */
  readonly dedupeKey?: string;
}

/** Something may have been missed: listeners of these objects (none: all listeners) refresh once. */
export interface ResyncEntry {
  readonly kind: 'resync';
  readonly objects?: readonly ObjectRef[];
}

/** A right has ended: it cancels the user's channels in every grant made at or before its position. */
export interface RevokeEntry {
  readonly kind: 'revoke';
  /** The keyed hashes of the user, one for each secret in use. */
  readonly users: readonly string[];
  /** None: everything that the user listens to. */
  readonly object?: ObjectRef;
}

export type LogEntry = NotificationEntry | ResyncEntry | RevokeEntry;

/** An entry with its place. */
export interface Logged {
  readonly position: Position;
  readonly entry: LogEntry;
}

/** What an implementation of the log can do; declared, never guessed. */
export interface LogCapabilities {
  /** Other processes see the same log. */
  readonly shared: boolean;
  /** Acknowledged entries survive the end of this process. */
  readonly durable: boolean;
  /** Entries with an equal `dedupeKey` are collapsed. */
  readonly dedupes: boolean;
}

/** What a tail tells the one who follows it. The calls come one at a time and never from inside `Log.tail` callers' own calls to `append`'s synchronous part. */
export interface TailSink {
  /** Entries in ascending position, each exactly once per tail; a batch is never empty. */
  entries(batch: readonly Logged[]): void;
  /**
   * The log is not what it was: its epoch changed, or it was trimmed past this tail. Everything after the last entry
   * given may have been missed. The tail goes on from `start`.
   */
  reset(start: LogWindow): void;
  /** The link to the engine failed; the tail goes on trying by itself. */
  failed(error: unknown): void;
}

/** Which part of the log a reader holds: everything after `floor`, up to `top`. */
export interface LogWindow {
  readonly floor: Position;
  readonly top: Position;
}

/** One reader that follows the log. */
export interface Tail {
  /** The window that was loaded when the tail started; its entries were given to the sink before `tail` resolved. */
  readonly start: LogWindow;
  /**
   * Proves that the tail is alive: asks the engine for its top, waits until every entry up to it was given to the sink,
   * and resolves with it. Rejects when that is not reached within `timeoutMs`.
   */
  prove(timeoutMs: number): Promise<Position>;
  close(): Promise<void>;
}

/** The right of one node, for a while, to do what only one may do. */
export interface Lease {
  /** Greater than that of every earlier holder, so that a write of an ousted one can be refused. */
  readonly fence: number;
  /** Extends the lease; `false` when somebody else holds it now. */
  renew(): Promise<boolean>;
  release(): Promise<void>;
  /** The position up to which the holder's work is done; `undefined` before the first one. */
  checkpoint(): Promise<Position | undefined>;
  /** Moves the checkpoint; `false`, and nothing moved, when a later holder's fence was seen. */
  moveCheckpoint(position: Position): Promise<boolean>;
}

/**
 * The ordered, expiring record of notifications.
 *
 * 1. *One order.* Every tail, on every node, gives the same entries in the same ascending order, without a hole.
 * 2. *Order only.* Offsets rise; gaps are normal, and nothing counts on +1.
 * 3. *Acknowledged.* When `append` resolves, the engine has the entries, under its own settings for durability, and
 *    every live tail will give them.
 * 4. *Whole.* The entries of one `append` are all accepted or none is; they keep their order.
 * 5. *Honest.* When acknowledged entries may be gone (restart, failover, restored backup), the epoch is a new one.
 */
export interface Log {
  /** For messages and metrics: `memory`, `redis`, … */
  readonly name: string;
  readonly capabilities: LogCapabilities;
  /**
   * Appends entries and resolves with their positions, in the same order. Rejects when the engine did not acknowledge
   * them in time; they may have been accepted all the same, so the caller may append them again. Rejects with a
   * `RangeError` for what it will never take (an entry that is larger than the engine allows).
   */
  append(entries: readonly LogEntry[]): Promise<readonly Position[]>;
  /**
   * Writes entries with a transaction of the application's own database: they are appended once it commits, whatever else
   * is open there, and never when it is rolled back. Resolves when the transaction holds them; they have no position yet.
   * Only a log in such a database has it. Rejects with a `TypeError` for what is no transaction of it.
   */
  appendWithin?(transaction: unknown, entries: readonly LogEntry[]): Promise<void>;
  /**
   * Loads the retained window into the sink, then follows. Resolves when the window is loaded.
   *
   * @param after the caller has everything up to here. A log that can tell what came after may load only that; `start.floor`
   * is then this position. Default: the whole window.
   */
  tail(sink: TailSink, after?: Position): Promise<Tail>;
  /** Takes the lease `name` for `ttlMs` milliseconds; `undefined` while somebody else holds it. */
  lease(name: string, ttlMs: number): Promise<Lease | undefined>;
  /**
   * Leaves this node's record (a small text, replacing its last one) for `ttlMs` milliseconds, and resolves with the
   * unexpired ones of the other nodes: their totals. Every shared log has it. A closed log's record is gone at once, or
   * when its time is over.
   */
  share?(record: string, ttlMs: number): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** What an adapter can do; declared, never guessed. The core does for it what it cannot. */
export interface AdapterCapabilities {
  /** `node`: every node writes to its own connections. `provider`: one relay publishes, the provider fans out. */
  readonly fansOut: 'node' | 'provider';
  /** A link that was cut is continued from a position without a separate catch-up read. */
  readonly replays: boolean;
}

/** The server half of an adapter whose connections live on our own nodes. */
export interface NodeAdapter {
  readonly name: string;
  readonly capabilities: AdapterCapabilities & { readonly fansOut: 'node' };
  /** Takes an entry that the node has just put into its history. Never throws, never blocks, never awaits. */
  deliver(logged: Logged): void;
  /** Everything may have been missed (epoch change, trimmed past): every live connection gets `resync`. */
  resync(start: LogWindow): void;
  /** Says goodbye to every connection, each with a random wait within `spreadMs`, and ends it. */
  close(spreadMs: number): Promise<void>;
}

export type ServerAdapter = NodeAdapter | ProviderAdapter;

/** What a link shall deliver: the newest whole set, never a difference. */
export interface Interest extends Pick<StreamRequest, 'grants' | 'channels' | 'own'> {}

/** The client half of an adapter: it opens links. Holds no positions, decides nothing about retrying. */
export interface ClientAdapter {
  readonly name: string;
  readonly capabilities: AdapterCapabilities;
  /**
   * Opens one link and returns at once. Events go to `host.event` in the order in which the server sent them; the end of
   * the link, for whatever reason but `close`, goes to `host.down` exactly once, and nothing comes after it.
   */
  open(interest: Interest, host: LinkHost): Link;
}

/** One attempt at being connected. */
export interface Link {
  /**
   * Whether a notification is news to this channel. Only on a link that keeps no order across channels, or that takes over
   * from such a one: it remembers what was seen above the position up to which all was received. It is given the form
   * that the channel's listeners get, and another content at the same position is news: the log's copy may be a merge,
   * which stands for an older one too. Without it, news is what is after the newest.
   */
  readonly sees?: ((read: { readonly position?: Position | undefined }, form: WireNotification) => boolean) | undefined;
  /** Once ready, it may say nothing for any time, and ends by itself when it carries nothing: no watchdog ends it. */
  readonly quiet?: boolean | undefined;
  /** Ends the link. No event and no `down` comes after it. Closing twice is allowed. */
  close(): void;
}

/** What a link may use of the core. */
export interface LinkHost {
  /** The answer of `GET /config`. */
  readonly config: ConfigAnswer;
  readonly world: World;
  /**
   * Sends a request to one of the routes, with the base URL, the application's headers, credentials and the protocol
   * version. Rejects with a `ListenError` for every status but 2xx.
   */
  request(route: 'config' | 'auth' | 'stream', body: unknown, signal: AbortSignal): Promise<Response>;
  /**
   * A sign of life that is no event, such as bytes of one that is not whole yet. It restarts the watchdog until `ready`;
   * from then on only events do: what keeps a connection open may be a proxy whose other end has gone.
   */
  alive(): void;
  /** `id`: everything up to it, for every channel of the link, was delivered before. */
  event(event: ServerEvent, id?: Position): void;
  /** The newest set with the positions as they are now, for a link that asks again by itself (long polling). */
  interest(): Interest;
  /** `via` of the status: how events come at the moment. */
  via(via: Via): void;
  /** Whether a person can see the page. */
  visible(): boolean;
  /** Asks for another link beside this one, which takes its place once it is ready. */
  again(): void;
  /** Ends the link. Without an error: nothing was heard for too long. */
  down(error?: ListenError): void;
}

/** How notifications reach the page at the moment. */
export type Via = 'sse' | 'poll' | 'pusher' | 'ably' | (string & {});

/** The answer to a batch of access questions, as the client core keeps it. */
export type { AuthAnswer };

/** Clock, timers, randomness and the page's surroundings: everything that a test wants to hold in its hand. */
export interface World {
  /** Wall clock, milliseconds since 1970. */
  now(): number;
  /** Monotonic clock, milliseconds since an arbitrary moment; may stand still while the machine sleeps. */
  monotonic(): number;
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
  /** From 0 up to, not including, 1. */
  random(): number;
  fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
}

/** The largest wire JSON of one notification, in UTF-8 bytes. Small enough for every provider, with its envelope. */
export const MAX_WIRE_BYTES = 1024;
