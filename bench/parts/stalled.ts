/** Readers that stop reading: what a few of them cost the process, and everybody else. */
import { publish } from '../kit/compare.js';
import { type Contender, LIMIT, OURS, PEERS, stand } from '../kit/contenders.js';
import type { Figure, Part } from '../kit/part.js';

const READERS = 400;
const STALLED = 4;
/** A quarter of a megabyte a second to each reader. The kernel takes 2.6 MB for one that does not read; then the process does. */
const FLOW = { rate: 25, perTurn: 10, objects: 10, same: true, name: 780 };
const BEFORE = 3_000;
const DURING = 16_000;

/** Those that keep up with the flow at all. */
const keepsUp = ({ name }: Contender): boolean => ['ws, one frame', 'ws'].includes(name);

export const stalling: Part = async () => {
  const figures: Figure[] = [];
  for (const contender of [LIMIT, OURS, ...PEERS.filter(keepsUp)]) {
    const one = await stand(contender);
    await one.connect(READERS, [Array.from({ length: FLOW.objects }, (_, n) => n + 1)]);
    await publish(one, READERS, { ...FLOW, ms: BEFORE });
    const all = await publish(one, READERS, { ...FLOW, ms: BEFORE });
    const before = await one.server.call('used', true);
    await one.crowd.stall(STALLED);
    const others = await publish(one, READERS - STALLED, { ...FLOW, ms: DURING });
    const after = await one.server.call('used', true);
    await one.end();
    const mine = contender === OURS;
    figures.push(
      {
        name: 'memory of a stalled reader, 4 of 400',
        of: contender.name,
        unit: 'KiB',
        values: [Math.max(0, after.memory - before.memory) / STALLED / 1_024],
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
