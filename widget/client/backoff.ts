/** Waiting before the next try: full jitter, growing with each failure, never less than the server asks for. */
import type { World } from '../../adapters/contract.js';
import type { ListenError } from '../../adapters/errors.js';

/** Bounds of the wait before a reconnect, in milliseconds, until `/config` names its own. */
export const RETRY = { min: 300, max: 30_000 } as const;

/** A server that asks for more is not followed further: a typing error there must not silence a page for a day. */
export const LONGEST_RETRY_AFTER = 600_000;

export interface Retry {
  /** When the next try is due, in milliseconds since 1970; `undefined` when none waits. */
  readonly at: number | undefined;
  readonly failures: number;
  /** Counts a failure and tries again after a random wait. */
  later(error?: ListenError): void;
  /** Tries again after this many milliseconds, without counting a failure. */
  after(ms: number): void;
  /** Forgets a try that waits. */
  stop(): void;
  /** Success: the next wait is the shortest again. */
  reset(): void;
}

export function createRetry(
  world: World,
  bounds: () => { readonly min: number; readonly max: number },
  run: () => void,
): Retry {
  let timer: unknown;
  let at: number | undefined;
  let failures = 0;

  function stop(): void {
    world.clearTimeout(timer);
    at = undefined;
  }
  function after(ms: number): void {
    stop();
    at = world.now() + ms;
    timer = world.setTimeout(() => {
      at = undefined;
      run();
    }, ms);
  }
  return {
    get at() {
      return at;
    },
    get failures() {
      return failures;
    },
    after,
    stop,
    later(error) {
      const { min, max } = bounds();
      // The first retry is jittered too: a thousand pages whose server restarts must not come back as one.
      const wait = world.random() * Math.min(max, min * 2 ** failures++);
      after(Math.max(wait, Math.min(error?.retryAfter ?? 0, LONGEST_RETRY_AFTER)));
    },
    reset() {
      failures = 0;
    },
  };
}
