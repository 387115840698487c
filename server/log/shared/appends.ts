/** Joins appends: while the engine is busy with one batch, what comes meanwhile makes the next one. */
import type { LogEntry } from '../../../adapters/contract.js';
import type { Position } from '../../../adapters/position.js';

/** Entries of one batch, beyond which an append waits for the next: an engine should not be busy with one for long. */
export const MOST_JOINED = 500;

interface Waiting {
  readonly entries: readonly LogEntry[];
  readonly resolve: (positions: readonly Position[]) => void;
  readonly reject: (error: unknown) => void;
}

type Append = (entries: readonly LogEntry[]) => Promise<readonly Position[]>;

/**
 * An append that keeps the order of its calls and has one batch at a time under way. What waits is bounded by the caller,
 * which holds the entries anyhow. A batch that is rejected rejects each of its appends.
 */
export function createAppends(append: Append): Append {
  const queue: Waiting[] = [];
  let busy = false;

  /** Whole appends, at least one. */
  function next(): Waiting[] {
    let entries = 0;
    const beyond = queue.findIndex((one, index) => {
      entries += one.entries.length;
      return index > 0 && entries > MOST_JOINED;
    });
    return queue.splice(0, beyond < 0 ? queue.length : beyond);
  }

  async function work(): Promise<void> {
    busy = true;
    while (queue.length > 0) {
      const batch = next();
      try {
        const positions = await append(batch.flatMap(({ entries }) => entries));
        let from = 0;
        for (const { entries, resolve } of batch) {
          resolve(positions.slice(from, from + entries.length));
          from += entries.length;
        }
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    busy = false;
  }

  return (entries) =>
    new Promise((resolve, reject) => {
      queue.push({ entries, resolve, reject });
      if (!busy) void work();
    });
}
