/** Faults of three nodes on one engine: of the nodes, of the engine, and of the connections between them. */
import { setTimeout as wait } from 'node:timers/promises';
import type { FaultProxy, Faults } from '../../kit/fault-proxy.js';
import type { Application } from '../application.js';
import type { ChaosEngine } from '../engine.js';
import type { Chance } from '../random.js';
import type { Secrets } from '../secrets.js';
import type { Fault, Lasting } from './fault.js';

/** A server process, and the way on which it reaches the engine. */
export interface Node {
  readonly name: string;
  readonly application: Application;
  readonly way: FaultProxy;
}

export function nodeFaults(nodes: readonly Node[], secrets: Secrets, lasts: Lasting): Fault[] {
  async function rolling(settings: Readonly<Record<string, string>>): Promise<void> {
    for (const { application } of nodes) {
      await application.terminate();
      await application.start(settings);
    }
  }
  return [
    {
      name: 'node: kill -9 and restart',
      lane: 'process',
      async strike(chance) {
        const { name, application } = chance.pick(nodes);
        const ms = lasts(chance, 10_000);
        await application.kill();
        await wait(ms);
        await application.start();
        return `${name}, away for ${ms} ms`;
      },
    },
    {
      name: 'node: SIGSTOP and SIGCONT',
      lane: 'process',
      async strike(chance) {
        const { name, application } = chance.pick(nodes);
        const ms = lasts(chance, 40_000);
        application.pause();
        try {
          await wait(ms);
        } finally {
          application.resume();
        }
        return `${name}, ${ms} ms`;
      },
    },
    {
      name: 'all nodes: kill -9 and restart',
      lane: 'process',
      async strike() {
        await Promise.all(nodes.map(({ application }) => application.kill()));
        await Promise.all(nodes.map(({ application }) => application.start()));
        return '';
      },
    },
    {
      name: 'nodes: rolling restart, SIGTERM',
      lane: 'process',
      async strike() {
        await rolling({});
        return '';
      },
    },
    {
      name: 'nodes: rolling restart with another secret',
      lane: 'process',
      async strike() {
        const former = secrets.current();
        // Nodes that are not yet restarted do not know it: their pages ask again until they do.
        await rolling({ NOTIFY_LISTEN_SECRET: `${secrets.next()},${former}` });
        return 'the former one still known';
      },
    },
  ];
}

export function engineFaults(engine: ChaosEngine, nodes: readonly Node[], lasts: Lasting): Fault[] {
  function ofWay(name: string, most: number, make: (chance: Chance) => Faults): Fault {
    return {
      name: `engine's connections: ${name}`,
      lane: 'engine',
      async strike(chance) {
        const { name: whose, way } = chance.pick(nodes);
        const ms = lasts(chance, most);
        const direction = chance.pick(['up', 'down', 'both'] as const);
        way.set(direction, make(chance));
        await wait(ms);
        await way.heal();
        return `${whose} ${direction} ${ms} ms`;
      },
    };
  }
  return [
    {
      name: 'engine: kill -9 and restart',
      lane: 'engine',
      async strike(chance) {
        const ms = lasts(chance, 15_000);
        await engine.kill();
        await wait(ms);
        await engine.start();
        return `away for ${ms} ms`;
      },
    },
    {
      name: 'engine: SIGSTOP and SIGCONT',
      lane: 'engine',
      async strike(chance) {
        const ms = lasts(chance, 20_000);
        engine.freeze();
        try {
          await wait(ms);
        } finally {
          engine.thaw();
        }
        return `${ms} ms`;
      },
    },
    ...engine.losses.map(
      ({ name, strike }): Fault => ({ name: `engine: ${name}`, lane: 'engine', strike: (chance) => strike(chance) }),
    ),
    {
      name: "engine's connections: cut",
      lane: 'engine',
      async strike(chance) {
        const { name, way } = chance.pick(nodes);
        const how = chance.pick(['fin', 'rst'] as const);
        return `${name} ${way.cut(how)} connections, ${how}`;
      },
    },
    {
      name: "engine's connections: refused",
      lane: 'engine',
      async strike(chance) {
        const { name, way } = chance.pick(nodes);
        const ms = lasts(chance, 15_000);
        await way.door('refuse');
        way.cut('rst');
        await wait(ms);
        await way.heal();
        return `${name} ${ms} ms`;
      },
    },
    ofWay('half-open', 20_000, () => ({ stall: 'swallow' })),
    ofWay('held back', 20_000, () => ({ stall: 'hold' })),
    ofWay('delay and jitter', 15_000, (chance) => ({ delay: chance.between(10, 800), jitter: 300 })),
  ];
}
