/** One live stream: what it covers, what it may still be sent, and how it is written. The hub is its only caller. */
import type { Channel } from '../channel.js';
import type { NotificationEntry } from '../contract.js';
import type { Position } from '../position.js';
import { mergeEntries, type Route } from '../route.js';
import type { Frame, Stream, StreamSink, Visitor } from '../streams.js';
import { joinFrames } from './framing.js';

/**
 * Most pending notifications of a connection that does not read. It is bounded by what the connection listens to, except
 * on a user's own channel, where it grows with the objects addressed; beyond, one `resync` says the same.
 */
export const MAX_BACKLOG = 2_000;

/** An entry on its way to connections. */
export interface Parcel {
  readonly position: Position;
  readonly entry: NotificationEntry;
  readonly route: Route;
  /** Rising with every entry of this node: a connection takes only those that came after its opening. */
  readonly serial: number;
}

/**
 * What a connection is sent in one tick, as a path in a tree that all connections share: those that get the same frames
 * end at the same node, so that the frames are joined once for all of them.
 */
export interface Batch {
  readonly frame: Frame | undefined;
  readonly before: Batch | undefined;
  /** The child that was asked for last. Most have no other, so that appending is one comparison: a tenth of a map's time. */
  latest: Batch | undefined;
  /** All children, once there are two. */
  others: Map<Frame, Batch> | undefined;
  joined: Frame | undefined;
}

export function emptyBatch(): Batch {
  return newBatch(undefined, undefined);
}

function newBatch(frame: Frame | undefined, before: Batch | undefined): Batch {
  return { frame, before, latest: undefined, others: undefined, joined: undefined };
}

/** The same path and one frame more. */
export function extend(batch: Batch, frame: Frame): Batch {
  const { latest } = batch;
  if (latest?.frame === frame) return latest;
  let child = batch.others?.get(frame);
  if (!child) {
    child = newBatch(frame, batch);
    if (latest) {
      batch.others ??= new Map([[latest.frame as Frame, latest]]);
      batch.others.set(frame, child);
    }
  }
  batch.latest = child;
  return child;
}

/** All frames of the path as one. */
export function joined(batch: Batch): Frame {
  if (batch.joined) return batch.joined;
  const frames: Frame[] = [];
  for (let at: Batch | undefined = batch; at?.frame; at = at.before) frames.push(at.frame);
  batch.joined = joinFrames(frames.reverse());
  return batch.joined;
}

export interface Connection extends Stream, Visitor {
  readonly sink: StreamSink;
  /** The covered channels, each with the end of its grant on the monotonic clock. */
  covered: Map<Channel, number>;
  /** When it must have been opened anew, on the monotonic clock: whoever is not logged in any more cannot. */
  until: number;
  /** In which interval it is looked at for what ends: see `endings.ts`. */
  endsIn: number | undefined;
  /** Entries with a serial at or below it were part of its replay. */
  serial: number;
  /** Goodbye was said, and it is served until the stream ends. */
  leaving: boolean;
  /** It was covered: its position means something. */
  ready: boolean;
  /** What this tick sends it. */
  batch: Batch | undefined;
  /** Since when its socket has taken nothing more, on the monotonic clock. */
  blockedSince: number | undefined;
  /** What waits while it is blocked: control frames first, then the newest parcel of each key, ascending. */
  control: Frame[] | undefined;
  backlog: Map<string, Parcel> | undefined;
  /** The backlog was given up: one resync for everything takes its place. */
  overflowed: boolean;
  closed: boolean;
  /** Called once when it is gone. */
  onLeave: (() => void) | undefined;
}

/** What a connection covers before its cover, and when it has gone. Nobody adds to it. */
export const NOTHING: Map<Channel, number> = new Map();

/** One that has been told nothing, and covers nothing. */
export function newConnection(sink: StreamSink, visitor: Visitor, serial: number): Connection {
  const { users, own, standard, farewell } = visitor;
  return {
    // What each delivery looks at comes first: it lies in one line of the processor's cache.
    sink,
    serial,
    blockedSince: undefined,
    batch: undefined,
    users,
    own,
    standard,
    farewell,
    covered: NOTHING,
    until: Number.POSITIVE_INFINITY,
    endsIn: undefined,
    leaving: false,
    ready: false,
    control: undefined,
    backlog: undefined,
    overflowed: false,
    closed: false,
    onLeave: undefined,
  };
}

/** Whether the connection gets the entry in full, reduced, or (`undefined`) not at all. */
export function renderingFor(
  connection: Connection,
  route: Route,
  every: (channel: Channel) => boolean,
): 'full' | 'reduced' | undefined {
  if (
    route.full.some((channel) => connection.covered.has(channel) || connection.own.includes(channel) || every(channel))
  )
    return 'full';
  return route.reduced !== undefined && connection.covered.has(route.reduced) ? 'reduced' : undefined;
}

/** Puts a parcel behind those that wait, in the place of an older one of the same key. */
export function defer(connection: Connection, parcel: Parcel, rendering: 'full' | 'reduced'): 'added' | 'conflated' {
  // Reduced parcels of one list and action merge, whatever their object: nobody could tell them apart.
  const scope = rendering === 'full' ? parcel.route.full.join() : parcel.route.reduced;
  const key = `${scope} ${parcel.route.key} ${rendering}`;
  connection.backlog ??= new Map();
  const { backlog } = connection;
  const older = backlog.get(key);
  backlog.delete(key);
  backlog.set(key, older ? { ...parcel, entry: mergeEntries(older.entry, parcel.entry) } : parcel);
  if (backlog.size > MAX_BACKLOG) {
    backlog.clear();
    connection.overflowed = true;
  }
  return older ? 'conflated' : 'added';
}
