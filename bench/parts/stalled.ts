/** Readers that stop reading: what a few of them cost the process, and everybody else. */
import { publish } from '../kit/compare.js';
import { type Contender, LIMIT, OURS, PEERS, stand } from '../kit/contenders.js';
import type { Figure, Part } from '../kit/part.js';

const READERS = 400;
const STALLED = 4;
/** A quarter of a megabyte a second to each reader. The kernel takes 2.6 MB for one that does not read; then the process does. */
const FLOW = { rate: 25, perTurn: 10, objects: 10, same: true, name: 780 };
const WARM = 3_000;
const DURING = 20_000;

/** One that keeps up with the flow. */
const keepsUp = ({ name }: Contender): boolean => name === 'ws';

export const stalling: Part = async () => {
  const figures: Figure[] = [];
  for (const contender of [LIMIT, OURS, ...PEERS.filter(keepsUp)]) {
    const one = await stand(contender);
    await one.connect(READERS, [Array.from({ length: FLOW.objects }, (_, n) => n + 1)]);
    await publish(one, READERS, { ...FLOW, ms: WARM });
    const start = await one.server.call('used', true);
    const all = await publish(one, READERS, { ...FLOW, ms: DURING });
    const before = await one.server.call('used', true);
    await one.crowd.stall(STALLED);
    const others = await publish(one, READERS - STALLED, { ...FLOW, ms: DURING });
    const after = await one.server.call('used', true);
    // What the same notifications leave when everybody reads is not the stalled ones': the log keeps them.
    const grown = after.memory - before.memory - (before.memory - start.memory);
    await one.end();
    const mine = contender === OURS;
    figures.push(
      {
        name: 'memory of a stalled reader, 4 of 400',
        of: contender.name,
        unit: 'KiB',
        values: [Math.max(0, grown) / STALLED / 1_024],
        ...(mine && { target: 256 }),
      },
      {
        name: 'p99 of the others, over that before',
        of: contender.name,
        unit: 'ms',
        values: [others.p99],
        ratios: [others.p99 / all.p99],
        ...(mine && { target: 1.25 }),
      },
    );
  }
  return figures;
};
