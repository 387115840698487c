/** The refresh scheduler: docs/client.md, third table, and its races. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { normaliseActions } from '../../../widget/client/actions.js';
import { createScheduler, MAX_WAIT, type Scheduler, WINDOW } from '../../../widget/client/refresh.js';
import type { Actions, CallbackRegistry, Refresh } from '../../../widget/client/types.js';
import { fullWorld } from '../../../widget/client/world.js';
import { createTestWorld, type TestWorld } from '../../kit/world.js';

interface SchedulerBench {
  readonly world: TestWorld;
  readonly scheduler: Scheduler;
  readonly failures: unknown[];
  readonly fates: string[];
  visible: boolean;
  /** One notification, with the next position. */
  notify(action?: string, spread?: number): number;
  set(actions: Actions): void;
}

function bench(actions: Actions, callbacks: CallbackRegistry = {}): SchedulerBench {
  const world = createTestWorld(() => Promise.reject(new Error('no network here')));
  let offset = 0;
  const made: SchedulerBench = {
    world,
    failures: [],
    fates: [],
    visible: true,
    notify(action = 'updated', spread = 0) {
      offset += 1;
      made.scheduler.notify({ entity: 'Order', id: '42', action, position: `e:${offset}` }, spread);
      return offset;
    },
    set: (next) => made.scheduler.setRows(normaliseActions(next, { registries: () => [callbacks] })),
    scheduler: createScheduler(
      {
        core: { world: fullWorld(world), visible: () => made.visible },
        object: { entity: 'Order', id: '42' },
        registries: () => [callbacks],
        failed: (error) => made.failures.push(error),
        trace: (fate) => made.fates.push(fate),
      },
      normaliseActions(actions, { registries: () => [callbacks] }),
    ),
  };
  return made;
}

/** A callback that takes `ms` and records when it ran. */
function slow(world: () => TestWorld, ms: number) {
  const runs: { at: number; refresh: Refresh }[] = [];
  const run = (refresh: Refresh) => {
    runs.push({ at: world().monotonic(), refresh });
    return new Promise<void>((done) => world().setTimeout(done, ms));
  };
  return Object.assign(run, { runs });
}

test('a burst of 100 in 50 ms with a callback of 200 ms makes exactly two runs, the second after the burst', async () => {
  const run = slow(() => made.world, 200);
  const made = bench({ updated: run });
  for (let count = 0; count < 100; count++) {
    made.notify();
    await made.world.advance(0.5);
  }
  await made.world.advance(5_000);
  expect(run.runs).toHaveLength(2);
  expect(run.runs[0]?.refresh.merged).toBeGreaterThan(0);
  expect(run.runs.reduce((sum, { refresh }) => sum + refresh.merged, 0)).toBe(100);
  expect(run.runs[1]?.refresh.notification?.position).toBe('e:100');
});

test('the first notification runs at once; what follows is collected for the window', async () => {
  const run = slow(() => made.world, 0);
  const made = bench({ updated: run });
  const start = made.world.monotonic();
  made.notify();
  await made.world.advance(0);
  expect(run.runs.map(({ at }) => at - start)).toEqual([0]);
  await made.world.advance(10);
  made.notify();
  made.notify();
  await made.world.advance(1_000);
  expect(run.runs.map(({ at }) => at - start)).toEqual([0, WINDOW]);
});

test('a steady stream postpones nothing: no notification waits longer than the window and one run', async () => {
  const run = slow(() => made.world, 30);
  const made = bench({ updated: run });
  for (let count = 0; count < 200; count++) {
    made.notify();
    await made.world.advance(10);
  }
  const gaps = run.runs.slice(1).map(({ at }, index) => at - (run.runs[index]?.at ?? 0));
  expect(Math.max(...gaps)).toBeLessThanOrEqual(WINDOW + 30);
  expect(run.runs.length).toBeGreaterThan(15);
});

test('the maximum wait bounds the window of a row', async () => {
  const run = slow(() => made.world, 0);
  const made = bench([{ on: 'updated', run, window: 60_000 }]);
  const start = made.world.monotonic();
  made.notify();
  await made.world.advance(1);
  made.notify();
  await made.world.advance(5_000);
  expect(run.runs.map(({ at }) => at - start)).toEqual([0, MAX_WAIT]);
});

