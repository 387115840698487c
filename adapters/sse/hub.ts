/**
 * Carries entries from the node's log to its live connections: once per tick, each rendering built once, joined for all
 * connections that get the same, written to the socket, conflated for those that do not read. Nothing here allocates per
 * delivery but the batch tree's look-up; `docs/performance` of the peers measured what per-delivery work costs.
 */
import { audienceChannel, type Channel, channelOf } from '../channel.js';
import type { Logged, ObjectRef, RevokeEntry } from '../contract.js';
import { renderFull, renderReduced } from '../notification.js';
import type { Position } from '../position.js';
import type { LatestByAction } from '../protocol.js';
import type { HistoryReader, Kept } from '../reading.js';
import { channelsOf, everyOf, mergeEntries, routeOf } from '../route.js';
import type { Frame, Streams } from '../streams.js';
import { type Connection, defer, emptyBatch, extend, joined, type Parcel, renderingFor } from './connection.js';
import { createCover } from './cover.js';
import { frameEvent, frameNotification, joinFrames } from './framing.js';

/** How many refreshes a second a notification may cause: the window of the random wait is the listeners over this. */
const REFRESHES_PER_SECOND = 30;
/** Below this a wait is felt and saves nothing; above the longest, being late is worse than the load. Milliseconds. */
const SHORTEST_SPREAD = 3_000;
const LONGEST_SPREAD = 60_000;
/**
 * How often the ends of grants are looked at, in milliseconds. A cover ends at the last look before its grant does: never
 * later than the grant, and less than two of these earlier.
 */
export const EXPIRY_INTERVAL = 250;
/** How long a socket may take nothing before the connection is closed: two missed heartbeats. Milliseconds. */
const STALL_LIMIT = 30_000;

export interface HubOptions {
  readonly history: HistoryReader;
  /** Monotonic and wall clock, milliseconds. */
  readonly monotonic: () => number;
  readonly now: () => number;
  /** Runs a function after the current turn, before timers. Default `setImmediate`. */
  readonly soon?: (run: () => void) => void;
}

export interface HubCounts {
  readonly connections: number;
  readonly channels: number;
  readonly users: number;
  readonly delivered: number;
  readonly conflated: number;
  readonly stalled: number;
  readonly resyncs: number;
}

export interface Hub extends Streams<Connection> {
  /** Ends the cover of what a revocation names, on this node, now. */
  revoke(entry: RevokeEntry): void;
  deliver(logged: Logged): void;
  resync(channels: readonly Channel[] | null): void;
  /** Writes what waits for the end of the tick. */
  flush(): void;
  /** One heartbeat to everybody: with the position that the node has proved, or (`undefined`) degraded. */
  beat(position: Position | undefined): void;
  /** Ends the cover of channels whose grants end, and streams that must be opened anew. Call it every {@link EXPIRY_INTERVAL}. */
  expire(): void;
  /** Says goodbye to everybody and ends the streams. */
  close(within: number): void;
  counts(): HubCounts;
}

