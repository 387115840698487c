/**
 * What a node holds of the log: the retained window, indexed by channel and compacted, so that its size and the cost of
 * a replay depend on how many distinct objects changed and not on how often.
 */
import { audienceChannel, type Channel, channelOf, everyChannelOf } from '../adapters/channel.js';
import type { Logged, LogWindow, NotificationEntry, ResyncEntry, RevokeEntry } from '../adapters/contract.js';
import { comparePositions, isAfter, type Position } from '../adapters/position.js';
import type { Latest } from '../adapters/protocol.js';
import type { HistoryReader, Kept } from '../adapters/reading.js';
import { channelsOf, everyOf, mergeEntries, type Route, routeOf } from '../adapters/route.js';
import { createOrder, type Linked } from './order.js';
import { replayOf } from './replay.js';

export interface History extends HistoryReader {
  /** The position of the last dropped entry: nothing after it is missing. */
  readonly floor: Position;
  /** How many compacted entries it holds. */
  size(): number;
  /** Takes a batch in the order of the log. `live`: it was tailed now, not loaded at the start. */
  apply(logged: Logged, live: boolean): void;
  /** Forgets everything: the log is another one, or went on without this node. */
  reset(window: LogWindow): void;
  /** Marks everything up to now as loaded, not lived through. */
  start(window: LogWindow): void;
  /** Ends a right before the log has it: cancels every grant that was made up to now. */
  revoke(entry: RevokeEntry): void;
  /** Drops what is older than the retention. */
  expire(): void;
  /** All that came after a position, of all channels, each ascending: for the relay. */
  after(position: Position): Later;
  /** Whether revocations after this position may have been forgotten, so that a grant made there cannot be judged. */
  forgotten(position: Position): boolean;
}

export interface HistoryOptions {
  /** Milliseconds. */
  readonly retention: number;
  /** How many compacted entries are kept; the oldest go first, and raise the floor. */
  readonly cap: number;
  /** Monotonic clock, milliseconds. */
  readonly now: () => number;
}

/** What came after a position. */
export interface Later {
  /** By channel and key the newest; a notification on two channels is there twice. */
  readonly kept: readonly Kept[];
  /** Each once. */
  readonly marks: readonly { readonly position: Position; readonly entry: ResyncEntry | RevokeEntry }[];
}

/** With its place among all. It changes with the next entry of its key. */
interface Placed extends Changing<Kept>, Linked<Placed> {}

type Changing<T> = { -readonly [Key in keyof T]: T[Key] };

interface Marked {
  readonly position: Position;
  readonly entry: ResyncEntry | RevokeEntry;
  readonly at: number;
  /** It is not in the log yet: `position` is the top of that moment, at which grants may have been made before it. */
  readonly early?: true;
}

/** The key under which `resync` and `revoke` of everything are kept. No channel is empty. */
const EVERYTHING = '';

