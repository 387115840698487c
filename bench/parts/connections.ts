/** What a connection costs: to accept, with a grant of twenty channels that is verified, and to hold. */
import { setTimeout as wait } from 'node:timers/promises';
import { compare } from '../kit/compare.js';
import { LIMIT, OURS, OURS_RAW, PEERS, type Standing, stand } from '../kit/contenders.js';
import type { Figure, Part } from '../kit/part.js';

/** Connections of one storm. */
const STORM = 2_000;
/** Connections that are held. */
const HELD = 5_000;
/** Channels of each, and from how many they are drawn. */
const CHANNELS = 20;
const DRAWN_FROM = 200;
/** Until a server has noticed that its connections have gone, in milliseconds. */
const GONE = 300;

/** Twenty neighbours of two hundred, for users at ten places. */
const drawn = Array.from({ length: DRAWN_FROM / CHANNELS }, (_, place) => channelsFrom(place * CHANNELS + 1));
const own = Array.from({ length: HELD }, (_, user) => channelsFrom(user * CHANNELS + 1_000));

function channelsFrom(first: number): number[] {
  return Array.from({ length: CHANNELS }, (_, n) => first + n);
}

/** CPU of a connection from its first byte to `ready`. */
export const accepting: Part = async ({ rounds }) => {
  const standing = await Promise.all([LIMIT, OURS, OURS_RAW, ...PEERS].map(stand));
  for (let warm = 0; warm < 2; warm++) for (const one of standing) await storm(one);
  const target = { [OURS.name]: 4, [OURS_RAW.name]: 2.8 };
  const wanted = [{ name: 'accepting a connection of 20 channels', unit: 'µs', target }] as const;
  const figures = await compare(standing, rounds, [{ wanted, measure: async (one) => [await storm(one)] }]);
  for (const one of standing) await one.end();
  return figures;
};

async function storm(one: Standing): Promise<number> {
  const before = await one.server.call('used', false);
  await one.connect(STORM, drawn);
  const after = await one.server.call('used', false);
  await one.crowd.close();
  await wait(GONE);
  return (after.cpu - before.cpu) / STORM;
}

/** Resident memory that each idle connection adds, after garbage collection; each time in a new process. */
export const holding: Part = async () => {
  const figures: Figure[] = [];
  const ours = [OURS, OURS_RAW];
  const wanted = { drawn: [18, 13], own: [24, 19] };
  for (const [kind, sets] of Object.entries({ drawn, own }) as ['drawn' | 'own', number[][]][]) {
    const name = `memory of a connection, 20 channels ${kind === 'drawn' ? 'drawn from 200' : 'of its own'}`;
    for (const contender of kind === 'drawn' ? [LIMIT, ...ours, ...PEERS] : ours) {
      const one = await stand(contender);
      // Code is compiled and access granted before.
      await one.connect(STORM, sets);
      await one.crowd.close();
      await wait(GONE);
      const before = await one.server.call('used', true);
      await one.connect(HELD, sets);
      await wait(GONE);
      const after = await one.server.call('used', true);
      await one.end();
      const target = wanted[kind][ours.indexOf(contender)];
      figures.push({
        name,
        of: contender.name,
        unit: 'KiB',
        values: [(after.rss - before.rss) / HELD / 1_024],
        ...(target !== undefined && { target }),
      });
    }
  }
  return figures;
};
