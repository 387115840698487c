/**
 * Carries entries from the node's log to its live connections: once per tick, each rendering built once, joined for all
 * connections that get the same, written to the socket, conflated for those that do not read.
 *
 * About 300 lines long, because it is the one place where the states of a connection change: open, blocked, leaving, gone.
 */
import { audienceChannel, type Channel, channelOf } from '../channel.js';
import type { Logged, RevokeEntry } from '../contract.js';
import type { Position } from '../position.js';
import type { HistoryReader } from '../reading.js';
import { channelsOf, everyOf } from '../route.js';
import type { Frame, Streams } from '../streams.js';
import { type Connection, newConnection, renderingFor } from './connection.js';
import { createCover, held, union } from './cover.js';
import { createEndings, EXPIRY_INTERVAL } from './endings.js';
import { frameEvent, joinFrames } from './framing.js';
import { createGreetings } from './greetings.js';
import { createOpening } from './opening.js';
import { frameOf, heartbeatFrame } from './rendering.js';
import { createTick } from './tick.js';

export { EXPIRY_INTERVAL };

/** How long a socket may take nothing before the connection is closed: two missed heartbeats. Milliseconds. */
const STALL_LIMIT = 30_000;

export interface HubOptions {
  readonly history: HistoryReader;
  /** Monotonic clock, milliseconds: no change of the wall clock ends or prolongs a stream. */
  readonly monotonic: () => number;
  /** Runs a function after the current turn, before timers. Default `setImmediate`. */
  readonly soon?: (run: () => void) => void;
  /** From 0 up to, not including, 1. Default `Math.random`. */
  readonly random?: () => number;
  /** How many more pages listen, on other nodes or over a hosted provider: they refresh after a resync too. Default none. */
  readonly elsewhere?: () => number;
  /** How many listen to something on all nodes, where so many do on this one. Default: the same, there is no other. */
  readonly everywhere?: (here: number) => number;
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
  /** Something may have been missed up to `position`, on these channels or (`null`) all. */
  resync(channels: readonly Channel[] | null, position: Position): void;
  /** Writes what waits for the end of the tick. */
  flush(): void;
  /** One heartbeat to everybody: with the position that the node has proved, or (`undefined`) degraded. */
  beat(position: Position | undefined): void;
  /** Ends the cover of channels whose grants end, and streams that must be opened anew. Call it every {@link EXPIRY_INTERVAL}. */
  expire(): void;
  /**
   * Says goodbye to everybody and ends the streams, at once or after they were served for `lasts` milliseconds more.
   * Resolves when the last one has left.
   */
  close(within: number, lasts?: number): Promise<void>;
  counts(): HubCounts;
  connections(): number;
}

