/** The faults of the chaos run: each strikes, lasts a while and is over when its promise resolves. */
import { setTimeout as wait } from 'node:timers/promises';
import { CANNED } from '../kit/canned.js';
import type { Direction, Faults } from '../kit/fault-proxy.js';
import type { Application } from './application.js';
import type { Browsers, Tab } from './browsers.js';
import type { Front, Fronts } from './fronts.js';
import type { Chance } from './random.js';

export interface Stage {
  readonly application: Application;
  readonly fronts: Fronts;
  readonly browsers: Browsers;
  /** The log that a server started now uses. Two processes can run side by side on the memory log only. */
  readonly log: () => { readonly name: 'memory' | 'file'; readonly settings: Readonly<Record<string, string>> };
  readonly secrets: { current: string; next(): string };
  /** How long a fault lasts, in milliseconds: its own longest, or less where the whole run is short. */
  readonly longest: (ms: number) => number;
}

export interface Fault {
  readonly name: string;
  /** Faults of the network strike beside those of processes, one of each at a time. */
  readonly lane: 'network' | 'process';
  /** Tells what it did, in short. */
  strike(stage: Stage, chance: Chance): Promise<string>;
}

const lasts = (stage: Stage, chance: Chance, most: number): number => chance.between(500, stage.longest(most));

/** A fault of the bytes on one of the ways, in one direction or both, near the page or near the application. */
function ofBytes(name: string, most: number, make: (chance: Chance) => Faults, both = true): Fault {
  return {
    name,
    lane: 'network',
    async strike(stage, chance) {
      const front = chance.pick(stage.fronts.all);
      const proxy = chance.pick(sidesOf(front));
      const direction = both ? chance.pick<Direction | 'both'>(['up', 'down', 'both']) : 'down';
      const ms = lasts(stage, chance, most);
      proxy.set(direction, make(chance));
      await wait(ms);
      await proxy.heal();
      return `${front.name} ${proxy === front.far ? 'far ' : ''}${direction} ${ms} ms`;
    },
  };
}

const sidesOf = ({ near, far }: Front): Front['near'][] => (far ? [near, far] : [near]);

function ofDoor(name: string, most: number, make: (chance: Chance) => Parameters<Front['near']['door']>[0]): Fault {
  return {
    name,
    lane: 'network',
    async strike(stage, chance) {
      const front = chance.pick(stage.fronts.all);
      const proxy = chance.pick(sidesOf(front));
      const ms = lasts(stage, chance, most);
      await proxy.door(make(chance));
      // A page that keeps its connections would not come by.
      const cut = proxy.cut(chance.pick(['fin', 'rst']));
      await wait(ms);
      await proxy.heal();
      return `${front.name} ${proxy === front.far ? 'far ' : ''}${cut} cut, ${ms} ms`;
    },
  };
}

function ofTab(name: string, strike: (tab: Tab, stage: Stage, chance: Chance) => Promise<string>): Fault {
  return {
    name,
    lane: 'process',
    async strike(stage, chance) {
      const tab = chance.pick(stage.browsers.tabs);
      return `${tab.name} ${await strike(tab, stage, chance)}`;
    },
  };
}

/** Stops processes of the browser and lets them go on, whatever happens in between. */
function ofBrowser(name: string, most: number, all: boolean): Fault {
  return {
    name,
    lane: 'process',
    async strike(stage, chance) {
      const pids = await stage.browsers.processes(all);
      const ms = lasts(stage, chance, most);
      const send = (signal: NodeJS.Signals): void => {
        for (const pid of pids) {
          try {
            process.kill(pid, signal);
          } catch {
            // It has ended by itself: a tab was closed.
          }
        }
      };
      try {
        send('SIGSTOP');
        await wait(ms);
      } finally {
        send('SIGCONT');
      }
      return `${pids.length} processes, ${ms} ms`;
    },
  };
}

export const FAULTS: readonly Fault[] = [
  ...(['fin', 'rst'] as const).map(
    (how): Fault => ({
      name: `cut, ${how}`,
      lane: 'network',
      async strike({ fronts }, chance) {
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
  {
    name: 'server: kill -9 and restart',
    lane: 'process',
    async strike(stage, chance) {
      const ms = lasts(stage, chance, 10_000);
      await stage.application.kill();
      await wait(ms);
      await stage.application.start(stage.log().settings);
      return `${stage.log().name}, away for ${ms} ms`;
    },
  },
  {
    name: 'server: kill -9 and restart with another secret',
    lane: 'process',
    async strike({ application, log, secrets }, chance) {
      const former = secrets.current;
      const next = secrets.next();
      const known = chance.next() < 0.5;
      await application.kill();
      await application.start({ ...log().settings, NOTIFY_LISTEN_SECRET: known ? `${next},${former}` : next });
      return known ? 'the former one still known' : 'the former one unknown';
    },
  },
  {
    name: 'server: rolling restart, SIGTERM',
    lane: 'process',
    async strike({ application, log }) {
      const { name, settings } = log();
      if (name === 'memory') await application.replace(settings);
      else {
        await application.terminate();
        await application.start(settings);
      }
      return name;
    },
  },
  {
    name: 'server: SIGSTOP and SIGCONT',
    lane: 'process',
    async strike(stage, chance) {
      const ms = lasts(stage, chance, 40_000);
      stage.application.pause();
      try {
        await wait(ms);
      } finally {
        stage.application.resume();
      }
      return `${ms} ms`;
    },
  },
  ofBrowser('page processes: SIGSTOP and SIGCONT', 30_000, false),
  ofBrowser('whole browser: SIGSTOP and SIGCONT', 20_000, true),
  ofTab('page offline', async (tab, stage, chance) => {
    const ms = lasts(stage, chance, 20_000);
    await tab.offline(true);
    try {
      await wait(ms);
    } finally {
      await tab.offline(false);
    }
    return `${ms} ms`;
  }),
  ofTab('page hidden', async (tab, stage, chance) => {
    const ms = lasts(stage, chance, 15_000);
    if (!tab.hide) return 'cannot be hidden';
    await tab.hide(true);
    await wait(ms);
    await tab.hide(false);
    return `${ms} ms`;
  }),
  ofTab('tab closed and another one opened', async (tab) => {
    await tab.reopen();
    return '';
  }),
];
