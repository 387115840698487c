/** From entries of the log to what waits for a hosted provider, and from there to what it is given. Pure. */
import { audienceChannel, type Channel } from '../../adapters/channel.js';
import type { NotificationEntry, ResyncEntry } from '../../adapters/contract.js';
import { renderFull, renderReduced } from '../../adapters/notification.js';
import { comparePositions, type Position } from '../../adapters/position.js';
import { CHECK_ACTION, type CheckMessage, EVERYBODY, type Outgoing } from '../../adapters/provider.js';
import type { Kept } from '../../adapters/reading.js';
import { channelsOf, routeOf } from '../../adapters/route.js';
import { spreadFor } from '../../adapters/spread.js';
import type { Audience } from '../audience.js';

/** Pusher takes no more channels in one call, Ably no more in one batch. */
const MOST_CHANNELS = 100;

/**
 * Up to where the checkpoint may be moved while something waits: everything up to there is done, or waits by itself.
 * `null`: not at all, since the place where it stands is of another log.
 */
export type Below = Position | null;

/** One rendering of an entry, or a control message, on its way to the provider. */
export interface Item {
  /** A newer item with the same key takes the place of this one. */
  readonly key: string;
  readonly channels: readonly Channel[];
  readonly position: Position;
  readonly below: Below;
  /** None: a control message. */
  readonly entry?: NotificationEntry;
  readonly reduced?: true;
}

/** The lower of two; of different logs, none. */
export function lower(a: Below, b: Below): Below {
  const order = a === null || b === null ? undefined : comparePositions(a, b);
  return order === undefined ? null : order > 0 ? b : a;
}

/** Ascending, for items of one log. */
export function inOrder(a: Item, b: Item): number {
  return comparePositions(a.position, b.position) ?? 0;
}

function inParts(channels: Iterable<Channel>): Channel[][] {
  const each = [...new Set(channels)];
  const parts: Channel[][] = [];
  for (let n = 0; n < each.length; n += MOST_CHANNELS) parts.push(each.slice(n, n + MOST_CHANNELS));
  return parts;
}

function fullItems(
  channels: Iterable<Channel>,
  key: string,
  place: Pick<Item, 'position' | 'below' | 'entry'>,
): Item[] {
  return inParts(channels).map((part) => ({ ...place, channels: part, key: `${part.join()} full ${key}` }));
}

function reducedItem(list: Channel, key: string, place: Pick<Item, 'position' | 'below' | 'entry'>): Item {
  return { ...place, channels: [list], reduced: true, key: `${list} reduced ${key}` };
}

/** The two renderings of a notification that was tailed. */
export function itemsOf(entry: NotificationEntry, position: Position, below: Below): Item[] {
  const { full, reduced, key } = routeOf(entry);
  const place = { position, below, entry };
  const items = fullItems(full, key, place);
  return reduced === undefined ? items : [...items, reducedItem(reduced, key, place)];
}

/** The same for what the history kept, where each channel has its own. */
export function itemsOfKept(kept: readonly Kept[], below: Below): Item[] {
  const full: Item[] = [];
  const reduced: Item[] = [];
  /** What is one and the same entry on several users' channels goes out as one. */
  const shared = new Map<NotificationEntry, { readonly kept: Kept; readonly channels: Channel[] }>();
  for (const one of kept) {
    const { channel, route, position, entry } = one;
    if (route.reduced === channel) {
      reduced.push(reducedItem(channel, route.key, { position, below, entry }));
      continue;
    }
    const known = shared.get(entry);
    if (known) known.channels.push(channel);
    else shared.set(entry, { kept: one, channels: [channel] });
  }
  for (const [entry, { kept: one, channels }] of shared)
    full.push(...fullItems(channels, one.route.key, { position: one.position, below, entry }));
  return [...full, ...reduced];
}

/** Whoever hears these channels makes a catch-up read. */
export function checkItems(channels: Iterable<Channel>, position: Position, below: Below): Item[] {
  return inParts(channels).map((part) => ({ channels: part, position, below, key: `${part.join()} check` }));
}

export function checkEverybody(position: Position, below: Below): Item {
  return { channels: [EVERYBODY], position, below, key: `${EVERYBODY} check` };
}

export function resyncItems({ objects }: ResyncEntry, position: Position, below: Below): Item[] {
  return objects ? checkItems(objects.flatMap(channelsOf), position, below) : [checkEverybody(position, below)];
}

/** A user whose right has ended reads, and is told there what still holds. */
export function checkOfUsers(users: readonly string[], position: Position, below: Below): Item[] {
  return checkItems(
    users.map((hash) => audienceChannel('user', hash)),
    position,
    below,
  );
}

/** What the provider is given. The window of the random wait is that of the moment in which it leaves. */
export function outgoing({ channels, position, entry, reduced }: Item, audience: Audience): Outgoing {
  const spread = spreadFor(channels.includes(EVERYBODY) ? audience.total() : audience.count(channels));
  if (!entry) {
    const check: CheckMessage = { check: spread };
    return { channels, position, action: CHECK_ACTION, json: JSON.stringify(check) };
  }
  const { notification, to } = entry;
  const options = { to: to !== undefined, spread: entry.spread === false ? 0 : spread };
  const json = (reduced ? renderReduced : renderFull)(notification, position, options);
  return { channels, position, action: notification.action, json };
}
