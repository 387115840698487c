/** Faults of the pages: browsers and tabs that stop, hide, go offline, are closed and opened. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Browsers, Page, Tab } from '../browsers.js';
import type { Chance } from '../random.js';
import type { Fault, Lasting } from './fault.js';

export function pageFaults(browsers: Browsers, lasts: Lasting): Fault[] {
  function ofTab(name: string, strike: (tab: Tab, chance: Chance) => Promise<string>): Fault {
    return {
      name,
      lane: 'process',
      async strike(chance) {
        const tab = chance.pick(browsers.tabs);
        return `${tab.name} ${await strike(tab, chance)}`;
      },
    };
  }

  /** Stops processes of the browser and lets them go on, whatever happens in between. */
  function ofBrowser(name: string, most: number, all: boolean): Fault {
    return {
      name,
      lane: 'process',
      async strike(chance) {
        const pids = await browsers.processes(all);
        const ms = lasts(chance, most);
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

  return [
    ofBrowser('page processes: SIGSTOP and SIGCONT', 30_000, false),
    ofBrowser('whole browser: SIGSTOP and SIGCONT', 20_000, true),
    ofTab('page offline', async (tab, chance) => {
      const ms = lasts(chance, 20_000);
      await tab.offline(true);
      try {
        await wait(ms);
      } finally {
        await tab.offline(false);
      }
      return `${ms} ms`;
    }),
    ofTab('page hidden', async (tab, chance) => {
      const ms = lasts(chance, 15_000);
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
}

/** Of clients that are no browser's. */
export function clientFaults(clients: readonly Page[]): Fault[] {
  return [
    {
      name: 'clients closed and others opened',
      lane: 'process',
      async strike(chance) {
        const some = chance.shuffled(clients).slice(0, chance.between(1, clients.length / 2));
        await Promise.all(some.map((client) => client.reopen()));
        return `${some.length} clients`;
      },
    },
  ];
}
