/** Faults of the one server process, on the memory or the file log. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Application } from '../application.js';
import type { Secrets } from '../secrets.js';
import type { Fault, Lasting } from './fault.js';

/** The log that a server started now uses. Two processes can run side by side on the memory log only. */
export type LogNow = () => { readonly name: 'memory' | 'file'; readonly settings: Readonly<Record<string, string>> };

export function serverFaults(application: Application, log: LogNow, secrets: Secrets, lasts: Lasting): Fault[] {
  return [
    {
      name: 'server: kill -9 and restart',
      lane: 'process',
      async strike(chance) {
        const ms = lasts(chance, 10_000);
        await application.kill();
        await wait(ms);
        await application.start(log().settings);
        return `${log().name}, away for ${ms} ms`;
      },
    },
    {
      name: 'server: kill -9 and restart with another secret',
      lane: 'process',
      async strike(chance) {
        const former = secrets.current();
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
      async strike() {
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
      async strike(chance) {
        const ms = lasts(chance, 40_000);
        application.pause();
        try {
          await wait(ms);
        } finally {
          application.resume();
        }
        return `${ms} ms`;
      },
    },
  ];
}