export function createHub({ history, monotonic, now, soon = setImmediate }: HubOptions): Hub {
  const connections = new Set<Connection>();
  /** Who listens to a channel. Channels without listeners are not in it. */
  const listeners = new Map<Channel, Set<Connection>>();
  /** What came since the last flush, by channels and key, ascending. */
  const tick = new Map<string, Parcel>();
  /** Connections by the interval in which their earliest grant ends. */
  const ending = new Map<number, Set<Connection>>();
  /** Frames of kept entries that were replayed: a wave of reconnects renders each a few times only. */
  const replayFrames = { full: new WeakMap<Kept, Replayed>(), reduced: new WeakMap<Kept, Replayed>() };
  const counts = { delivered: 0, conflated: 0, stalled: 0, resyncs: 0 };
  let serial = 0;
  let scheduled = false;
  /** Set by `close`: whoever comes later, or was on its way, is sent on at once. */
  let closing: { readonly within: number } | undefined;

  const cover = createCover(listeners);

  function spreadFor(audience: number): number {
    const window = Math.round((audience / REFRESHES_PER_SECOND) * 1_000);
    return window < SHORTEST_SPREAD ? 0 : Math.min(window, LONGEST_SPREAD);
  }

  function schedule(): void {
    if (scheduled) return;
    scheduled = true;
    soon(flush);
  }

  /** Writes to a connection that is not blocked. */
  function write(connection: Connection, frame: Frame): void {
    if (!connection.sink.write(frame)) connection.blockedSince = monotonic();
  }

  /** Sends what must not be conflated, ahead of everything that waits. */
  function control(connection: Connection, frame: Frame): void {
    if (connection.blockedSince !== undefined) connection.control.push(frame);
    else write(connection, frame);
  }

  function frameOf(
    { entry, position }: Pick<Parcel, 'entry' | 'position'>,
    rendering: 'full' | 'reduced',
    audience: number,
    id: boolean,
  ): Frame {
    const options = { to: entry.to !== undefined, spread: entry.spread === false ? 0 : spreadFor(audience) };
    const render = rendering === 'full' ? renderFull : renderReduced;
    return frameNotification(render(entry.notification, position, options), id ? position : undefined);
  }

  function replayFrame(kept: Kept, rendering: 'full' | 'reduced', id: boolean): Frame {
    const audience = listeners.get(kept.channel)?.size ?? 1;
    const known = id ? replayFrames[rendering].get(kept) : undefined;
    // The first of a wave are few: if all took over their wait, which is none, thousands would refetch at once.
    if (known && audience <= known.audience * 2) return known.frame;
    const frame = frameOf(kept, rendering, audience, id);
    if (id) replayFrames[rendering].set(kept, { frame, audience });
    return frame;
  }

  function flush(): void {
    scheduled = false;
    if (tick.size === 0) return;
    const parcels = [...tick.values()];
    tick.clear();
    const root = emptyBatch();
    const dirty: Connection[] = [];

    const give = (connection: Connection, parcel: Parcel, rendering: 'full' | 'reduced', frame: Frame): void => {
      if (connection.serial >= parcel.serial) return;
      if (connection.blockedSince !== undefined) {
        if (defer(connection, parcel, rendering) === 'conflated') counts.conflated += 1;
        return;
      }
      if (connection.batch === undefined) dirty.push(connection);
      connection.batch = extend(connection.batch ?? root, frame);
      counts.delivered += 1;
    };

    for (const parcel of parcels) {
      const { full, reduced } = parcel.route;
      const holders = full.length === 1 ? listeners.get(full[0] as Channel) : union(full, listeners);
      if (holders?.size) {
        const frame = frameOf(parcel, 'full', holders.size, true);
        for (const connection of holders) give(connection, parcel, 'full', frame);
      }
      const lists = reduced === undefined ? undefined : listeners.get(reduced);
      if (lists?.size) {
        let frame: Frame | undefined;
        for (const connection of lists) {
          if (holders?.has(connection)) continue;
          frame ??= frameOf(parcel, 'reduced', lists.size - overlap(lists, holders), true);
          give(connection, parcel, 'reduced', frame);
        }
      }
    }
    for (const connection of dirty) {
      const { batch } = connection;
      connection.batch = undefined;
      if (batch && !connection.closed) write(connection, joined(batch));
    }
  }

  /** The socket reads again: control frames, then what waited, ascending. */
  function drained(connection: Connection): void {
    if (connection.closed) return;
    connection.blockedSince = undefined;
    const frames = connection.control.splice(0);
    if (connection.overflowed) {
      connection.overflowed = false;
      counts.resyncs += 1;
      frames.push(frameEvent({ type: 'resync', channels: null }));
    }
    for (const parcel of connection.backlog.values()) {
      const rendering = renderingFor(
        connection,
        parcel.route,
        (channel) => listeners.get(channel)?.has(connection) === true,
      );
      if (rendering === undefined) continue;
      frames.push(frameOf(parcel, rendering, 1, true));
      counts.delivered += 1;
    }
    connection.backlog.clear();
    if (frames.length > 0) write(connection, joinFrames(frames));
  }

  function leave(connection: Connection): void {
    if (connection.closed) return;
    connection.closed = true;
    connections.delete(connection);
    cover.remove(connection, [...connection.covered.keys(), ...connection.own]);
    connection.backlog.clear();
    connection.control.length = 0;
    connection.onLeave?.();
    for (const waiting of ending.values()) waiting.delete(connection);
  }

  function heartbeat(position: Position | undefined): Frame {
    const spread = spreadFor(connections.size);
    if (position === undefined) return frameEvent({ type: 'heartbeat', degraded: true, spread });
    return frameEvent({ type: 'heartbeat', position, spread }, position);
  }

  function dismiss(connection: Connection, within: number): void {
    if (connection.closed) return;
    if (connection.blockedSince === undefined) {
      connection.sink.write(frameEvent({ type: 'goodbye', within }));
      connection.sink.end();
    } else {
      // It would read neither this nor the end: its socket would stay, and the process with it.
      connection.sink.destroy();
    }
    leave(connection);
  }

  function watchEnd(connection: Connection): void {
    let earliest = connection.until;
    for (const expires of connection.covered.values()) earliest = Math.min(earliest, expires);
    if (connection.closed || earliest === Number.POSITIVE_INFINITY) return;
    const slot = slotOf(earliest);
    const waiting = ending.get(slot);
    if (waiting) waiting.add(connection);
    else ending.set(slot, new Set([connection]));
  }

  function latestOf(connection: Connection): Record<Channel, LatestByAction> {
    const latest: Record<Channel, LatestByAction> = {};
    for (const channel of connection.covered.keys()) {
      const news = history.latest(channel, connection.own);
      if (news) latest[channel] = news;
    }
    return latest;
  }

  function uncover(connection: Connection, channels: readonly Channel[], why: 'refused' | 'reauthorise'): void {
    const covered = channels.filter((channel) => connection.covered.has(channel));
    if (covered.length === 0) return;
    cover.remove(connection, covered);
    control(connection, frameEvent({ type: why, channels: covered }));
  }

  function revoke(entry: RevokeEntry): void {
    const ended = (covered: Channel): boolean => {
      const { object } = entry;
      if (object === undefined) return true;
      return covered === channelOf(object) || (object.id === undefined && everyOf(covered) === channelsOf(object)[1]);
    };
    for (const user of entry.users) {
      for (const connection of [...(listeners.get(audienceChannel('user', user)) ?? [])]) {
        const channels = [...connection.covered.keys()].filter(ended);
        // A standard EventSource cannot ask for a new grant: it comes back, and is asked for then.
        if (connection.standard && channels.length > 0) dismiss(connection, 0);
        else uncover(connection, channels, 'reauthorise');
      }
    }
  }

  function resync(channels: readonly Channel[] | null): void {
    flush();
    const everybody = channels === null ? frameEvent({ type: 'resync', channels: null }) : undefined;
    const holders =
      channels === null
        ? connections
        : union(
            channels.filter((channel) => !channel.endsWith('/*')),
            listeners,
          );
    for (const connection of holders) {
      if (channels === null) {
        connection.backlog.clear();
        connection.overflowed = false;
      }
      counts.resyncs += 1;
      control(
        connection,
        everybody ??
          frameEvent({
            type: 'resync',
            channels: (channels ?? []).filter((channel) => connection.covered.has(channel)),
          }),
      );
    }
  }

  /** The channels of a resync entry, those of an entity's single objects that somebody holds included. */
  function held(objects: readonly ObjectRef[]): readonly Channel[] {
    return objects.flatMap((object) => {
      const [first, second] = channelsOf(object) as [Channel, Channel];
      if (object.id !== undefined) return [first, second];
      return [first, ...[...listeners.keys()].filter((channel) => channel !== second && everyOf(channel) === second)];
    });
  }

  return {
    open(sink, visitor, hello) {
      const connection: Connection = {
        sink,
        ...visitor,
        covered: new Map(),
        until: Number.POSITIVE_INFINITY,
        serial,
        batch: undefined,
        ready: false,
        blockedSince: undefined,
        control: [],
        backlog: new Map(),
        overflowed: false,
        closed: false,
        onLeave: undefined,
      };
      connections.add(connection);
      sink.watch({ drained: () => drained(connection), closed: () => leave(connection) });
      control(connection, frameEvent({ type: 'hello', ...hello, spread: spreadFor(connections.size) }));
      if (closing) dismiss(connection, closing.within);
      return connection;
    },
    cover(connection, coverage) {
      if (connection.closed) return false;
      const { channels, own, refused, reauthorise, until = Number.POSITIVE_INFINITY } = coverage;
      const after = new Map<Channel, Position | null>();
      for (const [channel, { after: position, expires }] of channels) {
        after.set(channel, position);
        connection.covered.set(channel, expires);
      }
      for (const channel of connection.own) after.set(channel, own);
      // From here to the end nothing awaits: what is noted, registered and copied belongs to one moment.
      const position = history.top;
      connection.serial = serial;
      connection.ready = true;
      connection.until = until;
      cover.add(connection);
      watchEnd(connection);
      const { replay, resync: lost } = history.read(after);
      const frames: Frame[] = [];
      if (refused.length > 0) frames.push(frameEvent({ type: 'refused', channels: refused }));
      if (reauthorise.length > 0) frames.push(frameEvent({ type: 'reauthorise', channels: reauthorise }));
      for (const { kept, reduced } of replay) {
        // Before a resync that is still to come, no id may say that all is well up to here.
        frames.push(replayFrame(kept, reduced ? 'reduced' : 'full', lost.length === 0));
        counts.delivered += 1;
      }
      if (lost.length > 0) {
        counts.resyncs += 1;
        const ownLost = lost.some((channel) => connection.own.includes(channel));
        frames.push(frameEvent({ type: 'resync', channels: ownLost ? null : lost }));
      }
      frames.push(
        frameEvent(
          { type: 'ready', position, known: Math.floor(history.known()), latest: latestOf(connection) },
          position,
        ),
      );
      control(connection, joinFrames(frames));
      return frames.length > 1;
    },
    uncover,
    revoke,
    prolong(connection, channels, expires) {
      for (const channel of channels) if (connection.covered.has(channel)) connection.covered.set(channel, expires);
      connection.until = expires;
      watchEnd(connection);
    },
    deliver({ position, entry }) {
      serial += 1;
      if (entry.kind === 'revoke') revoke(entry);
      else if (entry.kind === 'resync') resync(entry.objects ? held(entry.objects) : null);
      else if (connections.size > 0) {
        const route = routeOf(entry);
        const key = `${route.full.join()} ${route.key}`;
        const older = tick.get(key);
        if (older) counts.conflated += 1;
        tick.delete(key);
        tick.set(key, { position, route, serial, entry: older ? mergeEntries(older.entry, entry) : entry });
        schedule();
      }
    },
    resync,
    flush,
    beat(position) {
      flush();
      const frame = heartbeat(position);
      const stalledBefore = monotonic() - STALL_LIMIT;
      for (const connection of connections) {
        // Before its `ready`, an id would make a standard EventSource skip the replay when it reconnects.
        if (connection.blockedSince === undefined) {
          if (connection.ready && !connection.sink.collects) write(connection, frame);
        } else if (connection.blockedSince <= stalledBefore) {
          counts.stalled += 1;
          connection.sink.destroy();
          leave(connection);
        }
      }
    },
    beatOne(connection, position) {
      flush();
      control(connection, heartbeat(position));
    },
    dismiss,
    expire() {
      // What ends before the next look ends now.
      const last = slotOf(now()) + 1;
      for (const [slot, waiting] of [...ending]) {
        if (slot > last) continue;
        ending.delete(slot);
        for (const connection of waiting) {
          const over = [...connection.covered].filter(([, expires]) => slotOf(expires) <= last);
          uncover(
            connection,
            over.map(([channel]) => channel),
            'reauthorise',
          );
          if (slotOf(connection.until) <= last) dismiss(connection, 0);
          watchEnd(connection);
        }
      }
    },
    close(within) {
      flush();
      closing = { within };
      for (const connection of [...connections]) dismiss(connection, within);
    },
    counts: () => ({
      ...counts,
      connections: connections.size,
      channels: listeners.size,
      users: new Set([...connections].map((connection) => connection.users[0])).size,
    }),
  };
}

/** The interval in which a moment lies. */
function slotOf(time: number): number {
  return Math.floor(time / EXPIRY_INTERVAL);
}

/** A rendering of a replayed entry, and how many listened to its channel when it was made. */
interface Replayed {
  readonly frame: Frame;
  readonly audience: number;
}

/** How many are in both. */
function overlap(some: ReadonlySet<Connection>, others: ReadonlySet<Connection> | undefined): number {
  if (!others) return 0;
  const [few, many] = some.size < others.size ? [some, others] : [others, some];
  let both = 0;
  for (const connection of few) if (many.has(connection)) both += 1;
  return both;
}

/** The connections that hold any of the channels. */
function union(
  channels: readonly Channel[],
  listeners: ReadonlyMap<Channel, ReadonlySet<Connection>>,
): Set<Connection> {
  const found = new Set<Connection>();
  for (const channel of channels) for (const connection of listeners.get(channel) ?? []) found.add(connection);
  return found;
}
