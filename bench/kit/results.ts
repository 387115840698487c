/** Where the figures of a run are kept: `bench/results/`, one file for each command, not committed. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { join } from 'node:path';
import { root } from '../../test/kit/build.js';

export function keep(name: string, figures: object): void {
  const folder = join(root, 'bench/results');
  mkdirSync(folder, { recursive: true });
  const machine = { cores: cpus().length, model: cpus()[0]?.model, node: process.version, kernel: release() };
  const file = join(folder, `${name}.json`);
  writeFileSync(file, `${JSON.stringify({ at: new Date().toISOString(), machine, ...figures }, null, 2)}\n`);
  console.log(`\nbench/results/${name}.json`);
}
