/**
 * Virtual time: tasks that fall due, in an order that only the seed decides. Between two of them all microtasks run, so
 * that a history is one synchronous call and the same on every run.
 *
 * Each task belongs to an owner (a node, a tab, the engine, the network). Whatever runs in its microtasks is the owner's
 * too: owners reach each other through tasks only.
 */
import { mix, type Random } from './random.js';

/** A process or a page: it dies, freezes, and has clocks of its own. */
export interface Owner {
  readonly name: string;
  readonly id: number;
  readonly random: Random;
  dead: boolean;
  frozen: boolean;
  /** When it was frozen last, and went on. */
  thawed: number;
  /** While it is frozen, what other pages post to it is dropped. */
  deaf: boolean;
  /** How far its clocks are off the virtual time, in milliseconds. */
  wall: number;
  mono: number;
  /** Its timers fire at multiples of this only (a hidden page); 0: when they are due. */
  throttle: number;
  /** Tasks of its own that wait. */
  pending: number;
  /** Tasks that fell due while it was frozen. */
  held: Task[];
  /** So many effects on others are still let out, then it dies: a kill at any await. -1: none is planned. */
  doom: number;
  /** Called when `doom` is reached. */
  doomed: (() => void) | undefined;
}

/** One class, since there are thousands of them in each history: a record with methods on its prototype costs least. */
export class Task {
  time: number;
  rank: number;
  serial: number;
  readonly owner: Owner;
  readonly run: () => void;
  /** What may be throttled and counts as a timer of its owner. */
  readonly timer: boolean;
  over = false;

  constructor(time: number, rank: number, serial: number, owner: Owner, run: () => void, timer: boolean) {
    this.time = time;
    this.rank = rank;
    this.serial = serial;
    this.owner = owner;
    this.run = run;
    this.timer = timer;
  }

  /** Timers of Node have these. */
  unref(): this {
    return this;
  }

  ref(): this {
    return this;
  }
}

export interface Clock {
  /** Milliseconds since the history began. */
  now(): number;
  /** Whose task is running. */
  current(): Owner | undefined;
  owner(name: string): Owner;
  /** Runs `run` as the owner's, `ms` milliseconds from now. */
  after(owner: Owner, ms: number, run: () => void, timer?: boolean): Task;
  cancel(task: Task | undefined): void;
  /** Runs something as the owner's, now: to look at what is its. */
  as<T>(owner: Owner, run: () => T): T;
  freeze(owner: Owner): void;
  thaw(owner: Owner): void;
  kill(owner: Owner): void;
  /** Counts an effect on somebody else: `false` when the owner is dead, or has just died. */
  effect(owner: Owner): boolean;
  /** Lets time pass up to this moment. */
  run(until: number): void;
  /** How many tasks have run: a history that never comes to rest is cut off by it. */
  steps(): number;
  /** A number that stands for everything that has run. */
  hash(): number;
}

/** Drains the microtasks, and tells of rejections that nobody handles. There since Node 0.6, and in 24 still. */
const drain: () => void = (process as unknown as { _tickCallback: () => void })._tickCallback;

/** More steps than any history takes: something runs in a circle. */
const MOST_STEPS = 400_000;

export function createClock(seed: number, random: (seed: number) => Random): Clock {
  const heap: Task[] = [];
  let now = 0;
  let serial = 0;
  let owners = 0;
  let steps = 0;
  let hash = seed | 0;
  let current: Owner | undefined;

  const isBefore = (a: Task, b: Task): boolean =>
    a.time < b.time || (a.time === b.time && (a.rank < b.rank || (a.rank === b.rank && a.serial < b.serial)));

  function push(task: Task): void {
    let at = heap.length;
    heap.push(task);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Task;
      if (!isBefore(task, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = task;
  }

  function pop(): Task {
    const first = heap[0] as Task;
    const last = heap.pop() as Task;
    const size = heap.length;
    if (size === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && isBefore(heap[child + 1] as Task, heap[child] as Task)) child += 1;
      if (!isBefore(heap[child] as Task, last)) break;
      heap[at] = heap[child] as Task;
      at = child;
    }
    heap[at] = last;
    return first;
  }

  /** Puts a task that exists at another moment, behind what its owner has there. */
  function move(task: Task, time: number): void {
    task.time = time;
    task.rank = mix(seed ^ time, task.owner.id);
    task.serial = ++serial;
    push(task);
  }

  function put(owner: Owner, time: number, run: () => void, timer: boolean): Task {
    // Owners take turns by chance; what one owner has at one moment keeps its order, as timers do.
    const task = new Task(time, mix(seed ^ time, owner.id), ++serial, owner, run, timer);
    if (owner.dead) {
      task.over = true;
      return task;
    }
    owner.pending += 1;
    push(task);
    return task;
  }

  function perform(task: Task): void {
    task.over = true;
    const { owner } = task;
    owner.pending -= 1;
    if (owner.dead) return;
    steps += 1;
    hash = (Math.imul(hash, 31) + task.time * 64 + owner.id) | 0;
    current = owner;
    task.run();
    drain();
    current = undefined;
  }

  return {
    now: () => now,
    current: () => current,
    owner(name) {
      const id = ++owners;
      return {
        name,
        id,
        random: random(mix(seed, id)),
        dead: false,
        frozen: false,
        thawed: Number.NEGATIVE_INFINITY,
        deaf: false,
        wall: 0,
        mono: 0,
        throttle: 0,
        pending: 0,
        held: [],
        doom: -1,
        doomed: undefined,
      };
    },
    after: (owner, ms, run, timer = false) => put(owner, now + (ms > 0 ? Math.ceil(ms) : 0), run, timer),
    cancel(task) {
      if (!task || task.over) return;
      task.over = true;
      task.owner.pending -= 1;
    },
    as(owner, run) {
      const former = current;
      current = owner;
      try {
        return run();
      } finally {
        current = former;
      }
    },
    freeze(owner) {
      owner.frozen = true;
    },
    thaw(owner) {
      owner.frozen = false;
      owner.thawed = now;
      for (const task of owner.held.splice(0)) {
        if (task.over) continue;
        move(task, now);
      }
    },
    kill(owner) {
      owner.dead = true;
      owner.held = [];
    },
    effect(owner) {
      if (owner.dead) return false;
      if (owner.doom < 0) return true;
      if (owner.doom-- > 0) return true;
      owner.doomed?.();
      return false;
    },
    run(until) {
      while (heap.length > 0 && (heap[0] as Task).time <= until) {
        const task = pop();
        if (task.over) continue;
        if (task.time > now) now = task.time;
        const { owner } = task;
        if (owner.frozen) {
          owner.held.push(task);
          continue;
        }
        if (task.timer && owner.throttle > 0 && now % owner.throttle !== 0) {
          move(task, now + owner.throttle - (now % owner.throttle));
          continue;
        }
        perform(task);
        if (steps > MOST_STEPS) throw new Error(`more than ${MOST_STEPS} steps: something runs in a circle`);
      }
      now = until;
    },
    steps: () => steps,
    hash: () => hash >>> 0,
  };
}
