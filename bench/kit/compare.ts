/** Servers side by side: each is measured in every round, in an order that changes, and compared with the limit of that round. */
import type { Publishing } from '../servers/serve.js';
import { LIMIT, OURS, type Standing } from './contenders.js';
import type { Figure } from './part.js';

/** What publishing cost, and how soon it arrived. */
export interface Published {
  /** CPU of the server, in microseconds: for each notification that each listener should get. */
  readonly cpu: number;
  /** The same, the kernel's part of it. */
  readonly system: number;
  /** From the call to the bytes, in milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** Notifications that arrived, over those that were made for each listener: less than 1 where they are merged. */
  readonly arrived: number;
  /** The server's part of a core, and the crowd's. */
  readonly cores: number;
  readonly crowdCores: number;
}

/** Publishes and waits until all has arrived. `listeners`: how many hold each object. */
export async function publish(standing: Standing, listeners: number, publishing: Publishing): Promise<Published> {
  const { server, crowd } = standing;
  // Told after every turn, or after a quarter of what may be on its way.
  if (publishing.flight)
    await crowd.tell(await server.call('hear'), Math.max(publishing.each ?? 1, publishing.flight / 4));
  const idle = await crowd.take();
  const before = await server.call('used', false);
  const began = performance.now();
  const made = (await server.call('publish', publishing)) * listeners;
  const arrived = await crowd.settle();
  const after = await server.call('used', false);
  const ms = performance.now() - began;
  return {
    cpu: (after.cpu - before.cpu) / made,
    system: (after.system - before.system) / made,
    p50: arrived.p50 / 1_000,
    p99: arrived.p99 / 1_000,
    arrived: arrived.count / made,
    cores: (after.cpu - before.cpu) / 1_000 / ms,
    crowdCores: (arrived.cpu - idle.cpu) / 1_000 / ms,
  };
}

/** A figure that a measurement gives. */
export interface Wanted {
  readonly name: string;
  readonly unit: Figure['unit'];
  /** What ours must reach, as a ratio to the limit; by server, where they differ. */
  readonly target: number | Readonly<Record<string, number>>;
}

/** One kind of measurement, and the figures that it gives, in their order. */
export interface Row {
  readonly wanted: readonly Wanted[];
  readonly measure: (one: Standing) => Promise<readonly number[]>;
}

/**
 * Measures each server in each round, row by row, so that what is compared lies seconds apart. The first server is the limit.
 */
export async function compare(
  standing: readonly Standing[],
  rounds: number,
  rows: readonly Row[],
): Promise<readonly Figure[]> {
  const measured = new Map<string, Map<string, number[]>>();
  for (let round = 0; round < rounds; round++) {
    // Turned and reversed: nobody always comes after the same one.
    const turned = standing.map((_, n) => standing[(n + round * 2) % standing.length] as Standing);
    const order = round % 2 === 0 ? turned : turned.reverse();
    for (const { wanted, measure } of rows) {
      for (const one of order) {
        const values = await measure(one);
        for (const [n, { name }] of wanted.entries()) {
          const of = measured.get(name) ?? new Map<string, number[]>();
          measured.set(name, of.set(one.name, [...(of.get(one.name) ?? []), values[n] ?? Number.NaN]));
        }
      }
    }
  }
  return rows.flatMap(({ wanted }) =>
    wanted.flatMap(({ name, unit, target }) => {
      const of = measured.get(name);
      const limits = of?.get(LIMIT.name) ?? [];
      return standing.map((one): Figure => {
        const values = of?.get(one.name) ?? [];
        const ratios = values.map((value, n) => value / (limits[n] ?? Number.NaN));
        const reach = typeof target === 'object' ? target[one.name] : one.name === OURS.name ? target : undefined;
        return { name, of: one.name, unit, values, ratios, ...(reach !== undefined && { target: reach }) };
      });
    }),
  );
}
