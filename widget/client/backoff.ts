/** Waiting before the next try: full jitter, growing with each failure, never less than the server asks for. */
import type { ListenError } from '../../adapters/errors.js';
import type { Core } from './core.js';
import { createTimer } from './timer.js';

/** Bounds of the wait before a reconnect, in milliseconds, until `/config` names its own. */
const RETRY = { min: 300, max: 30_000 };

/** A server that asks for more is not followed further: a typing error there must not silence a page for a day. */
const LONGEST_WAIT = 600_000;

/** So many failures in a row are no passing fault any more: the newest is reported, once. */
const LASTING = 4;

export interface Retry {
  /** When the next try is due, in milliseconds since 1970; `undefined` when none waits. */
  at?: number | undefined;
  /** Failures since the last success: they make the wait grow. */
  failures: number;
  /** The newest of them. */
  error?: ListenError | undefined;
  /** Counts a failure and tries again after a random wait. */
  later(error?: ListenError): void;
  /** Tries again after this many milliseconds, ten minutes at most, without counting a failure. */
  after(ms: number): void;
  /** Forgets a try that waits. */
  stop(): void;
  /** Whether a try waits. One that is overdue (timers of a frozen page never came) does no more. */
  waits(): boolean;
}

export function createRetry(core: Core, run: () => void): Retry {
  const { world } = core;
  const [start, stop] = createTimer(world, () => {
    retry.at = undefined;
    run();
  });
  /** When the timer should run, on the clock of the world: the wall clock may be set. */
  let due = 0;
  const retry: Retry = {
    failures: 0,
    waits() {
      if (due <= world.clock()) retry.stop();
      return !!retry.at;
    },
    stop() {
      stop();
      retry.at = undefined;
    },
    after(asked) {
      const ms = Math.min(asked, LONGEST_WAIT);
      retry.at = world.now() + ms;
      due = world.clock() + ms;
      start(ms);
    },
    later(error) {
      const { min, max } = core.config?.retry ?? RETRY;
      retry.error = error;
      // The first retry is jittered too: a thousand pages whose server restarts must not come back as one.
      const wait = world.random() * Math.min(max, min * 2 ** retry.failures++);
      retry.after(Math.max(wait, error?.retryAfter ?? 0));
      if (error && retry.failures === LASTING) core.report(error);
    },
  };
  return retry;
}
