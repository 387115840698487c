/**
 * `npm run soak`: half an hour of connections that come and go and of notifications, and the memory of the server after
 * garbage collection all the while. It must be flat: what grows without an end is a leak.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { publish } from './kit/compare.js';
import { OURS, stand } from './kit/contenders.js';
import { keep } from './kit/results.js';
import { median, short, table } from './kit/stats.js';
import type { BenchOptions } from './main.js';

const MINUTES = 30;
const CONNECTIONS = 1_000;
const CHANNELS = 20;
/** Objects that are notified of, which is what the history holds in the end. */
const OBJECTS = 2_000;
/** A measurement in each cycle of connecting, notifying and leaving. */
const CYCLE = 20_000;
/** How much more the last third may take than the second, as a part of it: what measuring itself moves. */
const FLAT = 0.03;

export async function soak({ minutes = MINUTES }: BenchOptions): Promise<void> {
  const one = await stand(OURS);
  const sets = Array.from({ length: OBJECTS / CHANNELS }, (_, place) =>
    Array.from({ length: CHANNELS }, (_, n) => place * CHANNELS + n + 1),
  );
  const seen: { minute: number; memory: number; rss: number }[] = [];
  const began = performance.now();
  while (performance.now() - began < minutes * 60_000) {
    const until = performance.now() + CYCLE;
    await one.connect(CONNECTIONS, sets);
    const holders = (CONNECTIONS * CHANNELS) / OBJECTS;
    while (performance.now() < until)
      await publish(one, holders, { rate: 50, perTurn: 20, ms: 2_000, objects: OBJECTS });
    await one.crowd.close();
    await wait(500);
    const { memory, rss } = await one.server.call('used', true);
    seen.push({ minute: (performance.now() - began) / 60_000, memory, rss });
    console.error(`${short(seen.at(-1)?.minute ?? 0)} min: ${short(memory / 1e6)} MB, resident ${short(rss / 1e6)} MB`);
  }
  await one.end();
  const third = Math.floor(seen.length / 3);
  const [middle, last] = [seen.slice(third, 2 * third), seen.slice(2 * third)].map((part) =>
    median(part.map(({ memory }) => memory)),
  ) as [number, number];
  const growth = last / middle - 1;
  console.log(
    table(
      ['minute', 'MB after garbage collection', 'resident MB'],
      seen.map(({ minute, memory, rss }) => [short(minute), short(memory / 1e6), short(rss / 1e6)]),
    ),
  );
  console.log(
    `\nThe last third takes ${(growth * 100).toFixed(1)} % more than the second: ${growth <= FLAT ? 'flat' : 'it grows'}`,
  );
  keep('soak', { minutes, seen, growth });
  if (!(growth <= FLAT)) process.exitCode = 1;
}
