/**
 * What `notify()` costs with nobody listening, about 10,000 objects in turn on the memory log, over what `JSON.stringify` of
 * the same hint costs in the same process and round. The node is warm: every object is in its history and its log is full.
 */
import { startChild } from '../kit/child.js';
import type { Figure, Part } from '../kit/part.js';
import type { NotifyAnswers, Way } from './notify-process.js';

const OBJECTS = 10_000;
/** Each way is measured in slices that take turns, so that what disturbs the machine disturbs all of them. */
const SLICES = 10;
/** Calls of a slice, and of each way before the first round. */
const CALLS = 4_000;
const WARM = 40_000;
const TARGET = 4;

const WAYS = ['JSON.stringify', 'one after the other', '16 at once', 'one call for 100'] as const satisfies Way[];

export const benchNotify: Part = async ({ rounds }): Promise<Figure[]> => {
  const child = await startChild<NotifyAnswers>('parts/notify-process.ts');
  for (const way of WAYS) await child.call('measure', way, OBJECTS, WARM);

  /** By way, for each round the microseconds of one hint. */
  const values = new Map<Way, number[]>(WAYS.map((way) => [way, []]));
  for (let round = 0; round < rounds; round++) {
    const sums = new Map<Way, number>();
    for (let slice = 0; slice < SLICES; slice++) {
      for (const way of slice % 2 === 1 ? WAYS.toReversed() : WAYS)
        sums.set(way, (sums.get(way) ?? 0) + (await child.call('measure', way, OBJECTS, CALLS)));
    }
    for (const [way, sum] of sums) values.get(way)?.push(sum / SLICES / CALLS);
  }
  await child.end();

  const text = values.get('JSON.stringify') ?? [];
  return WAYS.map((way) => {
    const own = values.get(way) ?? [];
    const ratios = own.map((value, round) => value / (text[round] ?? Number.NaN));
    if (way === 'JSON.stringify') return { name: 'notify, nobody listens', of: way, unit: 'µs', values: own, ratios };
    const name = `notify, nobody listens, ${way}`;
    return { name, of: 'notify-listen', unit: 'µs', values: own, ratios, target: TARGET };
  });
};