export function createHub(options: HubOptions): Hub {
  const { history, monotonic, soon = setImmediate, random = Math.random } = options;
  const { elsewhere = () => 0, everywhere = (here: number) => here } = options;
  const connections = new Set<Connection>();
  /** Who listens to a channel. Channels without listeners are not in it. */
  const listeners = new Map<Channel, Set<Connection>>();
  const counts = { delivered: 0, conflated: 0, stalled: 0, resyncs: 0 };
  let serial = 0;
  /** Set by `close`: whoever comes later is sent on at once. */
  let closing: { readonly within: number } | undefined;
  /** Called when the last connection has left. */
  let emptied = (): void => {};
  const everybody = (): number => connections.size + elsewhere();
  const cover = createCover(listeners);
  const endings = createEndings();
  const greetings = createGreetings(random);
  const opening = createOpening({ history, listeners, counts, everywhere });

  /** Writes to a connection that is not blocked. */
  function write(connection: Connection, frame: Frame): void {
    if (!connection.sink.write(frame)) connection.blockedSince = monotonic();
  }

  const tick = createTick({ listeners, soon, write, counts, everywhere });

  /** Sends what must not be conflated, ahead of everything that waits. */
  function control(connection: Connection, frame: Frame): void {
    if (connection.blockedSince === undefined) write(connection, frame);
    else if (connection.control) connection.control.push(frame);
    else connection.control = [frame];
  }

  /** The socket reads again: control frames, then what waited, ascending. */
  function drained(connection: Connection): void {
    if (connection.closed) return;
    connection.blockedSince = undefined;
    const frames = connection.control ?? [];
    connection.control = undefined;
    if (connection.overflowed) {
      connection.overflowed = false;
      counts.resyncs += 1;
      frames.push(frameEvent({ type: 'resync', channels: null }));
    }
    for (const parcel of connection.backlog?.values() ?? []) {
      const rendering = renderingFor(
        connection,
        parcel.route,
        (channel) => listeners.get(channel)?.has(connection) === true,
      );
      if (rendering === undefined) continue;
      frames.push(frameOf(parcel, rendering, 1, true));
      counts.delivered += 1;
    }
    connection.backlog = undefined;
    if (frames.length > 0) write(connection, joinFrames(frames));
  }

  function leave(connection: Connection): void {
    if (connection.closed) return;
    connection.closed = true;
    connections.delete(connection);
    cover.leave(connection);
    connection.backlog = undefined;
    connection.control = undefined;
    connection.onLeave?.();
    endings.forget(connection);
    if (connections.size === 0) emptied();
  }

  function dismiss(connection: Connection, within: number, lasts = 0): void {
    if (connection.closed) return;
    if (lasts > 0 && !connection.sink.collects) {
      if (connection.leaving) return;
      control(connection, greetings.goodbye(within, lasts, connection.standard));
      connection.leaving = true;
      endBy(connection, monotonic() + lasts);
      return;
    }
    if (connection.blockedSince === undefined) {
      if (!connection.leaving) connection.sink.write(greetings.goodbye(within, 0, connection.standard));
      connection.sink.end();
    } else {
      // It would read neither this nor the end: its socket would stay, and the process with it.
      connection.sink.destroy();
    }
    leave(connection);
  }

  /** Sets when the stream ends; one that was told goodbye lasts no longer than it was told. */
  function endBy(connection: Connection, moment: number): void {
    connection.until = connection.leaving ? Math.min(connection.until, moment) : moment;
    endings.watch(connection);
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
        // A standard EventSource cannot ask for a new grant: it comes back, and is asked for then. So is who it is.
        if (connection.standard && (channels.length > 0 || entry.object === undefined)) dismiss(connection, 0);
        else uncover(connection, channels, 'reauthorise');
      }
    }
  }

  function resync(channels: readonly Channel[] | null, position: Position): void {
    tick.flush();
    const [placed, unplaced] = [position, undefined].map((id) =>
      frameEvent({ type: 'resync', channels: null }, id),
    ) as [Frame, Frame];
    const toAll = (id: Position | undefined): Frame => (id === undefined ? unplaced : placed);
    const holders =
      channels === null
        ? connections
        : union(
            channels.filter((channel) => !channel.endsWith('/*')),
            listeners,
          );
    for (const connection of holders) {
      if (channels === null) {
        connection.backlog = undefined;
        connection.overflowed = false;
      }
      counts.resyncs += 1;
      const told = channels?.filter((channel) => connection.covered.has(channel)) ?? null;
      // With its id it is not told again when the stream is opened anew; but ahead of a backlog, or of a replay that is
      // still to come, no id may say that all is well up to here.
      const id = connection.blockedSince === undefined && connection.ready ? position : undefined;
      control(connection, channels === null ? toAll(id) : frameEvent({ type: 'resync', channels: told }, id));
    }
  }

  return {
    open(sink, visitor, hello) {
      const connection = newConnection(sink, visitor, serial);
      connections.add(connection);
      sink.watch({
        drained: () => drained(connection),
        closed() {
          visitor.gone?.();
          leave(connection);
        },
      });
      control(connection, greetings.hello(hello, everybody(), visitor.standard));
      endings.watch(connection);
      if (closing) dismiss(connection, closing.within);
      return connection;
    },
    cover(connection, coverage) {
      if (connection.closed) return false;
      connection.covered = coverage.channels;
      // From here to the end nothing awaits: what is noted, registered and copied belongs to one moment.
      const position = history.top;
      connection.serial = serial;
      connection.ready = true;
      cover.add(connection);
      endBy(connection, coverage.until ?? Number.POSITIVE_INFINITY);
      const frames = opening(connection, position, coverage);
      control(connection, joinFrames(frames));
      return frames.length > 1;
    },
    uncover,
    revoke,
    prolong(connection, channels, ends) {
      for (const channel of channels) if (connection.covered.has(channel)) connection.covered.set(channel, ends);
      endBy(connection, ends);
    },
    deliver({ position, entry }) {
      serial += 1;
      if (entry.kind === 'revoke') revoke(entry);
      else if (entry.kind === 'resync') resync(entry.objects ? held(entry.objects, listeners) : null, position);
      else if (connections.size > 0) tick.add({ position, entry }, serial);
    },
    resync,
    flush: tick.flush,
    beat(position) {
      tick.flush();
      const frame = heartbeatFrame(position, everybody());
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
      tick.flush();
      control(connection, heartbeatFrame(position, everybody()));
    },
    dismiss,
    expire() {
      for (const { connection, channels, stream, farewell } of endings.due(monotonic())) {
        uncover(connection, channels, 'reauthorise');
        if (stream) dismiss(connection, 0);
        else if (farewell) dismiss(connection, connection.farewell?.within ?? 0, connection.farewell?.lasts);
        endings.watch(connection);
      }
    },
    close(within, lasts = 0) {
      tick.flush();
      closing = { within };
      for (const connection of [...connections]) dismiss(connection, within, lasts);
      return new Promise((resolve) => {
        emptied = resolve;
        if (connections.size === 0) resolve();
      });
    },
    connections: () => connections.size,
    counts: () => ({
      ...counts,
      connections: connections.size,
      channels: listeners.size,
      users: new Set([...connections].map((connection) => connection.users[0])).size,
    }),
  };
}
