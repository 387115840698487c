/** What a run has seen: how often each fault struck, each mechanism ran, and how quickly all was fresh again. */
import type { ActionKind, History } from '../history/types.js';
import type { Mechanism } from '../world/oracle.js';
import type { Outcome } from '../world/simulate.js';

export interface Tally {
  histories: number;
  passed: number;
  steps: number;
  /** Of a core. */
  ms: number;
  /** Milliseconds after the faults at which everything was fresh: the sum and the greatest. */
  fresh: number;
  slowest: number;
  /** A number for all that ran: equal runs have equal ones. */
  hash: number;
  kinds: Record<string, number>;
  faults: Partial<Record<ActionKind, number>>;
  mechanisms: Partial<Record<Mechanism, number>>;
}

export function emptyTally(): Tally {
  return {
    histories: 0,
    passed: 0,
    steps: 0,
    ms: 0,
    fresh: 0,
    slowest: 0,
    hash: 0,
    kinds: {},
    faults: {},
    mechanisms: {},
  };
}

export function addTo(tally: Tally, history: History, outcome: Outcome): void {
  tally.histories += 1;
  tally.passed += outcome.violation ? 0 : 1;
  tally.steps += outcome.steps;
  tally.fresh += Math.max(0, outcome.fresh);
  tally.slowest = Math.max(tally.slowest, outcome.fresh);
  // A sum, so that the order in which workers finish makes no difference.
  tally.hash = (tally.hash + outcome.hash) >>> 0;
  tally.kinds[history.kind] = (tally.kinds[history.kind] ?? 0) + 1;
  for (const { do: kind } of history.actions) tally.faults[kind] = (tally.faults[kind] ?? 0) + 1;
  for (const [name, count] of Object.entries(outcome.mechanisms) as [Mechanism, number][])
    tally.mechanisms[name] = (tally.mechanisms[name] ?? 0) + count;
}

export function join(all: readonly Tally[]): Tally {
  const sum = emptyTally();
  const addAll = (into: Record<string, number>, from: Readonly<Record<string, number>>): void => {
    for (const [name, count] of Object.entries(from)) into[name] = (into[name] ?? 0) + count;
  };
  for (const one of all) {
    sum.histories += one.histories;
    sum.passed += one.passed;
    sum.steps += one.steps;
    sum.ms += one.ms;
    sum.fresh += one.fresh;
    sum.slowest = Math.max(sum.slowest, one.slowest);
    sum.hash = (sum.hash + one.hash) >>> 0;
    addAll(sum.kinds, one.kinds);
    addAll(sum.faults as Record<string, number>, one.faults as Record<string, number>);
    addAll(sum.mechanisms as Record<string, number>, one.mechanisms as Record<string, number>);
  }
  return sum;
}
