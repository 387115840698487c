/** The real world at another pace: clocks and timers run as many times faster as a test says, and may skip a while. */
import type { World } from '../../adapters/contract.js';

export interface PacedWorld extends Partial<World> {
  /** How many times faster than real time, from now on; for timers, from the next one on. */
  pace: number;
  /** Puts both clocks forward by so many milliseconds. Timers that run stay as they are. */
  skip(ms: number): void;
}

export function pacedWorld(pace = 1): PacedWorld {
  let rate = pace;
  let since = performance.now();
  let passed = since;
  const now = (): number => passed + (performance.now() - since) * rate;
  const settle = (ms: number): void => {
    passed = now() + ms;
    since = performance.now();
  };
  return {
    get pace() {
      return rate;
    },
    set pace(next) {
      settle(0);
      rate = next;
    },
    skip: settle,
    monotonic: now,
    now: () => performance.timeOrigin + now(),
    setTimeout: (run, ms) => setTimeout(run, ms / rate),
    // Short waits, but not none: no test waits for a backoff, and none makes a loop of it.
    random: () => 0.02,
  };
}
