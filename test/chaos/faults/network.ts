/** Faults of the bytes and of the doors on the ways from pages to the application. */
import { setTimeout as wait } from 'node:timers/promises';
import { CANNED } from '../../kit/canned.js';
import type { Direction, FaultProxy, Faults } from '../../kit/fault-proxy.js';
import type { Front, Fronts } from '../fronts.js';
import type { Chance } from '../random.js';
import type { Fault, Lasting } from './fault.js';

const sidesOf = ({ near, far }: Front): FaultProxy[] => (far ? [near, far] : [near]);

export function networkFaults(fronts: Fronts, lasts: Lasting): Fault[] {
  /** In one direction or both, near the page or near the application. */
  function ofBytes(name: string, most: number, make: (chance: Chance) => Faults, both = true): Fault {
    return {
      name,
      lane: 'network',
      async strike(chance) {
        const front = chance.pick(fronts.all);
        const proxy = chance.pick(sidesOf(front));
        const direction = both ? chance.pick<Direction | 'both'>(['up', 'down', 'both']) : 'down';
        const ms = lasts(chance, most);
        proxy.set(direction, make(chance));
        await wait(ms);
        await proxy.heal();
        return `${front.name} ${proxy === front.far ? 'far ' : ''}${direction} ${ms} ms`;
      },
    };
  }

  function ofDoor(name: string, most: number, make: (chance: Chance) => Parameters<FaultProxy['door']>[0]): Fault {
    return {
      name,
      lane: 'network',
      async strike(chance) {
        const front = chance.pick(fronts.all);
        const proxy = chance.pick(sidesOf(front));
        const ms = lasts(chance, most);
        await proxy.door(make(chance));
        // A page that keeps its connections would not come by.
        const cut = proxy.cut(chance.pick(['fin', 'rst']));
        await wait(ms);
        await proxy.heal();
        return `${front.name} ${proxy === front.far ? 'far ' : ''}${cut} cut, ${ms} ms`;
      },
    };
  }

  return [
    ...(['fin', 'rst'] as const).map(
      (how): Fault => ({
        name: `cut, ${how}`,
        lane: 'network',
        async strike(chance) {
          const front = chance.pick(fronts.all);
          const proxy = chance.pick(sidesOf(front));
          return `${front.name} ${proxy.cut(how)} connections`;
        },
      }),
    ),
    ofBytes('cut after some bytes', 8_000, (chance) => ({
      cut: { after: chance.between(1, 1_500), how: chance.pick(['fin', 'rst']) },
    })),
    ofBytes('half-open: bytes lost without an end', 20_000, () => ({ stall: 'swallow' })),
    ofBytes('held back without an end', 40_000, () => ({ stall: 'hold' })),
    ofBytes('delay and jitter', 15_000, (chance) => ({ delay: chance.between(20, 1_500), jitter: 500 })),
    ofBytes('slow drip', 15_000, (chance) => ({ drip: { bytes: chance.between(10, 60), every: 20 } }), false),
    ofBytes('split at any byte', 10_000, (chance) => {
      const own = chance.fork();
      return { split: () => own.between(1, 30) };
    }),
    ofDoor('connections refused', 15_000, () => 'refuse'),
    ofDoor('accepted, never answered', 20_000, () => 'mute'),
    ofDoor('captive portal', 15_000, (chance) => ({ answer: chance.pick(Object.values(CANNED)) })),
  ];
}
