/** `npm run sim`: any number of histories, on any number of processes. See docs/simulator.md. */

import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { bundleWorker } from './bundle.js';
import { createPool } from './pool.js';
import { printReport } from './report/print.js';

const { values } = parseArgs({
  options: {
    histories: { type: 'string' },
    seed: { type: 'string' },
    workers: { type: 'string' },
    source: { type: 'string' },
    history: { type: 'string' },
    failures: { type: 'string' },
    whole: { type: 'boolean' },
    ci: { type: 'boolean' },
  },
});
const number = (text: string | undefined, otherwise: number): number => (text === undefined ? otherwise : Number(text));

/** What CI has time for: a minute on two cores. */
const CI_HISTORIES = 3_000;

const worker = await bundleWorker(values.source);
const pool = createPool(worker, number(values.workers, availableParallelism()));
try {
  if (values.history !== undefined) {
    const told = await pool.tell(Number(values.history), values.whole ? 'tell' : 'shrink');
    console.log(told.story.join('\n'));
    console.log(told.message);
  } else {
    const seed = number(values.seed, values.ci ? 1 : Date.now() % 1_000_000);
    const histories = number(values.histories, values.ci ? CI_HISTORIES : 5_000);
    const began = Date.now();
    const { tally, failures } = await pool.run(seed, histories, number(values.failures, 5));
    printReport(seed, tally, Date.now() - began);
    for (const [index, failure] of failures.entries()) {
      console.log(`\nhistory ${failure.history} of seed ${seed}: (${failure.part}) ${failure.message}`);
      if (index > 0) continue;
      const told = await pool.tell(failure.history, 'shrink');
      console.log(`shrunk to ${told.history.actions.length} actions: ${told.message}`);
      console.log(told.story.join('\n'));
    }
    console.log(`${tally.passed} passed, ${tally.histories - tally.passed} failed`);
    if (failures.length > 0) process.exitCode = 1;
  }
} finally {
  pool.close();
}
