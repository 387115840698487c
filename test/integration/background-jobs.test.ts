/** Row 8: a background job addresses the session that started it. Runs the samples of docs/background-jobs.md. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createListenClient } from 'notify-listen/client';
import { createNotifier, createPublisher, withSession } from 'notify-listen/server';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createMemoryEngine, createMemoryLog } from '../../server/log/memory.js';
import { createApp } from '../docs/background-jobs/server.js';
import { SECRET } from '../kit/server.js';

const env = { NOTIFY_LISTEN_SECRET: SECRET };

test('the job ends after the request, in another process; only the session that started it gets its word', async () => {
  const engine = createMemoryEngine();
  const notifier = createNotifier({
    user: () => 'ann',
    session: (request) => request.headers['x-session'],
    canListen: { Report: { one: () => true } },
    log: createMemoryLog({ engine }),
    env,
    logger: () => {},
  });
  const queue: { report: string; session: string | undefined }[] = [];
  const server = createServer(createApp(notifier, { add: async (job) => void queue.push(job) }));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  onTestFinished(async () => {
    await notifier.close({ within: 0 });
    server.closeAllConnections();
    server.close();
  });

  const pages = await Promise.all(
    ['s-1', 's-2'].map(async (session) => {
      const heard: string[] = [];
      const client = createListenClient({
        url: `${origin}/notify-listen`,
        headers: { 'x-session': session },
        tabs: false,
      });
      onTestFinished(() => client.close());
      const hear = (action: string) => ({ on: action, run: () => void heard.push(action), resync: false as const });
      const actions = ['finished', 'ready', 'recalculated', 'marker'].map(hear);
      await client.listen({ entity: 'Report', id: 'r-7' }, actions, { loadedAt: Date.now() }).ready;
      return {
        session,
        heard,
        post: (path: string) => fetch(origin + path, { method: 'POST', headers: { 'x-session': session } }),
      };
    }),
  );
  const [first, second] = pages as [(typeof pages)[0], (typeof pages)[0]];

  expect((await first.post('/reports/r-7')).status).toBe(202);
  expect(queue).toEqual([{ report: 'r-7', session: 's-1' }]);
  expect((await second.post('/recalculate/r-7')).status).toBe(202);

  // The worker, on a handle of its own.
  const publisher = createPublisher({ log: createMemoryLog({ engine }), env, logger: () => {} });
  onTestFinished(() => publisher.close());
  const [job] = queue;
  const report = { entity: 'Report', id: job?.report ?? '' };
  await publisher.notify('finished', report);
  await withSession(job?.session, () => publisher.notify('ready', report, { to: 'caller' }));
  await publisher.notify('marker', report);

  await vi.waitFor(() => {
    for (const { heard } of pages) expect(heard).toContain('marker');
  });
  await vi.waitFor(() => expect(second.heard).toContain('recalculated'));
  expect(new Set(first.heard)).toEqual(new Set(['finished', 'ready', 'marker']));
  expect(new Set(second.heard)).toEqual(new Set(['finished', 'recalculated', 'marker']));
});
