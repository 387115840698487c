/**
 * Reads what comes after a position: every message by its number, so that one which is not there is noticed. In the common
 * case it is one round trip: what hints have told of is asked for together with where the stream stands.
 */
import type { LogEntry, Logged } from '../../../adapters/contract.js';
import { comparePositions, epochOf, type Position } from '../../../adapters/position.js';
import type { Slice } from '../shared/driver.js';
import { getMessage, type StoredMessage } from './api.js';
import type { Session } from './link.js';
import type { Names } from './names.js';
import { endOf, nextAfter, placeOf } from './places.js';
import type { Standing } from './standing.js';

/** How often a window is begun anew because its beginning expired. */
const RESTARTS = 5;
/** Messages that are asked for at once: each may be as large as the server's limit. */
const AT_ONCE = 200;

export interface ReadOptions {
  readonly session: Session;
  readonly names: Names;
  readonly standing: () => Promise<Standing>;
  /** A message was taken out of the middle of the stream. */
  readonly missing: (epoch: string, seq: number) => Promise<void>;
  /** A message that is none of this log. */
  readonly strange: (message: StoredMessage) => void;
}

type Found = ReadonlyMap<number, StoredMessage>;

export async function read(
  { session, names, standing, missing, strange }: ReadOptions,
  after: Position | undefined,
  limit: number,
): Promise<Slice> {
  const { wire } = session;
  let restarts = 0;
  const next = after === undefined ? Number.POSITIVE_INFINITY : nextAfter(after);

  async function fetch(from: number, to: number): Promise<Found> {
    const count = Math.max(0, Math.min(to - from + 1, limit, AT_ONCE));
    const messages = await Promise.all(
      Array.from({ length: count }, (_, index) => getMessage(wire, names.log, from + index)),
    );
    return new Map(messages.flatMap((message) => (message ? [[message.seq, message]] : [])));
  }

  const ahead = after !== undefined && epochOf(after) === session.epoch ? fetch(next, session.newest) : NONE;
  // Its rejection is heard below; it must not be unheard when the other rejects first.
  ahead.catch(() => {});
  let { epoch, first, last, whole } = await standing();
  let found = await ahead;
  const began = epoch;
  const known = after !== undefined && epochOf(after) === epoch;
  // What was appended between the two questions is part of the answer.
  while (known && found.has(last + 1)) last += 1;

  const entries: Logged[] = [];
  const slice = (more: boolean): Slice => ({ floor: endOf(epoch, first - 1), top: endOf(epoch, last), entries, more });
  // Another log, or more than there is, or trimmed past: the slice shows it.
  if (after !== undefined && (!known || next > last || next < first)) return slice(false);

  for (let seq = known ? next : first; seq <= last; seq++) {
    if (!found.has(seq)) found = await fetch(seq, last);
    const message = found.get(seq);
    if (message) {
      for (const logged of entriesOf(epoch, message, strange)) {
        if (after !== undefined && (comparePositions(logged.position, after) ?? 1) <= 0) continue;
        if (entries.length === limit) return slice(true);
        entries.push(logged);
      }
    } else if (seq > whole) {
      ({ epoch, first, last, whole } = await standing());
      // Expired while we read, or the epoch of another node. Else somebody took it out.
      if (epoch === began && first <= seq) {
        await missing(epoch, seq);
        ({ epoch, first, last, whole } = await standing());
      }
      entries.length = 0;
      if (after !== undefined) return slice(false);
      // The window is read anew. Nothing of the old one may get the new epoch.
      if (++restarts > RESTARTS) throw new Error('the NATS stream changes faster than it is read');
      found = new Map();
      seq = first - 1;
    }
  }
  return slice(false);
}

const NONE: Promise<Found> = Promise.resolve(new Map());

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
