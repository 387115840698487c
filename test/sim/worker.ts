/** One process that simulates: told by its parent which seeds to run, it answers with what came of them. */
import { generate } from './history/generate.js';
import type { History } from './history/types.js';
import { real, takeGlobals } from './kernel/globals.js';
import { takePlatform } from './kernel/platform.js';
import { mix } from './kernel/random.js';
import { shrink } from './report/shrink.js';
import { addTo, emptyTally, type Tally } from './report/tally.js';
import { simulate } from './world/simulate.js';

/** What the parent asks for. */
export type Order =
  | { readonly do: 'run'; readonly seed: number; readonly from: number; readonly to: number; readonly most: number }
  | { readonly do: 'tell'; readonly history: number }
  | { readonly do: 'shrink'; readonly history: number };

/** A history that broke the oracle. */
export interface Failure {
  readonly history: number;
  readonly part: string;
  readonly message: string;
}

export type Answer =
  | { readonly is: 'done'; readonly tally: Tally; readonly failures: readonly Failure[] }
  | { readonly is: 'told'; readonly history: History; readonly story: readonly string[]; readonly message: string };

takeGlobals();
takePlatform();
// Errors are thrown by the thousand, and nobody reads where.
Error.stackTraceLimit = 0;
process.on('unhandledRejection', (error) => {
  throw error;
});

/** The number of a history out of the run's seed and its place. */
const numberOf = (seed: number, place: number): number => mix(seed, place);

function run({ seed, from, to, most }: Extract<Order, { do: 'run' }>): Answer {
  const tally = emptyTally();
  const failures: Failure[] = [];
  const began = process.cpuUsage();
  for (let place = from; place < to && failures.length < most; place++) {
    const number = numberOf(seed, place);
    const history = generate(number);
    const outcome = simulate(history);
    addTo(tally, history, outcome);
    if (outcome.violation) failures.push({ history: number, ...outcome.violation });
  }
  const { user, system } = process.cpuUsage(began);
  tally.ms += (user + system) / 1_000;
  return { is: 'done', tally, failures };
}

function answerTo(order: Order): Answer {
  if (order.do === 'run') return run(order);
  Error.stackTraceLimit = 20;
  let history = generate(order.history);
  if (order.do === 'shrink') history = shrink(history);
  const { story, violation } = simulate(history, true);
  const message = violation ? `(${violation.part}) ${violation.message}` : 'nothing is wrong';
  return { is: 'told', history, story, message };
}

// In a turn of its own: microtasks can only be drained from outside of them.
process.on('message', (order: Order) => real.later(() => process.send?.(answerTo(order))));
