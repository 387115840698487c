/** The history of a node alone: what it costs to put an entry in, to drop one, and to read it, by how much there is. */
import type { Logged } from '../../adapters/contract.js';
import { renderFull } from '../../adapters/notification.js';
import { makePosition, type Position } from '../../adapters/position.js';
import { createHistory, type History } from '../../server/history.js';
import { serveParent } from '../kit/child.js';

export interface HistoryAnswers {
  /** Each entry is of an object of its own, in a history that is full with `size`: each one drops another. */
  append(size: number): number;
  /** Entries of so many objects in turn. */
  notify(objects: number): number;
  /** Entries that grew too old, of a history that held `size`; for each. */
  expire(size: number): number;
  /** A replay of 20 objects of so many, each of which was notified since, written as JSON. */
  read(objects: number): number;
}

/** Entries of one measurement, or as many as it takes to reach that. */
const ENTRIES = 20_000;
const READS = 500;
const CHANNELS = 20;
const RETENTION = 60_000;
const EPOCH = 'bench';

/** Moved by hand, so that nothing grows old by itself. */
let time = 0;
const now = (): number => time;

const histories = new Map<string, { readonly history: History; offset: number }>();

/** Kept from round to round, so that each is measured as it is after a long while. */
function historyOf(
  name: string,
  objects: number,
  cap = Number.POSITIVE_INFINITY,
): { history: History; offset: number } {
  const known = histories.get(name);
  if (known) return known;
  const start = makePosition(EPOCH, 0);
  const history = createHistory({ top: start, floor: start }, { retention: RETENTION, cap, now });
  const made = { history, offset: 0 };
  histories.set(name, made);
  put(made, entries(made, objects * 2, objects));
  return made;
}

/** About so many objects in turn; without: each about another. */
function entries(to: { offset: number }, count: number, objects = Number.POSITIVE_INFINITY): Logged[] {
  return Array.from({ length: count }, () => {
    to.offset += 1;
    const id = String(to.offset % objects);
    const notification = { entity: 'Order', id, action: 'updated', changedDate: to.offset, notifier: 'Ann' };
    return { position: makePosition(EPOCH, to.offset), entry: { kind: 'notification', notification } };
  });
}

function put({ history }: { readonly history: History }, some: readonly Logged[]): void {
  for (const logged of some) history.apply(logged, true);
}

/** CPU of all threads, in microseconds for each. */
function costOf(count: number, run: () => void): number {
  const before = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / count;
}

serveParent<HistoryAnswers>({
  append(size) {
    const one = historyOf(`append ${size}`, 0, size);
    if (one.offset === 0) put(one, entries(one, size * 2));
    const some = entries(one, ENTRIES);
    return costOf(ENTRIES, () => put(one, some));
  },
  notify(objects) {
    const one = historyOf(`notify ${objects}`, objects);
    const some = entries(one, ENTRIES, objects);
    return costOf(ENTRIES, () => put(one, some));
  },
  expire(size) {
    const one = historyOf('expire', 0);
    let sum = 0;
    let dropped = 0;
    while (dropped < ENTRIES) {
      put(one, entries(one, size));
      time += RETENTION + 1;
      sum += costOf(1, one.history.expire);
      dropped += size;
    }
    return sum / dropped;
  },
  read(objects) {
    const one = historyOf(`notify ${objects}`, objects);
    const before = one.history.top;
    put(one, entries(one, objects, objects));
    const step = Math.max(1, Math.floor(objects / CHANNELS));
    const after = new Map<string, Position>();
    for (let id = 0; id < objects && after.size < CHANNELS; id += step) after.set(`Order/${id}`, before);
    globalThis.gc?.();
    let length = 0;
    const cost = costOf(READS, () => {
      for (let n = 0; n < READS; n++)
        for (const { kept } of one.history.read(after).replay)
          length += renderFull(kept.entry.notification, kept.position).length;
    });
    if (length === 0) throw new Error('nothing was read');
    return cost;
  },
});
