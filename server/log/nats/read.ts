/**
 * Reads what comes after a position: every message by its number, so that one which is not there is noticed. In the common
 * case it is one round trip: what hints have told of is asked for together with where the stream stands.
 */
import type { LogEntry, Logged } from '../../../adapters/contract.js';
import { comparePositions, epochOf, type Position } from '../../../adapters/position.js';
import type { Slice } from '../shared/driver.js';
import { getMessage, type StoredMessage } from './api.js';
import { bulk } from './bulk.js';
import type { Session } from './link.js';
import type { Names } from './names.js';
import { endOf, nextAfter, placeOf } from './places.js';
import type { Standing } from './standing.js';

/** How often a window is begun anew because its beginning expired. */
const RESTARTS = 5;
/** From so many messages on, a consumer for the moment brings them; it costs two round trips more. */
const BULK = 100;

export interface ReadOptions {
  readonly session: Session;
  readonly names: Names;
  readonly standing: () => Promise<Standing>;
  /** A message was taken out of the middle of the stream. */
  readonly missing: (epoch: string, seq: number) => Promise<void>;
  /** A message that is none of this log. */
  readonly strange: (message: StoredMessage) => void;
}

interface Found {
  readonly messages: ReadonlyMap<number, StoredMessage>;
  /** What is above this number was not asked for, or not brought. */
  readonly upTo: number;
}

const NOTHING: Found = { messages: new Map(), upTo: 0 };

interface Collected {
  readonly entries: readonly Logged[];
  readonly more: boolean;
  /** The first number that has no message. */
  readonly hole?: number | undefined;
  /** The one that had one when the epoch was made. */
  readonly lost?: number;
}

export async function read(options: ReadOptions, after: Position | undefined, limit: number): Promise<Slice> {
  const { session, names, standing, missing, strange } = options;
  const { wire } = session;
  const next = after === undefined ? 0 : nextAfter(after);

  /** As many as a slice may need, not more than it can hold: twice as many each `time` that they were too few. */
  async function fetch(from: number, to: number, time = 0): Promise<Found> {
    const needed = Math.ceil(limit / session.perMessage) * 2 ** time + 1; // the first may have been read in part
    const count = Math.max(0, Math.min(to - from + 1, limit, needed));
    const came =
      count >= BULK
        ? await bulk(wire, names.log, from, count)
        : await Promise.all(Array.from({ length: count }, (_, index) => getMessage(wire, names.log, from + index)));
    const messages = new Map(came.flatMap((message) => (message ? [[message.seq, message]] : [])));
    return { messages, upTo: Math.max(0, ...messages.keys()) };
  }

  async function collect(from: number, { epoch, last, whole }: Standing, ahead: Found): Promise<Collected> {
    const entries: Logged[] = [];
    let found = ahead;
    let hole: number | undefined;
    let [times, messages, held] = [0, 0, 0];
    for (let seq = from; seq <= last; seq++) {
      if (seq > found.upTo) found = await fetch(seq, last, times++);
      // What a consumer did not bring may be there all the same.
      const message = found.messages.get(seq) ?? (await getMessage(wire, names.log, seq));
      if (!message) {
        hole ??= seq;
        if (seq > whole) return { entries, more: false, hole, lost: seq };
        continue;
      }
      const all = entriesOf(epoch, message, strange);
      messages += 1;
      held += all.length;
      session.perMessage = Math.max(1, held / messages);
      for (const logged of all) {
        if (after !== undefined && (comparePositions(logged.position, after) ?? 1) <= 0) continue;
        if (entries.length === limit) return { entries, more: true, hole };
        entries.push(logged);
      }
    }
    return { entries, more: false, hole };
  }

  const isKnown = (epoch: string): boolean => after !== undefined && epochOf(after) === epoch;
  // Never so many that they are worth a consumer.
  const asked = isKnown(session.epoch) ? fetch(next, Math.min(session.newest, next + BULK - 2)) : NOTHING;
  let [at, ahead] = await Promise.all([standing(), asked]);
  if (isKnown(at.epoch)) {
    // What was appended between the two questions is part of the answer.
    let { last } = at;
    while (ahead.messages.has(last + 1)) last += 1;
    at = { ...at, last };
  }
  // Another log, or more than there is, or trimmed past: the slice shows it.
  if (after !== undefined && (!isKnown(at.epoch) || next > at.last || next < at.first)) return sliceOf(at);

  for (let n = 0; n <= RESTARTS; n++) {
    const { hole, lost, ...collected } = await collect(after === undefined ? at.first : next, at, ahead);
    if (hole === undefined) return sliceOf(at, collected);
    // It has expired meanwhile, or was known when the epoch was made, or somebody took it out.
    const now = await standing();
    const kept = now.epoch === at.epoch && now.first <= hole;
    if (kept && lost === undefined) return sliceOf(at, collected);
    if (kept && lost !== undefined) await missing(at.epoch, lost);
    at = kept ? await standing() : now;
    if (after !== undefined) return sliceOf(at);
    ahead = NOTHING; // nothing of the former epoch may get the new one
  }
  throw new Error('the NATS stream changes faster than it is read');
}

function sliceOf({ epoch, first, last }: Standing, { entries, more }: Collected = { entries: [], more: false }): Slice {
  return { floor: endOf(epoch, first - 1), top: endOf(epoch, last), entries, more };
}

function entriesOf(epoch: string, message: StoredMessage, strange: (message: StoredMessage) => void): Logged[] {
  const { seq, data } = message;
  try {
    const entries = JSON.parse(data) as LogEntry[];
    return entries.map((entry, index) => ({ position: placeOf(epoch, seq, index, entries.length), entry }));
  } catch {
    strange(message);
    return [];
  }
}