export function createHistory(window: LogWindow, { retention, cap, now }: HistoryOptions): History {
  const channels = new Map<Channel, Map<string, Placed>>();
  /** Every kept entry, ascending: what replaces another is put at the end. */
  const order = createOrder<Placed>();
  /** Resyncs by channel, and revocations by user and channel: keys of their own, which no notification replaces. */
  const resyncs = new Map<string, Marked>();
  const revocations = new Map<string, Marked>();
  let { top, floor } = window;
  let revocationFloor = floor;
  let knownSince = now();

  function keep(
    channel: Channel,
    route: Route,
    position: Position,
    entry: NotificationEntry,
    at: number | undefined,
  ): Placed {
    let keys = channels.get(channel);
    if (!keys) {
      keys = new Map();
      channels.set(channel, keys);
    }
    const older = keys.get(route.key);
    if (older) {
      order.remove(older);
      // In its place, and routed as its last one was: what lives long already need not be made again. With the collector's
      // work that is a fifth of what an entry costs.
      if (entry.to !== undefined || channel === route.reduced) older.route = route;
      older.position = position;
      older.at = at;
      older.entry = mergeEntries(older.entry, entry);
      order.add(older);
      return older;
    }
    const kept: Placed = { channel, position, route, at, entry, before: undefined, behind: undefined };
    keys.set(route.key, kept);
    order.add(kept);
    return kept;
  }

  function drop(kept: Placed): void {
    order.remove(kept);
    const keys = channels.get(kept.channel);
    keys?.delete(kept.route.key);
    if (keys?.size === 0) channels.delete(kept.channel);
    if (isAfter(kept.position, floor)) floor = kept.position;
    if (kept.at !== undefined && kept.at > knownSince) knownSince = kept.at;
  }

  function trim(): void {
    for (const kept of order) {
      if (order.size() <= cap) break;
      drop(kept);
    }
  }

  function revoke(entry: RevokeEntry, mark: Marked): void {
    const scopes =
      entry.object === undefined
        ? [EVERYTHING]
        : entry.object.id === undefined
          ? channelsOf(entry.object)
          : [channelOf(entry.object)];
    for (const user of entry.users)
      for (const scope of scopes) renew(revocations, `${audienceChannel('user', user)} ${scope}`, mark);
  }

  function resyncAfter(channel: Channel, after: Position): boolean {
    const every = everyOf(channel);
    return [EVERYTHING, channel, ...(every === undefined ? [] : [every])].some((scope) => {
      const mark = resyncs.get(scope);
      return mark !== undefined && isAfter(mark.position, after);
    });
  }

  function clear(next: LogWindow): void {
    channels.clear();
    order.clear();
    resyncs.clear();
    revocations.clear();
    ({ top, floor } = next);
    revocationFloor = top;
    knownSince = now();
  }

  return {
    get top() {
      return top;
    },
    get floor() {
      return floor;
    },
    forgotten: (position) => (comparePositions(position, revocationFloor) ?? -1) < 0,
    known: () => Math.max(0, now() - knownSince),
    size: order.size,
    start(loaded) {
      // The cap may have raised the floor meanwhile, and the tail may have gone on already.
      if (!isAfter(floor, loaded.floor)) ({ floor } = loaded);
      if (!isAfter(top, loaded.top)) ({ top } = loaded);
      revocationFloor = loaded.floor;
      knownSince = now();
    },
    reset: clear,
    revoke: (entry) => revoke(entry, { position: top, entry, at: now(), early: true }),
    apply({ position, entry }, live) {
      if (!isAfter(top, position)) top = position;
      // Rounded up, so that nothing looks older than it is. A fraction would be an object of its own in each entry.
      const at = Math.ceil(now());
      if (entry.kind === 'resync') {
        const scopes = entry.objects ? entry.objects.flatMap(channelsOf) : [EVERYTHING];
        for (const scope of scopes) renew(resyncs, scope, { position, entry, at });
      } else if (entry.kind === 'revoke') {
        revoke(entry, { position, entry, at });
      } else {
        const since = live ? at : undefined;
        let route = routeOf(entry);
        for (const channel of route.full) ({ route } = keep(channel, route, position, entry, since));
        if (route.reduced !== undefined) keep(route.reduced, route, position, entry, since);
        if (order.size() > cap) trim();
      }
    },
    expire() {
      const oldest = now() - retention;
      for (const kept of order) {
        if ((kept.at ?? knownSince) > oldest) break;
        drop(kept);
      }
      for (const [scope, mark] of resyncs) {
        if (mark.at > oldest) break;
        resyncs.delete(scope);
        if (isAfter(mark.position, floor)) floor = mark.position;
      }
      for (const [scope, mark] of revocations) {
        if (mark.at > oldest) break;
        revocations.delete(scope);
        if (isAfter(mark.position, revocationFloor)) revocationFloor = mark.position;
      }
    },
    after(position) {
      const marks = new Map<Position, Marked>();
      for (const scopes of [resyncs, revocations]) {
        for (const mark of scopes.values())
          if (!mark.early && isAfter(mark.position, position)) marks.set(mark.position, mark);
      }
      return {
        kept: [...order].filter((kept) => isAfter(kept.position, position)),
        marks: [...marks.values()].sort((a, b) => comparePositions(a.position, b.position) ?? 0),
      };
    },
    read(after) {
      const resync: Channel[] = [];
      const from = new Map<Channel, Position>();
      for (const [channel, position] of after) {
        if (position === null) continue;
        const aboveFloor = comparePositions(position, floor);
        const belowTop = comparePositions(top, position);
        if (
          aboveFloor === undefined ||
          aboveFloor < 0 ||
          belowTop === undefined ||
          belowTop < 0 ||
          resyncAfter(channel, position)
        ) {
          resync.push(channel);
          continue;
        }
        from.set(channel, position);
        const every = everyOf(channel);
        if (every === undefined) continue;
        // What concerns every object is read from the earliest of its objects' positions; the client drops what it saw.
        const earliest = from.get(every);
        if (earliest === undefined || isAfter(earliest, position)) from.set(every, position);
      }
      return { resync, replay: from.size === 0 ? [] : replayOf(channels, from) };
    },
    latest(channel, own) {
      const every = everyOf(channel);
      // Most channels of a stream have no news.
      const quiet = !channels.has(channel) && !(every !== undefined && channels.has(every));
      if (quiet && !own.some((address) => channels.has(address))) return undefined;
      const found = new Map<string, Latest>();
      const note = ({ position, at, entry }: Kept): void => {
        const { action, changedDate, unordered } = entry.notification;
        const other = found.get(action);
        if (other && isAfter(other.position, position)) return;
        // The reduced rendering tells no changed date; nor does this.
        const dated = every === undefined ? {} : { changedDate, ...(unordered && { unordered }) };
        // Never rounded up: an entry that looks older than the page's data would not be refreshed for.
        found.set(action, { position, age: at === undefined ? 0 : Math.max(0, Math.floor(now() - at)), ...dated });
      };
      for (const kept of channels.get(channel)?.values() ?? []) note(kept);
      if (every !== undefined) for (const kept of channels.get(every)?.values() ?? []) note(kept);
      for (const address of own)
        for (const kept of channels.get(address)?.values() ?? []) if (concerns(kept, channel)) note(kept);
      return found.size === 0 ? undefined : Object.fromEntries(found);
    },
    revoked(users, channel, position) {
      if (revocations.size === 0) return false;
      const every = everyOf(channel);
      return users.some((user) =>
        [EVERYTHING, channel, ...(every === undefined ? [] : [every])].some((scope) => {
          const mark = revocations.get(`${audienceChannel('user', user)} ${scope}`);
          if (mark === undefined) return false;
          // A grant notes its position before the right is asked: one that was noted at the revocation's own place in
          // the log was asked after it. If that one were cancelled too, a quiet log would never take its user again.
          const order = comparePositions(mark.position, position) ?? 1;
          return mark.early ? order >= 0 : order > 0;
        }),
      );
    },
  };
}

/** Puts a mark at the end of its map, which keeps the map in ascending time. */
function renew(marks: Map<string, Marked>, key: string, mark: Marked): void {
  marks.delete(key);
  marks.set(key, mark);
}

/** Whether an addressed entry concerns a channel: as for others, a list hears of each object, an object of the whole. */
function concerns({ entry: { notification } }: Kept, channel: Channel): boolean {
  const list = channelOf({ entity: notification.entity });
  return (
    channel === list ||
    (notification.id === undefined
      ? everyOf(channel) === everyChannelOf(notification.entity)
      : channel === channelOf(notification))
  );
}
