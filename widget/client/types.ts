/** The public face of the client in the browser. The React skin uses nothing but this. */
import type { ClientAdapter, ObjectRef, Via, World } from '../../adapters/contract.js';
import type { ActionOf } from '../../adapters/define.js';
import type { ListenError } from '../../adapters/errors.js';
import type { Position } from '../../adapters/position.js';
import type { WireNotification } from '../../adapters/protocol.js';
import type { ProviderClientAdapter } from '../../adapters/provider.js';

/** Why callbacks run: a notification, news that may have been missed, or a change between loading and listening. */
export type RefreshReason = 'notification' | 'resync' | 'load';

/** What a callback is told. A hint, never the data: fetch again with your own rights. */
export interface Refresh {
  readonly reason: RefreshReason;
  /** The object of the listener. */
  readonly object: ObjectRef;
  /** The newest notification behind this run; none for `resync`, and for `load` where the server no longer holds it. */
  readonly notification?: WireNotification;
  /** How many notifications this run stands for; 0 for `resync` and `load`. */
  readonly merged: number;
}

/** A callback. It must begin a new read; the promise that it returns is the run, and rejecting means that it failed. */
export type Run = (refresh: Refresh) => unknown;

/** One row of the action list. Rows run in order; what is wrong in one row never stops another. */
export interface ActionRow<Action extends string = string> {
  /** The actions that select this row; `*` selects all. */
  readonly on: Action | '*' | readonly (Action | '*')[];
  /** A callback, several that run one after another (a failure stops the row), or the name of a registered one. */
  readonly run: Run | string | readonly (Run | string)[];
  /** Asked just before running; `false` runs `otherwise` instead. A name is looked up as for `run`. Default: yes. */
  readonly when?: ((refresh: Refresh) => boolean) | string;
  /** Runs when `when` says no. Default: nothing. */
  readonly otherwise?: Run | string | readonly (Run | string)[];
  /**
   * The first notification runs at once; this is how long what follows is collected before the next run, in milliseconds.
   * Default 100, at most 1,000.
   */
  readonly window?: number;
  /** Runs for one real notification, then never again. Default `false`. */
  readonly once?: boolean;
  /** `false`: neither resync nor the load race runs this row (a toast, a navigation). Default `true`. */
  readonly resync?: boolean;
  /** `false`: a run that failed is not tried again. Default `true`: after 1 to 30 s, with jitter, until it succeeds. */
  readonly retry?: boolean;
  /** Gets what the row's functions threw. Default: the listener's `onError`, then the client's. */
  readonly onError?: ((error: unknown, refresh: Refresh) => void) | string;
}

/** The short form: an action's name, or `*`, to its callback. */
export type ActionMap<Action extends string = string> = string extends Action
  ? { readonly [action: string]: Run }
  : { readonly [A in Action | '*']?: Run };

/** An action list: of an object whose actions are declared (`defineEntities`), only those; else any. */
export type Actions<Action extends string = string> = readonly ActionRow<Action>[] | ActionMap<Action>;

/** What a data-described page may name instead of holding a function. */
export type CallbackRegistry = { readonly [name: string]: (refresh: Refresh, error?: unknown) => unknown };

export interface ListenOptions {
  /**
   * When the data that the page shows began to load: a `Date`, or milliseconds since 1970. Default: the start of the
   * page load. What changed after it leads to one refresh as soon as the listener is ready.
   */
  readonly loadedAt?: Date | number;
  /** `await notifier.position()` of the server that rendered, taken before it read the data. Wins over `loadedAt`. */
  readonly position?: Position;
  /**
   * The `changedDate` of the data that the page holds, or a function that tells it. Give it only when every notification
   * of this object carries a `changedDate` that grows strictly: a notification that is not newer is then skipped.
   */
  readonly changedDate?: Date | string | number | (() => Date | string | number | undefined);
  /** Skip notifications that this page caused through `client.fetch`. Default `false`. */
  readonly ignoreOwn?: boolean;
  /** Gets what rows without an `onError` of their own threw. Default: the client's `onError`. */
  readonly onError?: (error: unknown, refresh: Refresh) => void;
  /** Names that rows may use, looked up before the client's own. */
  readonly callbacks?: CallbackRegistry;
}

/** One listener. Its members may be taken off by name (`const { close } = listening`); a spread copies none of them. */
export interface Listening {
  readonly object: ObjectRef;
  /**
   * Resolves once nothing can be missed any more. Rejects with a `ListenError`: `refused`, `forbidden`, `upgrade`,
   * `configuration`, or `closed` when the listener is closed first. Never rejects for what is retried. A rejection that
   * nobody handles is not reported as unhandled; `onError` of the client gets refusals in any case.
   */
  readonly ready: Promise<void>;
  /** The refusal, while there is one; `unauthenticated` while nobody is logged in. */
  readonly error: ListenError | undefined;
  /**
   * Calls back whenever the listener became ready or was refused, later in its life too (a right or a login that ended, or
   * came back); `error` then tells which. Returns the function that stops it.
   */
  onChange(changed: () => void): () => void;
  /** Replaces the action list. No traffic; a run that waits calls the newest functions. */
  setActions(actions: Actions): void;
  /** Replaces the options that are read at run time: `changedDate`, `ignoreOwn`, `onError`, `callbacks`. */
  setOptions(options: ListenOptions): void;
  /** Stops listening. No callback starts afterwards, not even for what has arrived. Closing twice is allowed. */
  close(): void;
}

