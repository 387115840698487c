/** The browser's own clock, timers, randomness and fetch, and how times are compared. */
import type { World } from '../../adapters/contract.js';

/** The injected parts first, the browser's for the rest. Nothing is touched before it is used. */
export function fullWorld(given: Partial<World> = {}): World {
  return {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    setTimeout: (run, ms) => setTimeout(run, ms),
    clearTimeout: (timer) => clearTimeout(timer as number),
    random: () => Math.random(),
    fetch: (input, init) => fetch(input, init),
    ...given,
  };
}

/** A moment on both clocks. The monotonic one may stand still while the machine sleeps; the wall clock may be set. */
export interface Mark {
  readonly wall: number;
  readonly mono: number;
}

/** The moment `ago` milliseconds before now. */
export function mark(world: World, ago = 0): Mark {
  return { wall: world.now() - ago, mono: world.monotonic() - ago };
}

/** The greater of what the clocks say about the time since a moment: for what must not be underestimated. */
export function longest(world: World, since: Mark): number {
  return Math.max(world.now() - since.wall, world.monotonic() - since.mono);
}

/** The lesser of what the clocks say: for the age of news, so that doubt makes it younger. */
export function shortest(world: World, since: Mark): number {
  return Math.min(world.now() - since.wall, world.monotonic() - since.mono);
}

/** The start of the page load, where the monotonic clock begins. */
export function pageStart(world: World, injected: boolean): Mark {
  // A machine that slept since the page load has a monotonic clock that is behind: the browser's own record is better.
  const wall = injected ? world.now() - world.monotonic() : performance.timeOrigin;
  return { wall, mono: 0 };
}
