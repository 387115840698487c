/** What a delivery costs: one object with a thousand and ten thousand listeners, bursts, and an object for each connection. */
import { compare, publish } from '../kit/compare.js';
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

export const NAMES = {
  one: 'fan-out, 1,000 listeners',
  burst: 'burst: ten objects',
  same: 'burst: ten times the same',
  p50: 'latency p50, 50 a second to 1,000',
  p99: 'latency p99, 50 a second to 1,000',
  many: 'fan-out, 10,000 listeners',
  own: '10,000 connections, each its own object',
} as const;

/** A thousand listeners. */
export const fanOut: Part = async ({ rounds }) => {
  const objects = Array.from({ length: BURST }, (_, n) => n + 1);
  const standing = await Promise.all([LIMIT, OURS, ...PEERS].map(stand));
  for (const one of standing) await one.connect(SOME, [objects]);
  const once = { rate: 25, ms: MEASURE };
  const often = { rate: 50, ms: MEASURE };
  const ten = { rate: 10, ms: MEASURE, perTurn: BURST };
  const same = { ...ten, same: true };
  for (const one of standing) {
    await publish(one, SOME, { ...once, ms: WARM });
    await publish(one, SOME, { ...ten, objects: BURST });
    await publish(one, SOME, same);
  }
  const figures = await compare(
    standing,
    rounds,
    { [NAMES.one]: 'µs', [NAMES.burst]: 'µs', [NAMES.same]: 'µs', [NAMES.p50]: 'ms', [NAMES.p99]: 'ms' },
    { [NAMES.one]: 1.1, [NAMES.burst]: 0.13, [NAMES.same]: 0.13, [NAMES.p50]: 1.1, [NAMES.p99]: 1.25 },
    async (one) => {
      const alone = await publish(one, SOME, once);
      const latency = await publish(one, SOME, often);
      const burst = await publish(one, SOME, { ...ten, objects: BURST });
      const merged = await publish(one, SOME, same);
      complete(one, [alone, latency, burst]);
      return {
        [NAMES.one]: alone.cpu,
        [NAMES.burst]: burst.cpu,
        [NAMES.same]: merged.cpu,
        [NAMES.p50]: latency.p50,
        [NAMES.p99]: latency.p99,
      };
    },
  );
  await end(standing);
  return figures;
};

/** Ten thousand. */
export const fanOutMany: Part = async ({ rounds }) => {
  const sets = Array.from({ length: MANY }, (_, n) => [n + 1, SHARED]);
  const standing = await Promise.all([LIMIT, OURS, ...PEERS].map(stand));
  for (const one of standing) await one.connect(MANY, sets);
  const shared = { rate: 3, ms: MEASURE, first: SHARED };
  const own = { rate: 50, ms: MEASURE, perTurn: 16, objects: MANY };
  for (const one of standing) {
    await publish(one, MANY, shared);
    await publish(one, 1, { ...own, rate: 100, ms: WARM });
  }
  const figures = await compare(
    standing,
    rounds,
    { [NAMES.many]: 'µs', [NAMES.own]: 'µs' },
    { [NAMES.many]: 1.1, [NAMES.own]: 1.1 },
    async (one) => {
      const all = await publish(one, MANY, shared);
      const each = await publish(one, 1, own);
      complete(one, [all, each]);
      return { [NAMES.many]: all.cpu, [NAMES.own]: each.cpu };
    },
  );
  await end(standing);
  return figures;
};

/** A server that lost something was not measured. */
function complete(one: Standing, published: readonly { readonly arrived: number }[]): void {
  for (const { arrived } of published)
    if (arrived < 0.999) console.warn(`${one.name}: ${((1 - arrived) * 100).toFixed(1)} % did not arrive`);
}

async function end(standing: readonly Standing[]): Promise<void> {
  for (const one of standing) await one.end();
}