export type ConnectionState = 'initial' | 'connecting' | 'connected' | 'reconnecting' | 'disconnected' | 'failed';

/** The status, an immutable snapshot: a new object whenever something in it changed. */
export interface ListenStatus {
  readonly state: ConnectionState;
  /** How notifications come at the moment; none while not connected. */
  readonly via?: Via;
  /** The node cannot prove that it hears everything, or `via` is not the configured adapter. */
  readonly degraded: boolean;
  /** Why the state is not `connected`: the newest error. */
  readonly error?: ListenError;
  /** When the next try is due, in milliseconds since 1970, while `reconnecting`. */
  readonly retryAt?: number;
}

/** What became of a notification at one listener, for a strip, a test or a log. */
export interface Trace {
  readonly object: ObjectRef;
  readonly notification?: WireNotification;
  readonly reason: RefreshReason;
  /**
   * `queued`: a run will follow. `merged`: a run that already waits covers it. `deferred`: waits until the page is
   * visible. `ran`, `failed`: the end of a run. `own`, `held`: skipped as one's own change / as not newer than what the
   * page holds. `filtered`: no row listens to its action. `refused`: the object may not be listened to.
   */
  readonly fate: 'queued' | 'merged' | 'deferred' | 'ran' | 'failed' | 'own' | 'held' | 'filtered' | 'refused';
}

/** Page visibility and the moments at which a link must not be trusted. Injected, so that tests and workers have their own. */
export interface Lifecycle {
  /** Whether a person can see the page. */
  visible(): boolean;
  /**
   * Calls back with `visible` or `hidden` on a change; with `gone` when the page is left or frozen, and may come back: the
   * client closes its links and keeps positions and listeners until `visible` or `wake`; with `wake` whenever a link may
   * have died unnoticed: back online, back from the back/forward cache, no longer frozen. Returns the function that stops
   * it.
   */
  watch(changed: (what: 'visible' | 'hidden' | 'gone' | 'wake') => void): () => void;
}

/** What the tabs of one browser share, as the browser has it. Injected, so that tests have browsers of their own. */
export interface TabsWorld {
  /**
   * As `navigator.locks.request` (https://w3c.github.io/web-locks/): waits in the queue of the lock, runs `held` when it is
   * given, keeps the lock until that promise settles. `steal` takes it at once; the promise of the former holder's request
   * rejects. Aborting `signal` leaves the queue.
   */
  request(
    name: string,
    options: { steal?: boolean; signal?: AbortSignal },
    held: () => Promise<void>,
  ): Promise<unknown>;
  /** As `new BroadcastChannel(name)`. */
  channel(name: string): TabsChannel;
}

/** The part of a `BroadcastChannel` that is used. */
export interface TabsChannel {
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  postMessage(data: unknown): void;
  close(): void;
}

export interface ListenClientOptions {
  /** Where the server's routes are: a path of this site, or a URL. Default `/notify-listen`. */
  readonly url?: string;
  /** Headers for every request (a bearer token, a CSRF token); a function is asked for every attempt. */
  readonly headers?: HeadersInit | (() => HeadersInit | Promise<HeadersInit>);
  /** Default `same-origin`. */
  readonly credentials?: RequestCredentials;
  /** Adapters beside the built-in SSE, which is always there. */
  readonly adapters?: readonly (ClientAdapter | ProviderClientAdapter)[];
  /** Callbacks that rows may name. */
  readonly callbacks?: CallbackRegistry;
  /**
   * Gets every error that no row or listener took. What is retried shows in the status; it is told here once it has failed
   * four times in a row. Default: `console.error`.
   */
  readonly onError?: (error: unknown) => void;
  /**
   * Called when the server says that nobody is logged in. When the promise resolves, the client tries again with its
   * positions kept; without the option it waits for `reconnect()`.
   */
  readonly onUnauthenticated?: () => unknown;
  /** Told about every notification at every listener. Default: nobody. */
  readonly onTrace?: (trace: Trace) => void;
  /** Default: the browser's own. */
  readonly world?: Partial<World>;
  /** Default: the page's, or always visible where there is no page. */
  readonly lifecycle?: Lifecycle;
  /**
   * Whether the tabs of one browser share a connection. Default `true` in a page whose browser has Web Locks (secure
   * contexts only), else `false`. With a `world` of your own, `false`.
   */
  readonly tabs?: boolean | TabsWorld;
}

export interface ListenClient {
  /**
   * Listens to an object, or to an entity as a whole (`{ entity }`). The first listener opens the connection.
   *
   * @throws TypeError that names the field, for an object or an action list that cannot be.
   */
  listen<O extends ObjectRef>(object: O, actions: Actions<ActionOf<O>>, options?: ListenOptions): Listening;
  /** The current status. */
  status(): ListenStatus;
  /** Calls back after every change of the status. Returns the function that stops it. */
  onStatus(changed: () => void): () => void;
  /** The browser's `fetch`, with a mark by which listeners with `ignoreOwn` recognise the echo of this request. */
  fetch: (input: RequestInfo | URL, init?: RequestInit) => Promise<Response>;
  /** Closes the connection and keeps positions and listeners, until `resume`. */
  pause(): void;
  /** Connects again and catches up. */
  resume(): void;
  /** Tries again now: after a login, a change of user, or a refusal that may no longer hold. */
  reconnect(): void;
  /** Ends everything; every `ready` that is pending rejects with `closed`. */
  close(): void;
}