test('spread comes on top, once; a notification that nobody waits for moves the run forward, never back', async () => {
  const run = slow(() => made.world, 0);
  const made = bench({ updated: run });
  const start = made.world.monotonic();
  made.notify('updated', 40_000);
  await made.world.advance(1_000);
  made.notify('updated', 40_000);
  await made.world.advance(15_000);
  expect(run.runs).toHaveLength(0);
  made.notify('updated', 0);
  await made.world.advance(0);
  expect(run.runs.map(({ at }) => at - start)).toEqual([16_000]);
  expect(run.runs[0]?.refresh.merged).toBe(3);
});

test('a notification during a run makes one more run, however many came', async () => {
  const run = slow(() => made.world, 500);
  const made = bench({ updated: run });
  made.notify();
  await made.world.advance(100);
  for (let count = 0; count < 100; count++) made.notify();
  await made.world.advance(5_000);
  expect(run.runs).toHaveLength(2);
});

describe('rows', () => {
  test('run in row order, each by its own action, "*" by all; a failure of one stops its row only', async () => {
    const ran: string[] = [];
    const note = (name: string) => () => {
      ran.push(name);
    };
    const made = bench([
      { on: 'updated', run: [note('a1'), note('a2')] },
      {
        on: ['updated', 'shipped'],
        run: [
          () => {
            ran.push('b1');
            throw new Error('broken');
          },
          note('b2'),
        ],
        retry: false,
      },
      { on: 'shipped', run: note('c') },
      { on: '*', run: () => Promise.reject(new Error('rejected')), retry: false },
      { on: '*', run: note('e') },
    ]);
    made.notify('updated');
    await made.world.advance(1_000);
    expect(ran).toEqual(['a1', 'a2', 'b1', 'e']);
    expect(made.failures).toMatchObject([{ message: 'broken' }, { message: 'rejected' }]);
    made.notify('updated');
    await made.world.advance(1_000);
    expect(ran).toHaveLength(8);
  });

  test('that hold the same function share one place; different ones have flights of their own', async () => {
    const shared = slow(() => made.world, 300);
    const other = slow(() => made.world, 300);
    const made = bench([
      { on: 'updated', run: shared },
      { on: 'shipped', run: other },
      { on: 'deleted', run: shared },
    ]);
    made.notify('updated');
    made.notify('shipped');
    made.notify('deleted');
    await made.world.advance(5_000);
    expect(shared.runs).toHaveLength(1);
    expect(shared.runs[0]?.refresh.merged).toBe(2);
    expect(other.runs).toHaveLength(1);
  });

  test('when and otherwise', async () => {
    const ran: string[] = [];
    let dirty = true;
    const made = bench([
      { on: 'updated', run: () => ran.push('run'), when: () => !dirty, otherwise: () => ran.push('otherwise') },
      { on: 'shipped', run: () => ran.push('shipped'), when: () => !dirty },
    ]);
    made.notify('updated');
    made.notify('shipped');
    await made.world.advance(1_000);
    dirty = false;
    made.notify('updated');
    await made.world.advance(1_000);
    expect(ran).toEqual(['otherwise', 'run']);
  });

  test('named callbacks are looked up when they run; the error goes to a named onError too', async () => {
    const ran: unknown[] = [];
    const callbacks: CallbackRegistry = {
      reload: () => ran.push('reload'),
      clean: () => false,
      ask: () => ran.push('ask'),
      broken: () => {
        throw new Error('x');
      },
      complain: (refresh, error) => ran.push([refresh.reason, (error as Error).message]),
    };
    const made = bench(
      [
        { on: 'updated', run: 'reload' },
        { on: 'updated', run: 'reload', when: 'clean', otherwise: 'ask' },
        { on: 'shipped', run: 'broken', onError: 'complain', retry: false },
      ],
      callbacks,
    );
    made.notify('shipped');
    await made.world.advance(0);
    expect(ran).toEqual([['notification', 'x']]);
    made.notify('updated');
    await made.world.advance(0);
    expect(ran.slice(1)).toEqual(['reload']);
  });

  test('once: one real notification, then never again; resync and load do not use it up, a failed run neither', async () => {
    let fail = true;
    const runs: string[] = [];
    const made = bench([
      {
        on: 'updated',
        once: true,
        run: ({ reason }) => {
          runs.push(reason);
          if (fail && reason === 'notification') throw new Error('not yet');
        },
      },
    ]);
    made.scheduler.resync(0);
    await made.world.advance(1_000);
    made.notify();
    await made.world.advance(0);
    fail = false;
    await made.world.advance(40_000);
    made.notify();
    made.scheduler.resync(0);
    await made.world.advance(40_000);
    expect(runs).toEqual(['resync', 'notification', 'notification']);
    expect(made.scheduler.concerns('updated')).toBe(false);
  });

  test('resync runs each distinct run once, in row order; not rows that say resync: false', async () => {
    const ran: string[] = [];
    const reload = ({ reason }: Refresh) => ran.push(`reload ${reason}`);
    const made = bench([
      { on: 'shipped', run: () => ran.push('toast'), resync: false },
      { on: 'updated', run: () => ran.push('first') },
      { on: 'a', run: reload },
      { on: 'b', run: reload },
    ]);
    made.scheduler.resync(0);
    await made.world.advance(1_000);
    expect(ran).toEqual(['first', 'reload resync']);
  });

  test('resync waits within its spread', async () => {
    const run = slow(() => made.world, 0);
    const made = bench({ updated: run });
    made.scheduler.resync(20_000);
    await made.world.advance(9_900);
    expect(run.runs).toHaveLength(0);
    await made.world.advance(200);
    expect(run.runs).toHaveLength(1);
  });
});

