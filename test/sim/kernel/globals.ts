/**
 * Puts the virtual time in the place of the process's own: the server core uses the clocks and timers of its process,
 * which is what a node is. Whoever runs now (the owner of the running task) reads its own clocks and gets its own timers,
 * so that nothing that the shipped code reaches for escapes the seed. For a process that does nothing but simulate.
 */
import type { Clock, Owner, Task } from './clock.js';

/** The wall clock when a history begins. */
export const EPOCH_TIME = 1_800_000_000_000;

/** The process's own, for whoever runs the simulator. */
export const real: { now(): number; later(run: () => void): void } = {
  now: performance.now.bind(performance),
  later: setImmediate.bind(globalThis),
};

let clock: Clock | undefined;

function owner(): Owner {
  const current = clock?.current();
  if (!current) throw new Error('a clock, a timer or a random number was asked for outside of every task');
  return current;
}

const time = (): Clock => clock as Clock;
export const wallOf = (who: Owner): number => EPOCH_TIME + time().now() + who.wall;
export const monotonicOf = (who: Owner): number => 1_000 + time().now() + who.mono;

/** From now on everything that asks for the time asks this clock. */
export function setClock(next: Clock | undefined): void {
  clock = next;
}

/** Takes the place of the process's clocks, timers and randomness, for good. */
export function takeGlobals(): void {
  const start = (run: (...given: unknown[]) => void, ms = 0, ...given: unknown[]): Task =>
    time().after(owner(), Math.max(1, ms || 0), given.length > 0 ? () => run(...given) : run, true);
  const stop = (timer?: Task): void => clock?.cancel(timer);
  // Each turn of it is a task; the handle stays the same.
  const repeat = (run: () => void, ms: number): { task?: Task; unref(): void } => {
    const who = owner();
    const handle: { task?: Task; unref(): void } = { unref() {} };
    const turn = (): void => {
      handle.task = time().after(who, Math.max(1, ms || 0), turn, true);
      run();
    };
    handle.task = time().after(who, Math.max(1, ms || 0), turn, true);
    return handle;
  };
  const NativeDate = Date;
  class VirtualDate extends NativeDate {
    constructor(...given: [number | string | Date]) {
      super(...(given.length > 0 ? given : ([Date.now()] as [number])));
    }
  }
  NativeDate.now = () => (clock ? wallOf(owner()) : EPOCH_TIME);
  performance.now = () => (clock ? monotonicOf(owner()) : real.now());
  Math.random = () => owner().random.next();
  Object.assign(globalThis, {
    Date: VirtualDate,
    setTimeout: start,
    clearTimeout: stop,
    setInterval: repeat,
    clearInterval: (handle?: { task?: Task }) => stop(handle?.task),
    setImmediate: (run: () => void) => time().after(owner(), 0, run, true),
    clearImmediate: stop,
  });
  crypto.getRandomValues = <T extends ArrayBufferView | null>(into: T): T => {
    const bytes = into as unknown as Uint8Array;
    for (let at = 0; at < bytes.length; at++) bytes[at] = owner().random.int(0, 255);
    return into;
  };
}
