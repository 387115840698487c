/**
 * A run that never ends: a read on a connection that died without a word. It must not keep the page stale behind it, with
 * a status that says that all is well.
 */
import { expect, test } from 'vitest';
import { normaliseActions } from '../../../widget/client/actions.js';
import { createScheduler, RUN_LIMIT, type Scheduler } from '../../../widget/client/refresh.js';
import type { Actions } from '../../../widget/client/types.js';
import { fullWorld } from '../../../widget/client/world.js';
import { createTestWorld, type TestWorld } from '../../kit/world.js';

/** After a limit, a run that failed waits 1 to 2 s the first time. */
const RETRIED = RUN_LIMIT + 2_000;

interface Bench {
  readonly world: TestWorld;
  readonly scheduler: Scheduler;
  readonly failures: unknown[];
  notify(): void;
}

function bench(actions: Actions): Bench {
  const world = createTestWorld(() => Promise.reject(new Error('no network here')));
  const failures: unknown[] = [];
  let offset = 0;
  const scheduler = createScheduler(
    {
      core: { world: fullWorld(world), visible: () => true },
      object: { entity: 'Order', id: '42' },
      registries: () => [],
      failed: (error) => failures.push(error),
      trace: () => {},
    },
    normaliseActions(actions, { registries: () => [] }),
  );
  return {
    world,
    scheduler,
    failures,
    notify() {
      offset += 1;
      scheduler.notify({ entity: 'Order', id: '42', action: 'updated', position: `e:${offset}` }, 0);
    },
  };
}

/** Reads of which the first hangs for ever, or until it is ended from outside. */
function reads(): { (): Promise<void>; count: number; end: () => void } {
  const run = (): Promise<void> => {
    run.count += 1;
    if (run.count > 1) return Promise.resolve();
    return new Promise((resolve) => {
      run.end = resolve;
    });
  };
  run.count = 0;
  run.end = () => {};
  return run;
}

test('a run that is not over after 30 s has failed: it is reported, and made again', async () => {
  const run = reads();
  const { world, failures, notify } = bench({ updated: run });
  notify();
  await world.advance(RUN_LIMIT - 1);
  expect([run.count, failures.length]).toEqual([1, 0]);
  await world.advance(RETRIED - RUN_LIMIT + 1);
  expect([run.count, failures.map(String)]).toEqual([2, ['Error: the run is not over']]);
  await world.advance(10 * RETRIED);
  expect(run.count).toBe(2);
  expect(world.timers).toBe(0);
});

test('what was notified behind it is not lost, and costs one run', async () => {
  const run = reads();
  const { world, notify } = bench({ updated: run });
  notify();
  await world.advance(1_000);
  for (let n = 0; n < 10; n += 1) notify();
  await world.advance(RETRIED);
  expect(run.count).toBe(2);
});

test('with retry: false it is not made again, but what came behind it runs', async () => {
  const run = reads();
  const { world, failures, notify } = bench([{ on: 'updated', run, retry: false }]);
  notify();
  await world.advance(RETRIED);
  expect([run.count, failures.length]).toEqual([1, 1]);
  notify();
  await world.advance(1_000);
  expect(run.count).toBe(2);
});

test('its late end changes nothing', async () => {
  const run = reads();
  const { world, notify } = bench({ updated: run });
  notify();
  await world.advance(RETRIED);
  run.end();
  await world.settle();
  notify();
  await world.advance(1_000);
  expect(run.count).toBe(3);
});

test('several functions of a row have the limit together', async () => {
  const ran: string[] = [];
  const { world, failures, notify } = bench([
    {
      on: 'updated',
      retry: false,
      run: ['first', 'second', 'third'].map((name) => () => {
        ran.push(name);
        return new Promise<void>((resolve) => world.setTimeout(resolve, RUN_LIMIT / 2 + 1));
      }),
    },
  ]);
  notify();
  await world.advance(10 * RUN_LIMIT);
  expect([ran, failures.length]).toEqual([['first', 'second'], 1]);
});

test('a quick run leaves no timer behind', async () => {
  const { world, scheduler, notify } = bench({ updated: () => {} });
  notify();
  await world.advance(0);
  expect(world.timers).toBe(0);
  scheduler.stop();
});
