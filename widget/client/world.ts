/** The browser's own clock, timers, randomness and fetch, and the one clock by which moments are compared. */
import type { World } from '../../adapters/contract.js';

/** A difference between the two clocks that changes by more than this is a step, not rounding. Milliseconds. */
const STEP = 100;

export interface PageWorld extends World {
  /**
   * Milliseconds on a clock of its own that never goes back. It runs with the monotonic one and takes in what that one
   * leaves out: steps of the wall clock to the front (the machine slept). Steps to the back mean nothing.
   */
  clock(): number;
}

/** The injected parts first, the browser's for the rest. Nothing but clocks is touched before it is used. */
export function fullWorld(given: Partial<World> = {}): PageWorld {
  const world: World = {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    setTimeout: (run, ms) => setTimeout(run, ms),
    clearTimeout: (timer) => clearTimeout(timer as number),
    random: () => Math.random(),
    fetch: (input, init) => fetch(input, init),
    ...given,
  };
  let offset = world.now() - world.monotonic();
  let slept = 0;
  return {
    ...world,
    clock() {
      const step = world.now() - world.monotonic() - offset;
      if (Math.abs(step) > STEP) {
        offset += step;
        slept += Math.max(0, step);
      }
      return world.monotonic() + slept;
    },
  };
}

/**
 * How long ago the page load began, in milliseconds: there the monotonic clock begins.
 *
 * @param injected a wall clock that is not the browser's
 */
export function pageAge(world: World, injected: unknown): number {
  // A machine that slept since the page load has a monotonic clock that is behind: the browser's own record is better.
  return Math.max(world.monotonic(), injected ? 0 : world.now() - performance.timeOrigin);
}
