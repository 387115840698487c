/**
 * The contract of an adapter whose connections live at a provider. The provider only makes hints arrive sooner: the log is
 * the truth, and what a provider cannot promise (replay, order across channels, an end of rights) the core does for it
 * through `/stream`. States and races are in docs/hosted.md.
 */
import type { Channel } from './channel.js';
import type { World } from './contract.js';
import type { ListenError } from './errors.js';
import type { Position } from './position.js';
import type { ConfigAnswer } from './protocol.js';

/** What became of one item that was given to a provider. */
export type PublishOutcome =
  | { readonly kind: 'accepted' }
  /** The provider will never take it (too large, malformed): skip it, report it, go on. */
  | { readonly kind: 'impossible'; readonly error: unknown }
  /** Not now; the relay tries again, not before `retryAfterMs` when that is given. */
  | { readonly kind: 'later'; readonly error: unknown; readonly retryAfterMs?: number };

/** One rendering of an entry, or a control message, for the channels that carry it. */
export interface Outgoing {
  /** Local channels (without a namespace), at least one. The adapter gives them the provider's names. */
  readonly channels: readonly Channel[];
  /** Where the entry stands in the log; an equal position, channel and action is the same item sent again. */
  readonly position: Position;
  /** For those who bind to events by name; the application's action, or {@link CHECK_ACTION}. */
  readonly action: string;
  /** Wire JSON, at most `MAX_WIRE_BYTES` bytes. */
  readonly json: string;
}

/** What our own client asks `/auth` for, once the grants that it showed were judged. */
export interface ProviderAuthorisation {
  /** How the provider's client names its connection (Pusher: the socket id). From the page: check its form. */
  readonly connection: string;
  /** The keyed hash of the user. */
  readonly user: string;
  /** Local channels: those that the grants cover, and the internal ones that go with them. */
  readonly channels: readonly Channel[];
  /** The wall-clock time until which the right is known to hold, in milliseconds. */
  readonly expires: number;
}

export interface ProviderAuthorised {
  /** What the client half of this adapter needs; JSON. Goes to the page as it is. */
  readonly details: unknown;
  /** After how many milliseconds the client half shall ask again. */
  readonly renewIn: number;
}

/** Answers the requests that the provider's own client sends to `/auth`: form-encoded, one user, no grant. */
export interface ProviderForms {
  /**
   * The local channels that the form asks for; none when it asks only who the user is.
   *
   * @throws TypeError that names the field and the fix; it is answered by 400.
   */
  read(fields: URLSearchParams): readonly Channel[];
  /**
   * What the provider's own client expects, after all of them were granted; JSON. `granted.connection` is empty: how the
   * client names its connection stands in the fields. A `TypeError` is answered by 400, as that of `read`.
   */
  answer(fields: URLSearchParams, granted: ProviderAuthorisation): Promise<unknown>;
}

/**
 * The server half.
 *
 * 1. *In order.* Items of one channel reach its subscribers in the order of `publish`, except where the provider reorders.
 * 2. *At least once.* `accepted` means that the provider acknowledged it. Whatever is in doubt is `later`.
 * 3. *Apart.* No two channels share a name at the provider, and no two namespaces.
 * 4. *Bounded.* After `revoke`, or once nobody authorises any more, delivery ends within what the adapter's page states.
 */
export interface ProviderAdapter {
  readonly name: string;
  readonly capabilities: { readonly fansOut: 'provider' };
  /** What the client half needs to connect, in `ConfigAnswer.settings`. Never a secret. */
  readonly publicSettings: Readonly<Record<string, unknown>>;
  /**
   * Publishes in order. One outcome for each item, in its order; rejects only for a fault that concerns them all. Once an
   * item is `later`, no later item of one of its channels may be `accepted`.
   */
  publish(batch: readonly Outgoing[]): Promise<readonly PublishOutcome[]>;
  /**
   * Lets one connection of one user hear these channels. Asks nobody: it only signs.
   *
   * @throws TypeError when the connection has not the provider's form; it is answered by 400.
   */
  authorise(request: ProviderAuthorisation): Promise<ProviderAuthorised>;
  /**
   * A right has ended (`channels`: on these; `undefined`: on all). Resolves once the provider knows; called again when
   * it rejects. `users`: the keyed hashes of the one user, one for each secret in use.
   */
  revoke(users: readonly string[], channels: readonly Channel[] | undefined): Promise<void>;
  /** None: the provider's own client is not served. */
  readonly forms?: ProviderForms;
  close(): Promise<void>;
}

/** The control message: whoever hears it makes a catch-up read, within a random part of so many milliseconds. */
export const CHECK_ACTION = 'notify-listen:check';
export interface CheckMessage {
  readonly check: number;
}

/** The internal channel that every connection of a namespace hears: only control messages travel on it. */
export const EVERYBODY: Channel = '@all';

/** What one connection of the client shall hold: the newest whole set, never a difference. */
export interface ProviderInterest {
  readonly grants: readonly string[];
  /** Local channels of objects and entities; what goes with them the server adds. */
  readonly channels: readonly Channel[];
}

/** The client half. It carries; it holds no positions and decides nothing about staleness. */
export interface ProviderClientAdapter {
  /** Also the `via` of the status. */
  readonly name: string;
  readonly capabilities: {
    readonly fansOut: 'provider';
    /** How many objects and entities one connection can hold; the core takes the rest over the built-in SSE. */
    readonly channels: number;
  };
  /**
   * Starts the one connection of the page and returns at once; nothing may come back before it returned. It goes on
   * trying until it is closed, with growing waits and jitter, also after a refusal that the vendor's client takes as
   * final.
   */
  connect(host: ProviderHost): ProviderConnection;
}

export interface ProviderConnection {
  /**
   * Takes a new set: authorises all channels in one request, subscribes to what is new, leaves what is gone. The newest
   * set wins. Grants that end are renewed by another call.
   */
  update(interest: ProviderInterest): void;
  /** Ends it. Nothing is told afterwards. Closing twice is allowed. */
  close(): void;
}

/** What a provider's connection may use, and what it tells. */
export interface ProviderHost {
  readonly config: ConfigAnswer;
  readonly world: World;
  /** Sends `{ connection, grants, channels }` to `/auth` and resolves with the answer's `details` and `renewIn`. Rejects with a `ListenError`. */
  authorise(connection: string, interest: ProviderInterest): Promise<ProviderAuthorised>;
  /**
   * Everything of this set (the very object that `update` was given; a former one is ignored) is subscribed: from now on its
   * hints come. Told again after every reconnect and every repeated subscription, since what came in between is lost.
   */
  attached(interest: ProviderInterest): void;
  /** Hints may have been lost, although the connection stands (a loss flag, a suspended channel). */
  missed(): void;
  /** A message as it came: text, or what the vendor's client made of it. */
  message(data: unknown): void;
  /**
   * Nothing is carried any more until `attached` is told again. `network`: cut, and being tried again: the page waits 5 s.
   * Else refused: the page is on the built-in SSE at once, and the application is told the error, once until `attached`.
   */
  down(error: ListenError): void;
}
