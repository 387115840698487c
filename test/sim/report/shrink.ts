/** Makes a failing history short: leaves out actions, in halves and one by one, as long as it still fails alike. */
import type { Action, History } from '../history/types.js';
import { simulate } from '../world/simulate.js';

/** Runs that are spent on one history, at most: a short story is worth some seconds. */
const MOST_RUNS = 1_500;

export function shrink(history: History): History {
  const wanted = simulate(history).violation?.part;
  if (wanted === undefined) return history;
  let runs = 0;
  let best = history;
  const fails = (actions: readonly Action[]): boolean => {
    runs += 1;
    return simulate({ ...best, actions }).violation?.part === wanted;
  };
  for (let size = Math.ceil(best.actions.length / 2); size >= 1 && runs < MOST_RUNS; ) {
    let shorter = false;
    for (let at = 0; at < best.actions.length && runs < MOST_RUNS; ) {
      const actions = best.actions.filter((_, index) => index < at || index >= at + size);
      if (actions.length < best.actions.length && fails(actions)) {
        best = { ...best, actions };
        shorter = true;
      } else at += size;
    }
    if (size > 1) size = Math.ceil(size / 2);
    else if (!shorter) break;
  }
  return best;
}
