/** The real clock, timers and randomness. */
import type { EmulatorWorld } from './emulator.js';

export const REAL_WORLD: EmulatorWorld = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimeout: (run, ms) => setTimeout(run, ms),
  clearTimeout: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
  random: () => Math.random(),
};
