/** One attempt at something, under a longer life and a limit of its own. */
import type { World } from './contract.js';
import { ListenError } from './errors.js';

/**
 * Gives `run` a signal that aborts with `life` or after `ms` milliseconds, unless `lift` was called before. It aborts in
 * any case when `run` is over: whatever went wrong, the other end must not go on sending. Rejects with `network` at the
 * abort, also where what `run` waits for (the application's headers, say) knows nothing of the signal.
 */
export async function limited<T>(
  world: World,
  life: AbortSignal,
  ms: number,
  run: (signal: AbortSignal, lift: () => void) => Promise<T>,
): Promise<T> {
  // A signal that has aborted already calls nobody: what was given up before it began must not be sent.
  life.throwIfAborted();
  const attempt = new AbortController();
  const { signal } = attempt;
  const abort = () => attempt.abort();
  const timer = world.setTimeout(abort, ms);
  const lift = () => world.clearTimeout(timer);
  life.addEventListener('abort', abort, { signal });
  try {
    return await Promise.race([
      run(signal, lift),
      new Promise<never>((_, reject) => {
        signal.onabort = () => reject(new ListenError('network', 'no answer'));
      }),
    ]);
  } finally {
    lift();
    abort();
  }
}