describe('setActions', () => {
  test('a run that waits calls the newest closure, without touching the timer', async () => {
    const ran: string[] = [];
    const made = bench({ updated: () => ran.push('old') });
    made.notify('updated', 2_000);
    await made.world.advance(900);
    made.set({ updated: () => ran.push('new') });
    expect(made.world.timers).toBe(1);
    await made.world.advance(110);
    expect(ran).toEqual(['new']);
  });

  test('a trailing run calls the newest closure', async () => {
    const ran: string[] = [];
    const first = slow(() => made.world, 300);
    const made = bench({ updated: first });
    made.notify();
    await made.world.advance(10);
    made.notify();
    made.set({ updated: () => ran.push('new') });
    await made.world.advance(1_000);
    expect(first.runs).toHaveLength(1);
    expect(ran).toEqual(['new']);
  });

  test('rows that part or come together keep what waits', async () => {
    const ran: string[] = [];
    const shared = () => ran.push('shared');
    const made = bench([
      { on: 'a', run: shared },
      { on: 'b', run: shared },
    ]);
    made.notify('a', 1_000);
    made.notify('b', 1_000);
    made.set([
      { on: 'a', run: () => ran.push('one') },
      { on: 'b', run: () => ran.push('two') },
    ]);
    made.notify('b', 1_000);
    made.set([
      { on: 'a', run: shared },
      { on: 'b', run: shared },
    ]);
    await made.world.advance(3_000);
    expect(ran).toEqual(['shared']);
    made.notify('b', 1_000);
    made.set([{ on: 'a', run: shared }]);
    await made.world.advance(3_000);
    // The row that was selected has gone, and with it what it was owed.
    expect(ran).toEqual(['shared']);
  });

  test('a run that fails after its row moved to another place is still owed', async () => {
    const ran: string[] = [];
    const shared = () => new Promise((_, reject) => made.world.setTimeout(() => reject(new Error('502')), 100));
    const made = bench([
      { on: 'a', run: () => ran.push('zero') },
      { on: 'b', run: shared },
    ]);
    made.notify('b');
    await made.world.advance(10);
    const joined = () => ran.push('joined');
    made.set([
      { on: 'a', run: joined },
      { on: 'b', run: joined },
    ]);
    await made.world.advance(60_000);
    expect(ran).toEqual(['joined']);
  });
});

describe('hidden pages', () => {
  test('defer, and run once when they are seen', async () => {
    const run = slow(() => made.world, 50);
    const made = bench({ updated: run });
    made.visible = false;
    for (let count = 0; count < 5; count++) {
      made.notify();
      await made.world.advance(60_000);
    }
    expect(run.runs).toHaveLength(0);
    expect(made.fates).toContain('deferred');
    made.visible = true;
    made.scheduler.shown();
    await made.world.advance(5_000);
    expect(run.runs).toHaveLength(1);
    expect(run.runs[0]?.refresh.merged).toBe(5);
  });

  test('defer a trailing run, too', async () => {
    const run = slow(() => made.world, 500);
    const made = bench({ updated: run });
    made.notify();
    await made.world.advance(10);
    made.visible = false;
    made.notify();
    await made.world.advance(10_000);
    expect(run.runs).toHaveLength(1);
    made.visible = true;
    made.scheduler.shown();
    await made.world.advance(1_000);
    expect(run.runs).toHaveLength(2);
  });
});

