/** One attempt at something, under a longer life and a limit of its own. */
import type { World } from './contract.js';

/**
 * Gives `run` a signal that aborts with `life` or after `ms` milliseconds, unless `lift` was called before. It aborts in
 * any case when `run` is over: whatever went wrong, the other end must not go on sending.
 */
export async function limited<T>(
  world: World,
  life: AbortSignal,
  ms: number,
  run: (signal: AbortSignal, lift: () => void) => Promise<T>,
): Promise<T> {
  const attempt = new AbortController();
  const { signal } = attempt;
  const abort = () => attempt.abort();
  const timer = world.setTimeout(abort, ms);
  const lift = () => world.clearTimeout(timer);
  life.addEventListener('abort', abort, { signal });
  try {
    return await run(signal, lift);
  } finally {
    lift();
    abort();
  }
}
