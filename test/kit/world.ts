/** A world in the test's hand: virtual clocks and timers, chosen randomness, and a page that can be hidden. */
import type { World } from '../../adapters/contract.js';
import type { Lifecycle } from '../../widget/client/types.js';

export interface TestWorld extends World {
  /** Lets this much time pass: every timer that falls due runs at its time, with all that follows from it. */
  advance(ms: number): Promise<void>;
  /** The machine sleeps: the wall clock goes on, the monotonic clock and timers do not. */
  sleep(ms: number): void;
  /** Lets everything run that waits for no time. */
  settle(): Promise<void>;
  /** Advances in small steps until the condition holds; fails after `limit` milliseconds of virtual time. */
  until(condition: () => boolean, limit?: number): Promise<void>;
  /** What `random` answers from now on; a list is used up, then its last number stays. */
  chance: number | number[];
  /** Where `fetch` goes, now. */
  network: World['fetch'];
  /** How many timers wait. */
  readonly timers: number;
}

/** @param fetch the network of this world */
export function createTestWorld(fetch: World['fetch']): TestWorld {
  // Not zero, so that a page has been loading for a second when its script starts.
  let mono = 1_000;
  let wall = 1_800_000_000_000;
  let serial = 0;
  const timers = new Map<number, { readonly due: number; readonly run: () => void }>();

  /** Promises of streams and bodies settle over several turns of Node's loop. */
  async function settle(): Promise<void> {
    for (let turn = 0; turn < 4; turn++) await new Promise((done) => setImmediate(done));
  }

  function next(limit: number): [number, { due: number; run: () => void }] | undefined {
    let found: [number, { due: number; run: () => void }] | undefined;
    for (const entry of timers) if (entry[1].due <= limit && (!found || entry[1].due < found[1].due)) found = entry;
    return found;
  }

  const world: TestWorld = {
    chance: 0.5,
    now: () => wall,
    monotonic: () => mono,
    setTimeout(run, ms) {
      // What is no number counts as 0, as in every engine.
      timers.set(++serial, { due: mono + Math.max(0, ms || 0), run });
      return serial;
    },
    clearTimeout(timer) {
      timers.delete(timer as number);
    },
    random() {
      if (typeof world.chance === 'number') return world.chance;
      const [first = 0.5] = world.chance;
      if (world.chance.length > 1) world.chance.shift();
      return first;
    },
    network: fetch,
    fetch: (input, init) => world.network(input, init),
    settle,
    async advance(ms) {
      const end = mono + ms;
      await settle();
      for (let entry = next(end); entry; entry = next(end)) {
        const [timer, { due, run }] = entry;
        timers.delete(timer);
        wall += Math.max(0, due - mono);
        mono = Math.max(mono, due);
        run();
        await settle();
      }
      wall += end - mono;
      mono = end;
    },
    sleep(ms) {
      wall += ms;
    },
    async until(condition, limit = 120_000) {
      const end = mono + limit;
      await settle();
      while (!condition()) {
        if (mono >= end) throw new Error(`not within ${limit} ms: ${condition}`);
        await world.advance(10);
      }
    },
    get timers() {
      return timers.size;
    },
  };
  return world;
}

type Change = Parameters<Parameters<Lifecycle['watch']>[0]>[0];

export interface TestLifecycle extends Lifecycle {
  show(): void;
  hide(): void;
  wake(): void;
  /** The page is left, or frozen. */
  leave(): void;
  readonly watchers: number;
}

export function createTestLifecycle(): TestLifecycle {
  let visible = true;
  const watchers = new Set<(what: Change) => void>();
  const tell = (what: Change) => {
    for (const watcher of [...watchers]) watcher(what);
  };
  return {
    visible: () => visible,
    watch(changed) {
      watchers.add(changed);
      return () => watchers.delete(changed);
    },
    show() {
      visible = true;
      tell('visible');
    },
    hide() {
      visible = false;
      tell('hidden');
    },
    wake: () => tell('wake'),
    leave: () => tell('gone'),
    get watchers() {
      return watchers.size;
    },
  };
}
