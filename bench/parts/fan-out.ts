/** What a delivery costs: one object with a thousand and ten thousand listeners, bursts, and an object for each connection. */
import { compare, type Published, publish } from '../kit/compare.js';
import { LIMIT, OURS, PEERS, type Standing, stand } from '../kit/contenders.js';
import type { Part } from '../kit/part.js';

/** Of one measurement, and of what goes before all so that code is compiled. Milliseconds. */
const MEASURE = 1_000;
const WARM = 1_500;
/** Listeners of the small crowd, each of all objects of a burst. */
const SOME = 1_000;
const BURST = 10;
/** Listeners of the large crowd, each of an object of its own and of the one they share. */
const MANY = 10_000;
const SHARED = MANY + 1;

/** A thousand listeners. */
export const fanOut: Part = async ({ rounds }) => {
  const objects = Array.from({ length: BURST }, (_, n) => n + 1);
  const standing = await Promise.all([LIMIT, OURS, ...PEERS].map(stand));
  for (const one of standing) await one.connect(SOME, [objects]);
  const once = { flight: 4 * SOME, each: SOME, ms: MEASURE };
  const often = { rate: 50, ms: MEASURE };
  const ten = { flight: 2 * SOME * BURST, each: SOME * BURST, ms: MEASURE, perTurn: BURST };
  /** Ours merges them. */
  const same = (one: Standing) => ({
    ...ten,
    same: true,
    ...(one.name === OURS.name && { flight: 2 * SOME, each: SOME }),
  });
  for (const one of standing) {
    await publish(one, SOME, { ...once, ms: WARM });
    await publish(one, SOME, { ...ten, objects: BURST });
    await publish(one, SOME, same(one));
  }
  const figures = await compare(standing, rounds, [
    {
      wanted: [{ name: 'fan-out, 1,000 listeners', unit: 'µs', target: 1.1 }],
      measure: async (one) => [complete(one, await publish(one, SOME, once)).cpu],
    },
    {
      wanted: [
        { name: 'latency p50, 50 a second to 1,000', unit: 'ms', target: 1.1 },
        { name: 'latency p99, 50 a second to 1,000', unit: 'ms', target: 1.25 },
      ],
      async measure(one) {
        const { p50, p99 } = complete(one, await publish(one, SOME, often));
        return [p50, p99];
      },
    },
    {
      wanted: [{ name: 'burst: ten objects in a turn', unit: 'µs', target: 0.13 }],
      measure: async (one) => [complete(one, await publish(one, SOME, { ...ten, objects: BURST })).cpu],
    },
    {
      wanted: [{ name: 'burst: ten times the same in a turn', unit: 'µs', target: 0.13 }],
      measure: async (one) => [(await publish(one, SOME, same(one))).cpu],
    },
  ]);
  await end(standing);
  return figures;
};

/** Ten thousand. */
export const fanOutMany: Part = async ({ rounds }) => {
  const sets = Array.from({ length: MANY }, (_, n) => [n + 1, SHARED]);
  const standing = await Promise.all([LIMIT, OURS, ...PEERS].map(stand));
  for (const one of standing) await one.connect(MANY, sets);
  const shared = { flight: 2 * MANY, each: MANY, ms: MEASURE, first: SHARED };
  const own = { flight: 512, each: 16, ms: MEASURE, perTurn: 16, objects: MANY, same: true };
  for (const one of standing) {
    await publish(one, MANY, shared);
    await publish(one, 1, { ...own, ms: WARM });
  }
  const figures = await compare(standing, rounds, [
    {
      wanted: [{ name: 'fan-out, 10,000 listeners', unit: 'µs', target: 1.1 }],
      measure: async (one) => [complete(one, await publish(one, MANY, shared)).cpu],
    },
    {
      wanted: [{ name: '10,000 connections, each its own object', unit: 'µs', target: 1.1 }],
      measure: async (one) => [complete(one, await publish(one, 1, own)).cpu],
    },
  ]);
  await end(standing);
  return figures;
};

/** A server that lost something was not measured. */
function complete(one: Standing, published: Published): Published {
  const { arrived } = published;
  if (arrived < 0.999) console.warn(`${one.name}: ${((1 - arrived) * 100).toFixed(1)} % did not arrive`);
  return published;
}

async function end(standing: readonly Standing[]): Promise<void> {
  for (const one of standing) await one.end();
}
