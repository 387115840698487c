/** What the contract suite of an adapter asks of the one who runs it: a server, pages that connect to it, and faults. */
import type { EntryOptions } from '../../server/entries.js';
import type { ChangedObject } from '../../server/types.js';
import type { ListenClient, ListenClientOptions } from '../../widget/client/types.js';
import type { Channel } from '../channel.js';
import type { ObjectRef } from '../contract.js';
import type { Position } from '../position.js';

/** What `notify` resolves with: the positions, or a result that has them. */
export type Notified = readonly Position[] | { readonly positions?: readonly Position[] };

/** The user of a page, and its login session. */
export interface HousePage {
  readonly user: string;
  readonly session?: string;
}

/** What the suite gives to each client; hand all of it on to `createListenClient`. */
export type HouseHooks = Pick<ListenClientOptions, 'onTrace' | 'onError'> & {
  /** Only with the options `hosted` and `nodes`: clocks and timers in the suite's hand. Add a `fetch` of your own, if any. */
  readonly world?: NonNullable<ListenClientOptions['world']>;
  readonly tabs: false;
};

/** A server with its adapter, and pages that connect to it. `serverHouse` makes one from the two halves of an adapter. */
export interface AdapterHouse {
  notify(action: string, object: ChangedObject | readonly ChangedObject[], options?: EntryOptions): Promise<Notified>;
  revoke(user: string, object?: ObjectRef): Promise<unknown>;
  position(): Promise<Position>;
  /** A page of this user, and of this login session. */
  createClient(page: HousePage, hooks: HouseHooks): ListenClient;
  /** Cuts every link, and lets no request through until `connect`. The provider, if any, cannot be reached either. */
  disconnect(): void | Promise<void>;
  connect(): void | Promise<void>;
  /** Something may have been missed, on all objects. */
  gap(): Promise<unknown>;
  /** The server starts anew with an empty log of another epoch; every link is cut. */
  restart(): Promise<unknown>;
  /** How often pages asked for access to objects, and how many links (or catch-up reads) they opened, so far. */
  requests(): { readonly auth: number; readonly links: number };
  close(): Promise<unknown>;
  /** Needed for the option `nodes`. */
  readonly nodes?: HouseNodes;
  /** Needed for the option `hosted`. */
  readonly provider?: HouseProvider;
}

/** Several server nodes on one log. */
export interface HouseNodes {
  /** Starts one more node. From then on `notify` and what pages ask go to it; links to the others stand. */
  add(): Promise<void>;
  /** Every node but the newest closes, in order. */
  leave(): Promise<void>;
}

/** Faults at a provider. Only the provider: our own server answers all the while. */
export interface ProviderFaults {
  /** Cannot be reached, by nobody: connections are cut, none gets through, and publishing fails. */
  down(): void | Promise<void>;
  /** Cuts connections and says no to every new one, as with a key that is gone or a quota that is used up. */
  refuse(): void | Promise<void>;
  /** Ends `down` and `refuse`. */
  up(): void | Promise<void>;
  /**
   * Tells every connection that messages may have been lost (a loss flag). A provider that has no such thing cuts the
   * connections instead, and takes them again at once.
   */
  lose(): void | Promise<void>;
  /** The next messages, so many, reach nobody, and nobody is told. Default: `serverHouse` loses them in the page. */
  drop?(count: number): void | Promise<void>;
}

/** A provider, in the suite's hand. */
export interface HouseProvider extends Required<ProviderFaults> {
  /** From now on messages wait on their way to the pages. Resolves once so many of them do. */
  hold(count: number): Promise<void>;
  /** They arrive, the newest first, and each of them twice. */
  release(): void;
  /** A connection by the client half alone: what it hears is what the provider delivers. */
  tap(page: HousePage, objects: readonly ObjectRef[]): Promise<Tap>;
  /**
   * Another application at the same provider account, with the same keys, secret and users, in another namespace.
   *
   * @param options how long its grants live, in milliseconds; default as everywhere
   */
  neighbour(options?: { readonly grantLife: number }): Promise<Neighbour>;
}

/** Another application. */
export type Neighbour = Pick<AdapterHouse, 'notify' | 'position' | 'createClient'> & Pick<HouseProvider, 'tap'>;

/** A connection at the provider that belongs to no client. */
export interface Tap {
  /** The messages that arrived, as far as they are notifications, in order. */
  readonly heard: readonly { readonly entity: string; readonly id?: string; readonly action: string }[];
  /** How often the whole set was subscribed. */
  readonly attached: number;
  /** The channels that our server would not authorise any more. */
  readonly denied: ReadonlySet<Channel>;
  /** Resolves once `holds` holds. It is asked after everything that the connection tells. */
  until(holds: () => boolean, what: string): Promise<void>;
  close(): void;
}
