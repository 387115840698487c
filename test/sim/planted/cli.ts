/**
 * `npm run sim:planted`: each bug of bugs.ts in a copy of the sources, simulated until it is noticed. Prints after how many
 * histories, and what noticed it; ends with 1 when one survives.
 */
import { rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { bundleWorker } from '../bundle.js';
import { createPool } from '../pool.js';
import { BUGS, type Bug } from './bugs.js';
import { plant } from './plant.js';

const { values } = parseArgs({
  options: {
    histories: { type: 'string' },
    seed: { type: 'string' },
    only: { type: 'string' },
    story: { type: 'boolean' },
  },
});
const most = Number(values.histories ?? 20_000);
const seed = Number(values.seed ?? 1);
const bugs = BUGS.filter(({ name, part }) => !values.only || name.includes(values.only) || part === values.only);
const survivors: Bug[] = [];

async function look(bug: Bug): Promise<void> {
  const planted = plant(bug);
  let worker: string | undefined;
  let found = 'SURVIVED';
  let story: readonly string[] = [];
  try {
    worker = await bundleWorker(planted.source);
    const pool = createPool(worker, 1);
    try {
      const { tally, failures } = await pool.run(seed, most, 1);
      const [failure] = failures;
      if (failure) {
        found = `${String(tally.histories).padStart(6)}  (${failure.part}) ${failure.message}`;
        if (values.story) ({ story } = await pool.tell(failure.history, 'shrink'));
      } else survivors.push(bug);
    } finally {
      pool.close();
    }
  } catch (error) {
    // A worker that dies of it has noticed, too.
    found = `     -  ${error instanceof Error ? error.message : error}`;
  } finally {
    planted.remove();
    if (worker) rmSync(dirname(worker), { recursive: true, force: true });
  }
  console.log(`${bug.part.padEnd(9)}  ${bug.name.padEnd(75)}  ${found}`.slice(0, 200));
  for (const line of story) console.log(`    ${line}`);
}

const queue = [...bugs];
await Promise.all(
  Array.from({ length: availableParallelism() }, async () => {
    for (let bug = queue.shift(); bug; bug = queue.shift()) await look(bug);
  }),
);
console.log(`${bugs.length - survivors.length} passed, ${survivors.length} failed`);
if (survivors.length > 0) process.exitCode = 1;
