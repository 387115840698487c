/** The simulator itself: the same seed gives the same history, a planted bug is found, and the shipped code passes. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { root } from '../kit/build.js';
import { bundleWorker } from './bundle.js';
import { createPool, type Pool } from './pool.js';

/** What `npm test` has time for, a minute on two cores. */
const HISTORIES = 1_500;
const SEED = 20_261_122;

let worker: string;
let pool: Pool;

beforeAll(async () => {
  worker = await bundleWorker();
  pool = createPool(worker, availableParallelism());
});
afterAll(() => pool.close());

describe('the same seed', () => {
  test('gives the same history, byte for byte, in another process too', async () => {
    const other = createPool(worker, 1);
    try {
      for (const history of [1, 2, 3, 4, 5, 6, 7, 8]) {
        const first = await pool.tell(history, 'tell');
        expect(first.story.length).toBeGreaterThan(50);
        expect((await pool.tell(history, 'tell')).story).toEqual(first.story);
        expect((await other.tell(history, 'tell')).story).toEqual(first.story);
      }
    } finally {
      other.close();
    }
  });

  test('comes to the same whichever process runs which part of it', async () => {
    const alone = createPool(worker, 1);
    try {
      const [many, one] = [await pool.run(7, 60, 1), await alone.run(7, 60, 1)];
      expect(many.tally).toEqual({ ...one.tally, ms: many.tally.ms });
      expect((await pool.run(8, 60, 1)).tally.hash).not.toBe(many.tally.hash);
    } finally {
      alone.close();
    }
  });
});

test('a bug that is planted in a copy of the sources is found, and told in a short story', async () => {
  const copy = mkdtempSync(join(tmpdir(), 'notify-listen-sim-'));
  let sick: Pool | undefined;
  try {
    for (const room of ['adapters', 'server', 'widget'])
      cpSync(join(root, room), join(copy, room), { recursive: true });
    const file = join(copy, 'adapters/sse/opening.ts');
    const text = readFileSync(file, 'utf8');
    // The first entry of a replay is left out.
    const planted = text.replace('of replay) {', 'of replay.slice(1)) {');
    expect(planted).not.toBe(text);
    writeFileSync(file, planted);
    sick = createPool(await bundleWorker(copy), availableParallelism());
    const { failures } = await sick.run(SEED, 2_000, 1);
    expect(failures).toMatchObject([{ part: 'a' }]);
    const told = await sick.tell(failures[0]?.history as number, 'shrink');
    expect(told.history.actions.length).toBeLessThan(8);
    expect(told.message).toMatch(/^\(a\) tab \d shows/);
  } finally {
    sick?.close();
    rmSync(copy, { recursive: true, force: true });
  }
});

test(`nothing is stale, heard without a right, done without cause or left over in ${HISTORIES} histories`, async () => {
  const { tally, failures } = await pool.run(SEED, HISTORIES, 1);
  const [failure] = failures;
  if (failure) {
    const { story, message } = await pool.tell(failure.history, 'shrink');
    throw new Error(`history ${failure.history}: ${message}\n${story.join('\n')}`);
  }
  expect(tally.histories).toBe(HISTORIES);
  // What is rare, too: 1,000 of each in 20,000 histories.
  for (const [name, count] of Object.entries({ ...tally.faults, ...tally.mechanisms }))
    expect(count, name).toBeGreaterThanOrEqual(60);
});
