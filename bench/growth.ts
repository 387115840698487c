/** `npm run bench -- growth`: how cost grows. Exponents by least squares over the logarithms: 0 is flat, 1 in proportion. */
import { setTimeout as wait } from 'node:timers/promises';
import { publish } from './kit/compare.js';
import { OURS, type Standing, stand } from './kit/contenders.js';
import { keep } from './kit/results.js';
import { median, short, table } from './kit/stats.js';
import { type Growth, growthOfHistory } from './parts/history.js';

const MEASURE = 1_500;
const SLICES = 3;
/** One process holds no more files open than this allows; what is beyond is left out. */
const CONNECTIONS = [1_000, 5_000, 10_000, 15_000];
const LISTENERS = [10, 100, 1_000, 10_000];
const CHANNELS = [1, 10, 100, 1_000, 10_000, 100_000];
const RATES = [10, 100, 1_000, 5_000];
/** Connections of the rows in which something else grows. */
const SOME = 1_000;
const PER_CONNECTION = 100;

export async function benchGrowth(): Promise<void> {
  const grown: Grown[] = [
    ...(await connections()),
    await listeners(),
    await channels(),
    await rates(),
    ...(await growthOfHistory()),
  ].map((growth) => ({ ...growth, exponent: exponent(growth.points) }));
  console.log(growthTable(grown));
  keep('growth', { grown });
}

export interface Grown extends Growth {
  readonly exponent: number;
}

export function growthTable(grown: readonly Grown[]): string {
  return table(
    ['what grows', 'cost at each size', 'exponent'],
    grown.map(({ name, points, exponent }) => [
      name,
      points.map(({ n, value, unit }) => `${n.toLocaleString('en')}: ${short(value)} ${unit}`).join(', '),
      exponent.toFixed(2),
    ]),
  );
}

/** The slope of the line through the logarithms. */
function exponent(points: Growth['points']): number {
  const logs = points.map(({ n, value }) => [Math.log(n), Math.log(value)] as const);
  const [x, y] = [0, 1].map((axis) => logs.reduce((sum, log) => sum + (log[axis] as number), 0) / logs.length);
  const [mx, my] = [x as number, y as number];
  const across = logs.reduce((sum, [lx]) => sum + (lx - mx) ** 2, 0);
  return logs.reduce((sum, [lx, ly]) => sum + (lx - mx) * (ly - my), 0) / across;
}

/** The median of some slices; what is behind `measure` has been warmed. */
async function often(measure: () => Promise<number>): Promise<number> {
  const values: number[] = [];
  for (let slice = 0; slice < SLICES; slice++) values.push(await measure());
  return median(values);
}

async function withServer<T>(run: (one: Standing) => Promise<T>): Promise<T> {
  const one = await stand(OURS);
  try {
    return await run(one);
  } finally {
    await one.end();
  }
}

/** Accepting, a delivery to all, a delivery to one, and memory. */
async function connections(): Promise<Growth[]> {
  const points = { accept: [], all: [], own: [], memory: [] } as Record<string, Growth['points'][number][]>;
  for (const n of CONNECTIONS) {
    await withServer(async (one) => {
      const shared = n + 1;
      const sets = Array.from({ length: n }, (_, user) => [user + 1, shared]);
      await one.connect(500, sets);
      await one.crowd.close();
      await wait(300);
      const before = await one.server.call('used', true);
      const began = await one.server.call('used', false);
      await one.connect(n, sets);
      const accepted = await one.server.call('used', false);
      const held = await one.server.call('used', true);
      const all = { flight: 2 * n, each: n, ms: MEASURE, first: shared };
      const own = { flight: 512, each: 16, perTurn: 16, same: true, ms: MEASURE, objects: n };
      await publish(one, n, all);
      await publish(one, 1, own);
      points.accept?.push({ n, value: (accepted.cpu - began.cpu) / n, unit: 'µs' });
      points.memory?.push({ n, value: (held.rss - before.rss) / n / 1_024, unit: 'KiB' });
      points.all?.push({ n, value: await often(async () => (await publish(one, n, all)).cpu), unit: 'µs' });
      points.own?.push({ n, value: await often(async () => (await publish(one, 1, own)).cpu), unit: 'µs' });
    });
  }
  return [
    { name: 'connections: accepting one', points: points.accept ?? [] },
    { name: 'connections: a delivery, all listen to one object', points: points.all ?? [] },
    { name: 'connections: a delivery, each its own object', points: points.own ?? [] },
    { name: 'connections: memory of one', points: points.memory ?? [] },
  ];
}

function listeners(): Promise<Growth> {
  return withServer(async (one) => {
    const most = Math.max(...LISTENERS);
    // Object 1 has ten listeners, object 2 a hundred more, and so on.
    const sets = Array.from({ length: most }, (_, user) =>
      LISTENERS.flatMap((count, object) => (user < count ? [object + 1] : [])),
    );
    await one.connect(most, sets);
    const points = [];
    for (const [object, n] of LISTENERS.entries()) {
      const flow = { flight: 4 * n, each: n, ms: MEASURE, first: object + 1 };
      await publish(one, n, flow);
      points.push({ n, value: await often(async () => (await publish(one, n, flow)).cpu), unit: 'µs' });
    }
    return { name: 'listeners of an object: a delivery', points };
  });
}

/** A thousand connections with up to a hundred channels each: a notification of each channel in turn. */
async function channels(): Promise<Growth> {
  const points = [];
  for (const n of CHANNELS) {
    const each = Math.min(PER_CONNECTION, n);
    const sets = Array.from({ length: Math.max(1, Math.ceil(n / each)) }, (_, user) =>
      Array.from({ length: each }, (_, index) => user * each + index + 1),
    );
    // As many listeners of each channel as it takes to have so many connections.
    const holders = Math.max(1, Math.round((SOME * each) / n));
    const flow = { flight: Math.max(512, 4 * holders), each: holders, same: true, ms: MEASURE, objects: n };
    points.push(
      await withServer(async (one) => {
        await one.connect(SOME, sets);
        await publish(one, holders, { ...flow, ms: 2 * MEASURE });
        return { n, value: await often(async () => (await publish(one, holders, flow)).cpu), unit: 'µs' };
      }),
    );
  }
  return { name: 'channels: a delivery, 1,000 connections', points };
}

function rates(): Promise<Growth> {
  return withServer(async (one) => {
    const objects = 100;
    const holders = 10;
    await one.connect(
      objects * holders,
      Array.from({ length: objects }, (_, n) => [n + 1]),
    );
    const points = [];
    await publish(one, holders, { rate: 100, perTurn: 64, ms: MEASURE, objects });
    for (const n of RATES) {
      const turns = Math.min(n, 250);
      const flow = { rate: turns, perTurn: n / turns, ms: MEASURE, objects };
      points.push({ n, value: await often(async () => (await publish(one, holders, flow)).cpu), unit: 'µs' });
    }
    return { name: 'notifications a second: a delivery, 10 listeners each', points };
  });
}
