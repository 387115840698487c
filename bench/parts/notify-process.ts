/** A notifier on the memory log to which nobody listens, and what its calls cost beside writing the same hint as JSON. */
import { createNotifier } from '../../server/index.js';
import { createMemoryEngine, createMemoryLog } from '../../server/log/memory.js';
import { serveParent } from '../kit/child.js';

/** How notifications are awaited: the first two are an application's, the third is a job that has many to tell of. */
export type Way = 'JSON.stringify' | 'one after the other' | '16 at once' | 'one call for 100';

export interface NotifyAnswers {
  /** CPU of all threads for `calls` hints about `objects` objects in turn, in microseconds. */
  measure(way: Way, objects: number, calls: number): Promise<number>;
}

/** Longer than a run, so that what is measured is not the emptying of the log either. Milliseconds. */
const RETENTION = 30 * 60_000;

const notifier = createNotifier({
  user: () => 'ann',
  canListen: { Order: { one: () => true, all: () => true } },
  env: { NOTIFY_LISTEN_SECRET: 'a secret of the bench, long enough for it' },
  logger: () => {},
  onError: (error) => console.error(error),
  log: createMemoryLog({ engine: createMemoryEngine({ retention: RETENTION }) }),
});

let count = 0;

/** Made before, each later than the last: an application has that of its row at hand, and neither way is charged for it. */
let dates: string[] = [];
const START = Date.now();

const next = (objects: number, n: number): { entity: string; id: number; changedDate: string } => ({
  entity: 'Order',
  id: count++ % objects,
  changedDate: dates[n] as string,
});

const ways: Readonly<Record<Way, (objects: number, calls: number) => unknown>> = {
  'JSON.stringify'(objects, calls) {
    let length = 0;
    for (let n = 0; n < calls; n++) {
      const changedDate = dates[n] as string;
      const hint = { entity: 'Order', id: String(count++ % objects), action: 'updated', changedDate, notifier: 'Ann' };
      length += JSON.stringify(hint).length;
    }
    return length; // so that no call can be left out
  },
  async 'one after the other'(objects, calls) {
    for (let n = 0; n < calls; n++) await notifier.notify('updated', next(objects, n), { notifier: 'Ann' });
  },
  async '16 at once'(objects, calls) {
    for (let n = 0; n < calls; n += 16) {
      const some = [];
      for (let k = 0; k < 16; k++) some.push(notifier.notify('updated', next(objects, n + k), { notifier: 'Ann' }));
      await Promise.all(some);
    }
  },
  async 'one call for 100'(objects, calls) {
    for (let n = 0; n < calls; n += 100) {
      const some = [];
      for (let k = 0; k < 100; k++) some.push(next(objects, n + k));
      await notifier.notify('updated', some, { notifier: 'Ann' });
    }
  },
};

serveParent<NotifyAnswers>({
  async measure(way, objects, calls) {
    dates = Array.from({ length: calls }, (_, n) => new Date(START + count + n).toISOString());
    const before = process.cpuUsage();
    await ways[way](objects, calls);
    const { user, system } = process.cpuUsage(before);
    return user + system;
  },
});
