/**
 * Virtual time for thousands of timers: a heap in the place of the process's clocks and timers until the test ends.
 * Vitest's own fake timers look through all of them for each that fires, which a thousand pages cannot afford.
 */
import { onTestFinished, vi } from 'vitest';

export interface VirtualTime {
  /** Lets this many milliseconds pass: whatever falls due runs at its time, with all that follows from it. */
  pass(ms: number): Promise<void>;
  /** Lets time pass in steps until the condition holds; fails after `limit` milliseconds. */
  until(condition: () => boolean, limit?: number): Promise<void>;
}

interface Timer {
  due: number;
  readonly serial: number;
  readonly every: number | undefined;
  readonly run: () => void;
  over: boolean;
  ref(): Timer;
  unref(): Timer;
}

const START = 1_000_000;

export function virtualTime(): VirtualTime {
  const heap: Timer[] = [];
  let now = START;
  let serial = 0;
  const immediate = setImmediate;

  const before = (one: Timer | undefined, other: Timer | undefined): boolean =>
    one !== undefined &&
    (other === undefined || one.due < other.due || (one.due === other.due && one.serial < other.serial));

  function push(timer: Timer): void {
    let at = heap.push(timer) - 1;
    for (let above = (at - 1) >> 1; at > 0 && before(timer, heap[above]); above = (at - 1) >> 1) {
      heap[at] = heap[above] as Timer;
      at = above;
    }
    heap[at] = timer;
  }

  function pop(): void {
    const last = heap.pop() as Timer;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const child = before(heap[left + 1], heap[left]) ? left + 1 : left;
      if (!before(heap[child], last)) break;
      heap[at] = heap[child] as Timer;
      at = child;
    }
    heap[at] = last;
  }

  function start(run: () => void, ms = 0, every?: number): Timer {
    const timer: Timer = {
      due: now + Math.max(1, ms || 0),
      serial: ++serial,
      every,
      run,
      over: false,
      ref: () => timer,
      unref: () => timer,
    };
    push(timer);
    return timer;
  }

  const stop = (timer: Timer | undefined): void => {
    if (timer) timer.over = true;
  };
  vi.stubGlobal('setTimeout', start);
  vi.stubGlobal('clearTimeout', stop);
  vi.stubGlobal('setInterval', (run: () => void, ms: number) => start(run, ms, Math.max(1, ms)));
  vi.stubGlobal('clearInterval', stop);
  vi.spyOn(performance, 'now').mockImplementation(() => now);
  // Seeded: what chance decides is decided alike on each run.
  let seed = 1;
  vi.spyOn(Math, 'random').mockImplementation(() => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed / 2_147_483_647;
  });
  vi.spyOn(Date, 'now').mockImplementation(() => 1_800_000_000_000 + now);
  onTestFinished(() => {
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
  });

  /** What is sent between pages and servers settles over some turns of the loop. */
  async function settle(): Promise<void> {
    for (let turn = 0; turn < 2; turn++) await new Promise<void>((done) => immediate(done));
  }

  async function pass(ms: number): Promise<void> {
    const end = now + ms;
    await settle();
    while (heap[0] && heap[0].due <= end) {
      now = Math.max(now, heap[0].due);
      // All of one millisecond in one turn.
      while (heap[0] && heap[0].due < now + 1) {
        const [timer] = heap as [Timer];
        pop();
        if (timer.over) continue;
        if (timer.every !== undefined) {
          timer.due += timer.every;
          push(timer);
        }
        timer.run();
      }
      await settle();
    }
    now = end;
  }

  return {
    pass,
    async until(condition, limit = 60_000) {
      const end = now + limit;
      await settle();
      while (!condition()) {
        if (now >= end) throw new Error(`not within ${limit} ms: ${condition}`);
        await pass(50);
      }
    },
  };
}
