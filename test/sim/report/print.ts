/** The report of a run, as text. */
import type { Tally } from './tally.js';

function table(title: string, counts: Readonly<Record<string, number>>): void {
  const rows = Object.entries(counts).sort(([, a], [, b]) => b - a);
  console.log(`\n${title}`);
  for (const [name, count] of rows) console.log(`  ${name.padEnd(12)} ${count.toLocaleString('en').padStart(12)}`);
}

export function printReport(seed: number, tally: Tally, elapsed: number): void {
  const { histories, steps, ms, fresh, slowest, hash, kinds, faults, mechanisms } = tally;
  console.log(
    `seed ${seed}: ${histories.toLocaleString('en')} histories in ${(elapsed / 1_000).toFixed(1)} s ` +
      `(${(ms / histories).toFixed(2)} ms of a core each, ${Math.round(steps / histories)} steps), hash ${hash.toString(16)}`,
  );
  console.log(
    `fresh ${(fresh / histories / 1_000).toFixed(1)} s after the last fault on average, ${slowest / 1_000} s at most`,
  );
  table('histories', kinds);
  table('what happened', faults as Record<string, number>);
  table('what ran', mechanisms as Record<string, number>);
}