describe('a run that fails', () => {
  test('is tried again after 1 to 30 s, with jitter, until it succeeds', async () => {
    const at: number[] = [];
    const made = bench({
      updated: () => {
        at.push(made.world.monotonic());
        if (at.length < 9) throw new Error('502');
      },
    });
    made.world.chance = 0.999;
    made.notify();
    await made.world.advance(400_000);
    const waits = at.slice(1).map((time, index) => time - (at[index] as number));
    expect(at).toHaveLength(9);
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(1_000);
    expect(Math.max(...waits)).toBeLessThanOrEqual(30_000);
    expect(waits[0]).toBeLessThan(2_001);
    expect(waits.at(-1)).toBeGreaterThan(29_000);
  });

  test('is not tried again when the row says so, or when the listener closed', async () => {
    let first = 0;
    let second = 0;
    const made = bench([
      {
        on: 'updated',
        retry: false,
        run: () => {
          first += 1;
          throw new Error('x');
        },
      },
      {
        on: 'updated',
        run: () => {
          second += 1;
          throw new Error('y');
        },
      },
    ]);
    made.notify();
    await made.world.advance(10);
    made.scheduler.stop();
    await made.world.advance(100_000);
    expect([first, second]).toEqual([1, 1]);
    expect(made.world.timers).toBe(0);
  });

  test('does not hold up the next notification', async () => {
    let runs = 0;
    const made = bench({
      updated: () => {
        runs += 1;
        if (runs === 1) throw new Error('502');
      },
    });
    made.notify();
    await made.world.advance(200);
    made.notify();
    await made.world.advance(1);
    expect(runs).toBe(2);
    await made.world.advance(60_000);
    expect(runs).toBe(2);
  });

  test('an onError that throws reaches the listener, and harms nobody', async () => {
    const made = bench([
      {
        on: 'updated',
        retry: false,
        run: () => {
          throw new Error('run');
        },
        onError: () => {
          throw new Error('onError');
        },
      },
    ]);
    made.notify();
    await made.world.advance(10);
    expect(made.failures).toMatchObject([{ message: 'onError' }]);
  });
});

test('nothing starts after stop, not even the next function of a row that is running', async () => {
  const ran: string[] = [];
  const made = bench([
    {
      on: 'updated',
      run: [
        () => {
          ran.push('first');
          made.scheduler.stop();
        },
        () => ran.push('second'),
      ],
    },
    { on: 'updated', run: () => ran.push('third') },
  ]);
  made.notify();
  await made.world.advance(10_000);
  expect(ran).toEqual(['first']);
});

test('property: after every notification a successful run starts; a burst within the window costs two runs at most', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          wait: fc.integer({ min: 0, max: 400 }),
          what: fc.constantFrom('notify', 'notify', 'notify', 'hide', 'show', 'resync', 'swap'),
          spread: fc.constantFrom(0, 0, 3_000),
        }),
        { minLength: 1, maxLength: 25 },
      ),
      fc.array(fc.boolean(), { maxLength: 10 }),
      fc.integer({ min: 0, max: 300 }),
      async (steps, failures, duration) => {
        const successes: number[] = [];
        let flying = 0;
        const fate = [...failures];
        const run = () => async () => {
          flying += 1;
          expect(flying).toBe(1);
          const began = made.world.monotonic();
          const fails = fate.shift() === true;
          await new Promise<void>((done) => made.world.setTimeout(done, duration));
          flying -= 1;
          if (fails) throw new Error('502');
          successes.push(began);
        };
        const made = bench({ updated: run() });
        let last = 0;
        for (const { wait, what, spread } of steps) {
          await made.world.advance(wait);
          if (what === 'notify') made.notify('updated', spread);
          else if (what === 'resync') made.scheduler.resync(spread);
          else if (what === 'swap') made.set({ updated: run() });
          else made.visible = what === 'show';
          if (what === 'show') made.scheduler.shown();
          if (what === 'notify' || what === 'resync') last = made.world.monotonic();
        }
        made.visible = true;
        made.scheduler.shown();
        await made.world.advance(400_000);
        if (last > 0) expect(successes.at(-1)).toBeGreaterThanOrEqual(last);
        expect(made.world.timers).toBe(0);
      },
    ),
    { numRuns: 150 },
  );
}, 60_000);

test('property: a burst shorter than the window costs two runs at most', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 10 }), { minLength: 1, maxLength: 10 }),
      fc.integer({ min: 0, max: 500 }),
      async (gaps, duration) => {
        const run = slow(() => made.world, duration);
        const made = bench({ updated: run });
        for (const gap of gaps) {
          made.notify();
          await made.world.advance(gap);
        }
        await made.world.advance(5_000);
        expect(run.runs.length).toBeLessThanOrEqual(2);
      },
    ),
    { numRuns: 100 },
  );
}, 60_000);
