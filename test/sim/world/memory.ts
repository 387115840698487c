/**
 * The shipped memory log under the nodes of one process group: it ends with them. Its calls into a node's sink are made
 * as that node's own, in their order, since an engine in memory calls from wherever an entry was appended.
 */
import type { Log, LogEntry, Tail } from '../../../adapters/contract.js';
import type { Position } from '../../../adapters/position.js';
import { createMemoryLog, type MemoryEngine } from '../../../server/log/memory.js';
import type { Clock, Owner } from '../kernel/clock.js';

export function memoryLogOf(
  clock: Clock,
  node: Owner,
  engine: MemoryEngine,
  taken: (entry: LogEntry, position: Position) => void,
): Log {
  const below = createMemoryLog({ engine });
  const own = (run: () => void): void => void clock.after(node, 0, run);
  return {
    ...below,
    append(entries) {
      if (!clock.effect(node)) return new Promise(() => {});
      return below.append(entries).then((positions) => {
        entries.forEach((entry, at) => {
          taken(entry, positions[at] as Position);
        });
        return positions;
      });
    },
    async tail(sink): Promise<Tail> {
      const tail = await below.tail({
        entries: (batch) => own(() => sink.entries(batch)),
        reset: (start) => own(() => sink.reset(start)),
        failed: (error) => own(() => sink.failed(error)),
      });
      // The window was given before, and stands in the queue.
      await new Promise<void>((resolve) => own(resolve));
      return {
        ...tail,
        async prove(timeoutMs) {
          const top = await tail.prove(timeoutMs);
          await new Promise<void>((resolve) => own(resolve));
          return top;
        },
      };
    },
  };
}
