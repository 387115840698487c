/** How the cost of a node's history grows with what it holds. Flat is what is wanted: exponents near 0. */
import { startChild } from '../kit/child.js';
import { median } from '../kit/stats.js';
import type { HistoryAnswers } from './history-process.js';

export interface Growth {
  readonly name: string;
  readonly points: readonly { readonly n: number; readonly value: number; readonly unit: string }[];
}

const ROUNDS = 5;

const SERIES: readonly {
  readonly name: string;
  readonly of: keyof HistoryAnswers;
  readonly sizes: readonly number[];
}[] = [
  { name: 'history: a new object, one dropped for it, by entries held', of: 'append', sizes: [1_000, 10_000, 100_000] },
  { name: 'history: a notification, by distinct objects', of: 'notify', sizes: [1, 10, 100, 1_000, 10_000, 100_000] },
  { name: 'history: an entry that is too old, by entries held', of: 'expire', sizes: [1_000, 10_000, 100_000] },
  { name: 'history: a replay of 20 objects, by objects held', of: 'read', sizes: [100, 1_000, 10_000, 100_000] },
];

/** CPU by size, each the median of rounds in which all sizes take turns. */
export async function growthOfHistory(): Promise<Growth[]> {
  const child = await startChild<HistoryAnswers>('parts/history-process.ts');
  const grown: Growth[] = [];
  for (const { name, of, sizes } of SERIES) {
    for (const size of sizes) await child.call(of, size);
    const values = sizes.map((): number[] => []);
    for (let round = 0; round < ROUNDS; round++)
      for (const [index, size] of sizes.entries()) values[index]?.push(await child.call(of, size));
    grown.push({ name, points: sizes.map((n, index) => ({ n, value: median(values[index] ?? []), unit: 'µs' })) });
  }
  await child.end();
  return grown;
}
