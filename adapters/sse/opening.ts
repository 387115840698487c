/** What a connection is written when it is covered: what it may not hear, what it missed, what cannot be told, `ready`. */
import type { Channel } from '../channel.js';
import type { NotificationEntry } from '../contract.js';
import type { Position } from '../position.js';
import type { LatestByAction } from '../protocol.js';
import type { HistoryReader, Kept } from '../reading.js';
import type { Coverage, Frame } from '../streams.js';
import type { Connection } from './connection.js';
import { frameEvent } from './framing.js';
import { frameOf, type Rendering } from './rendering.js';

/** A rendering of a replayed entry, its place, and how many listened to its channel when it was made. */
interface Replayed {
  readonly frame: Frame;
  readonly position: Position;
  readonly audience: number;
}

export interface OpeningOptions {
  readonly history: HistoryReader;
  readonly listeners: ReadonlyMap<Channel, ReadonlySet<Connection>>;
  readonly counts: { delivered: number; resyncs: number };
  /** How many listen on all nodes, where so many do on this one. */
  readonly everywhere: (here: number) => number;
}

/** The frames of an opening, in the protocol's order; the last one is `ready`. */
export type Opening = (connection: Connection, position: Position, coverage: Coverage) => Frame[];

export function createOpening({ history, listeners, counts, everywhere }: OpeningOptions): Opening {
  /** Frames of kept entries that were replayed: a wave of reconnects renders each a few times only. */
  const replayFrames = {
    full: new WeakMap<NotificationEntry, Replayed>(),
    reduced: new WeakMap<NotificationEntry, Replayed>(),
  };

  function replayFrame(kept: Kept, rendering: Rendering, id: boolean): Frame {
    const { entry, position } = kept;
    const audience = everywhere(listeners.get(kept.channel)?.size ?? 1);
    const known = id ? replayFrames[rendering].get(entry) : undefined;
    // An entry that was appended again has a second place. And the first of a wave are few: if all took over their wait,
    // which is none, thousands would refetch at once.
    if (known?.position === position && audience <= known.audience * 2) return known.frame;
    const frame = frameOf(kept, rendering, audience, id);
    if (id) replayFrames[rendering].set(entry, { frame, position, audience });
    return frame;
  }

  function latestOf(connection: Connection): Record<Channel, LatestByAction> | undefined {
    let latest: Record<Channel, LatestByAction> | undefined;
    for (const channel of connection.covered.keys()) {
      const news = history.latest(channel, connection.own);
      if (!news) continue;
      latest ??= {};
      latest[channel] = news;
    }
    return latest;
  }

  /** The newest `ready` without news: connections that come in one millisecond share it, so a wave makes few. */
  let quiet: { readonly position: Position; readonly known: number; readonly frame: Frame } | undefined;

  function readyFrame(connection: Connection, position: Position): Frame {
    const known = Math.floor(history.known());
    const latest = latestOf(connection);
    if (latest) return frameEvent({ type: 'ready', position, known, latest }, position);
    if (quiet?.known !== known || quiet.position !== position)
      quiet = { position, known, frame: frameEvent({ type: 'ready', position, known, latest: {} }, position) };
    return quiet.frame;
  }

  return (connection, position, { after, own, refused, reauthorise }) => {
    const { replay, resync } = history.read(own === null ? after : withOwn(after, connection, own));
    const frames: Frame[] = [];
    if (refused.length > 0) frames.push(frameEvent({ type: 'refused', channels: refused }));
    if (reauthorise.length > 0) frames.push(frameEvent({ type: 'reauthorise', channels: reauthorise }));
    for (const { kept, reduced } of replay) {
      // Before a resync that is still to come, no id may say that all is well up to here.
      frames.push(replayFrame(kept, reduced ? 'reduced' : 'full', resync.length === 0));
      counts.delivered += 1;
    }
    if (resync.length > 0) {
      counts.resyncs += 1;
      const ownLost = resync.some((channel) => connection.own.includes(channel));
      frames.push(frameEvent({ type: 'resync', channels: ownLost ? null : resync }));
    }
    frames.push(readyFrame(connection, position));
    return frames;
  };
}

function withOwn(
  after: ReadonlyMap<Channel, Position>,
  { own }: Connection,
  position: Position,
): ReadonlyMap<Channel, Position> {
  const all = new Map(after);
  for (const channel of own) all.set(channel, position);
  return all;
}
