/** A timer that can be set again: whoever waits for one thing has one of them. */
import type { World } from '../../adapters/contract.js';

/** Returns how to start it, in milliseconds (a running one starts anew), and how to stop it. */
export function createTimer(world: World, run: () => void): [start: (ms: number) => void, stop: () => void] {
  let timer: unknown;
  const stop = () => world.clearTimeout(timer);
  return [
    (ms) => {
      stop();
      timer = world.setTimeout(run, ms);
    },
    stop,
  ];
}
