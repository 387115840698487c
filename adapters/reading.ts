/** What an adapter on a node may ask of the node's history. Types only. */
import type { Channel } from './channel.js';
import type { NotificationEntry } from './contract.js';
import type { Position } from './position.js';
import type { LatestByAction } from './protocol.js';
import type { Route } from './route.js';

/** The newest entry of one key on one channel, covering what it replaced. The next one changes it: read it at once. */
export interface Kept {
  readonly channel: Channel;
  readonly position: Position;
  readonly entry: NotificationEntry;
  readonly route: Route;
  /** When this node learned of it, on the monotonic clock; `undefined` for what it loaded at its start. */
  readonly at: number | undefined;
}

/** What a reader of some channels has missed. */
export interface Reading {
  /** Ascending, each position once; `reduced` where the reader holds only the entity. */
  readonly replay: readonly { readonly kept: Kept; readonly reduced: boolean }[];
  /** Channels for which that cannot be told: their listeners must refresh once. */
  readonly resync: readonly Channel[];
}

export interface HistoryReader {
  readonly top: Position;
  /** Milliseconds for which this node has known everything. */
  known(): number;
  /** For each channel what came after a position (`null`: nothing is asked). */
  read(after: ReadonlyMap<Channel, Position | null>): Reading;
  /** By action the newest notification that concerns a channel, those addressed through the `own` channels included. */
  latest(channel: Channel, own: readonly Channel[]): LatestByAction | undefined;
  /** Whether a grant made at `position` no longer holds for this channel and user (by any of its hashes). */
  revoked(users: readonly string[], channel: Channel, position: Position): boolean;
}
