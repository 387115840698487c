/** Servers side by side: each is measured in every round, in an order that changes, and compared with the limit of that round. */
import type { Publishing } from '../servers/serve.js';
import type { Standing } from './contenders.js';
import type { Figure } from './part.js';

/** What one measurement of one server gives, by the name of the figure. */
export type Measured = Readonly<Record<string, number>>;

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

/**
 * Measures each of them in each round, the first one of all being the limit, with which the others are compared.
 *
 * @param targets by figure, what ours must reach as a ratio to the limit
 */
export async function compare(
  standing: readonly Standing[],
  rounds: number,
  units: Readonly<Record<string, Figure['unit']>>,
  targets: Readonly<Record<string, number>>,
  measure: (one: Standing) => Promise<Measured>,
): Promise<Figure[]> {
  const measured = new Map(standing.map((one) => [one, [] as Measured[]]));
  for (let round = 0; round < rounds; round++) {
    // Forwards, backwards, and from the middle on: nobody always comes after the same one.
    const turned = standing.map((_, n) => standing[(n + round * 2) % standing.length] as Standing);
    for (const one of round % 2 === 0 ? turned : turned.reverse()) measured.get(one)?.push(await measure(one));
  }
  const [limit] = standing;
  const limits = (limit && measured.get(limit)) ?? [];
  return Object.entries(units).flatMap(([name, unit]) =>
    standing.map((one): Figure => {
      const values = (measured.get(one) ?? []).map((of) => of[name] ?? Number.NaN);
      const ratios = values.map((value, n) => value / (limits[n]?.[name] ?? Number.NaN));
      const target = one.name.startsWith('notify-listen') ? targets[name] : undefined;
      return { name, of: one.name, unit, values, ratios, ...(target !== undefined && { target }) };
    }),
  );
}
