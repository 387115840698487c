/** Watches the identity of the log: one that was left and comes again means two servers that never hear each other. */
import { ListenError } from '../../adapters/errors.js';

/** Epochs that are remembered: each is one restart of the log, within the life of one page. */
const MAX_EPOCHS = 20;

/** Returns a function that takes every epoch that is met. `report` is told once for each epoch that comes again. */
export function createEpochs(report: (error: ListenError) => void): (epoch: string | undefined) => void {
  const left = new Set<string>();
  let current: string | undefined;
  return (epoch) => {
    if (!epoch || epoch === current) return;
    if (left.delete(epoch)) report(new ListenError('split', 'two servers answer in turn, each with a log of its own'));
    if (current) left.add(current);
    current = epoch;
    const [oldest] = left;
    if (left.size > MAX_EPOCHS && oldest) left.delete(oldest);
  };
}
