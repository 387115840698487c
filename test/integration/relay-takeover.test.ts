/** The relay in a cluster of real processes: its holder is killed, and another node goes on from the checkpoint. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { createPublisher } from 'notify-listen/server';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { root } from '../kit/build.js';
import { ENGINES } from '../kit/engines/all.js';
import { SECRET } from '../kit/server.js';

/** The lease's life, the longest wait between two looks at it, and what the rest takes on a busy machine. Milliseconds. */
const WITHIN = 6_000 + 2_000 + 7_000;

interface Item {
  readonly action: string;
  readonly channels: readonly string[];
  readonly pid: number;
}

describe.each(ENGINES)('the relay on $name', ({ missing, start }) => {
  test.skipIf(missing)(
    missing || 'its holder is killed: another node takes over within seconds, nothing is lost',
    async () => {
      const engine = await start();
      onTestFinished(() => engine.close());
      const items: Item[] = [];
      const provider = createServer((request, response) => {
        let body = '';
        request.on('data', (chunk) => {
          body += chunk;
        });
        request.on('end', () => {
          // Beside the application's there are messages that make pages read.
          items.push(...(JSON.parse(body) as Item[]).filter(({ action }) => action.startsWith('change-')));
          response.end();
        });
      });
      await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve));
      onTestFinished(() => void provider.close());
      const env = {
        NOTIFY_LISTEN_SECRET: SECRET,
        NOTIFY_LISTEN_NAMESPACE: 'takeover',
        NOTIFY_LISTEN_LOG: engine.url,
      };

      const states = new Map<ChildProcess, string>();
      for (let n = 0; n < 2; n++) {
        const child = spawn(process.execPath, ['--import', 'tsx', 'test/kit/relay-process.ts'], {
          cwd: root,
          env: { ...process.env, ...env, PROVIDER: `http://127.0.0.1:${(provider.address() as AddressInfo).port}` },
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        onTestFinished(() => void child.kill('SIGKILL'));
        child.stdout.on('data', (text) => states.set(child, String(text).trim().split('\n').at(-1) ?? ''));
      }
      const holder = (): ChildProcess | undefined => [...states].find(([, state]) => state === 'holds')?.[0];
      await vi.waitFor(() => expect([...states.values()].sort()).toEqual(['holds', 'waits']), { timeout: 60_000 });

      const publisher = createPublisher({ env, logger: () => {} });
      onTestFinished(() => publisher.close());
      const notify = async (from: number, to: number, pace = 0): Promise<void> => {
        for (let n = from; n < to; n++) {
          await publisher.notify(`change-${n}`, { entity: 'Order', id: n });
          await wait(pace);
        }
      };
      const carried = (): Set<string> => new Set(items.map(({ action }) => action));
      // Over more than a second: so often the checkpoint is moved. A holder that finds none has all pages read instead.
      await notify(0, 20, 100);
      await vi.waitFor(() => expect(carried().size).toBe(20));

      const first = holder() as ChildProcess;
      // In the middle of things: some of these are on their way.
      const more = notify(20, 60);
      first.kill('SIGKILL');
      const killed = performance.now();
      await more;
      await vi.waitFor(() => expect(carried().size).toBe(60), { timeout: 60_000, interval: 20 });
      expect(performance.now() - killed).toBeLessThan(WITHIN);
      expect(new Set(items.slice(-1).map(({ pid }) => pid))).not.toContain(first.pid);
      // In order, from the checkpoint: what the first one had carried behind it comes twice, which is allowed.
      const second = items.filter(({ pid, channels }) => pid !== first.pid && channels.includes('Order'));
      const numbers = second.map(({ action }) => Number(action.split('-')[1]));
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    },
  );
});
