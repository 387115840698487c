/** A tail with a memory: what the cases of the log's contract look at. */
import type { Log, Logged, LogWindow, Tail } from '../contract.js';
import { inTime, PATIENCE } from './case.js';

export interface Reader {
  readonly tail: Tail;
  /** Everything that was given, in its order. */
  readonly seen: readonly Logged[];
  /** How many of them were given before `tail` resolved. */
  readonly loaded: number;
  /** The windows from which the tail went on after a loss. */
  readonly resets: readonly LogWindow[];
  /** What was wrong with how the sink was called, as sentences. */
  readonly faults: readonly string[];
  /** Resolves once an entry that fits was given. */
  until(fits: (logged: Logged) => boolean, what: string): Promise<Logged>;
  /** Resolves once the tail was reset. */
  untilReset(): Promise<LogWindow>;
}

/** Starts a tail and notes everything that it gives. */
export async function read(log: Log, patience: number = PATIENCE): Promise<Reader> {
  const seen: Logged[] = [];
  const resets: LogWindow[] = [];
  const faults: string[] = [];
  const waiting = new Set<() => void>();
  let calls = 0;

  function told(note: () => void): void {
    if (calls > 0) faults.push('the sink was called while it was being called');
    calls += 1;
    note();
    for (const look of [...waiting]) look();
    calls -= 1;
  }

  async function wait<T>(find: () => T | undefined, what: string): Promise<T> {
    const found = new Promise<T>((resolve) => {
      const look = (): void => {
        const it = find();
        if (it === undefined) return;
        waiting.delete(look);
        resolve(it);
      };
      waiting.add(look);
      look();
    });
    return inTime(found, what, patience);
  }

  const beginning = log.tail({
    entries: (batch) =>
      told(() => {
        if (batch.length === 0) faults.push('an empty batch was given');
        seen.push(...batch);
      }),
    reset: (start) => told(() => resets.push(start)),
    failed: (error) => told(() => faults.push(`the tail failed: ${String(error)}`)),
  });
  const tail = await inTime(beginning, 'a tail to begin', patience);
  return {
    tail,
    seen,
    loaded: seen.length,
    resets,
    faults,
    until: (fits, what) => wait(() => seen.find(fits), what),
    untilReset: () => wait(() => resets[0], 'the tail to be reset'),
  };
}
