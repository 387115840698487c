/**
 * Where the log stands: its epoch and which messages the stream has. The epoch is one message of the state stream, changed
 * by compare-and-set, with what it was true of: the stream (when it was made) and the run of the server. See docs/nats.md
 * for what makes it a new one, and for the races.
 */
import { newEpoch } from '../window.js';
import { getMessage, publish, type StreamInfo, streamInfo } from './api.js';
import type { Names } from './names.js';
import { NobodyError, type Wire } from './wire.js';

export interface Standing {
  readonly epoch: string;
  /** The number of the oldest message; one above `last` when there is none. */
  readonly first: number;
  /** The number of the newest message that ever was; 0 before the first. */
  readonly last: number;
  /** Up to this number messages may be missing: they were when the epoch was made. */
  readonly whole: number;
}

interface EpochRecord {
  readonly epoch: string;
  readonly created: string;
  /** The run of the server whose end may lose acknowledged entries; `''`: there is none such. */
  readonly run: string;
  /** The number of the newest message when the epoch was made. */
  readonly since: number;
}

export interface StandingOptions {
  readonly names: Names;
  /** The server syncs before it acknowledges, as the operator vouches. */
  readonly durable: boolean;
}

/** Nodes that change the epoch at once: all but one read again. More than a few rounds mean that it never settles. */
const ROUNDS = 5;

/**
 * Reads it, in one round trip. What does not fit the stream or the run is changed before this resolves. Rejects with a
 * {@link NobodyError} when a stream is not there.
 */
export async function readStanding(wire: Wire, { names, durable }: StandingOptions): Promise<Standing> {
  for (let round = 0; round < ROUNDS; round++) {
    const [stored, info] = await Promise.all([getMessage(wire, names.state, names.epoch), streamInfo(wire, names.log)]);
    if (!info) throw new NobodyError('the stream of the log is not there');
    const { created, state } = info;
    const run = durable || info.config.num_replicas > 1 ? '' : runOf(info, wire);
    const record = stored && (JSON.parse(stored.data) as EpochRecord);
    if (record?.created === created && (run === '' || record.run === run)) {
      const { messages, first_seq, last_seq } = state;
      const first = messages === 0 ? last_seq + 1 : first_seq;
      return { epoch: record.epoch, first, last: last_seq, whole: record.since };
    }
    await write(wire, names, { epoch: newEpoch(), created, run, since: state.last_seq }, stored?.seq ?? 0);
  }
  throw new Error('the epoch of the NATS log changes faster than it is read');
}

/** Makes the epoch a new one, unless it is not `old` any more. */
export async function renewEpoch(wire: Wire, names: Names, old: string): Promise<void> {
  const [stored, info] = await Promise.all([getMessage(wire, names.state, names.epoch), streamInfo(wire, names.log)]);
  if (!stored || !info) return; // the next read makes one
  const record = JSON.parse(stored.data) as EpochRecord;
  if (record.epoch !== old) return;
  await write(wire, names, { ...record, epoch: newEpoch(), since: info.state.last_seq }, stored.seq);
}

/** Of several that write at once, one does. Who does not finds out by reading again. */
async function write(wire: Wire, names: Names, record: EpochRecord, after: number): Promise<void> {
  await publish(wire, names.state, names.epoch, JSON.stringify(record), after);
}

/**
 * The only server that has the stream: when it restarts, what it had acknowledged and not synced may be gone. Its id is
 * known of the connection, so it must be the server at the other end.
 */
function runOf({ cluster, config }: StreamInfo, { info }: Wire): string {
  const holder = cluster?.leader;
  if (holder !== undefined && holder !== info.server_name)
    throw new Error(
      `the stream "${config.name}" has one copy, on another server than the one that was connected to, so that a loss there could not be noticed: give it three (?replicas=3), connect to that server only, or let it sync always and say so (?durable=true)`,
    );
  return info.server_id;
}
