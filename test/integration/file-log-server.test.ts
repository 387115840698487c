/**
 * A server on the file log, as a process that is stopped or killed and started again on the same file and port: pages that
 * were connected are sent what they missed, and are not told to refresh for nothing.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createListenClient, type Refresh } from 'notify-listen/client';
import { createNotifier } from 'notify-listen/server';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Order } from '../fixtures/file-log/server.js';
import { type OwnProcess, scriptOf, startProcess } from '../kit/own-process.js';

const SECRET = 'the secret of the tests of the file log';
const ORDER = { entity: 'Order', id: 1 };
const folder = mkdtempSync(join(tmpdir(), 'file-log-server-'));
let script = '';

beforeAll(async () => {
  script = await scriptOf('test/fixtures/file-log/server.ts');
}, 60_000);
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
  rmSync(script, { force: true });
});

interface Server {
  readonly process: OwnProcess;
  tell(order: Order): Promise<unknown>;
}

function start(path: string): Server {
  const env = { NOTIFY_LISTEN_LOG: `file:${path}`, NOTIFY_LISTEN_SECRET: SECRET };
  const process = startProcess(script, [], env);
  onTestFinished(() => process.kill());
  return { process, tell: (order) => process.ask(order) };
}

interface Page {
  readonly runs: Refresh[];
  readonly errors: unknown[];
  ran(action: string): Promise<void>;
}

async function listen(port: number): Promise<Page> {
  const runs: Refresh[] = [];
  const errors: unknown[] = [];
  const client = createListenClient({
    url: `http://127.0.0.1:${port}/notify-listen`,
    headers: { 'x-user': 'ann' },
    onError: (error) => errors.push(error),
  });
  onTestFinished(() => client.close());
  await client.listen(ORDER, { '*': (refresh) => void runs.push(refresh) }, { loadedAt: Date.now() }).ready;
  return {
    runs,
    errors,
    ran: (action) =>
      vi.waitFor(() => expect(runs.map(({ notification }) => notification?.action)).toContain(action), {
        interval: 20,
      }),
  };
}

describe.each(['closed', 'killed'] as const)('a server that is %s and started again', (how) => {
  async function end({ process, tell }: Server): Promise<void> {
    if (how === 'killed') return process.kill();
    await tell({ close: true });
    expect(await process.exit).toBe(0);
  }

  test('sends its pages what they missed, and nobody refreshes for nothing', async () => {
    const path = join(folder, how, 'notify.log');
    let server = start(path);
    const port = Number(await server.tell({ listen: 0 }));
    const page = await listen(port);
    const other = await listen(port);
    expect(await server.tell({ notify: 'before' })).toBe(true);
    await Promise.all([page.ran('before'), other.ran('before')]);
    // That a page which was loaded while the server started refreshes for its load, is as it should be.
    for (const { runs } of [page, other]) runs.length = 0;

    for (const round of [1, 2]) {
      await end(server);
      server = start(path);
      // Nobody can be connected yet.
      expect(await server.tell({ notify: `away-${round}` })).toBe(true);
      await server.tell({ listen: port });
      await Promise.all([page.ran(`away-${round}`), other.ran(`away-${round}`)]);
      expect(await server.tell({ notify: `live-${round}` })).toBe(true);
      await Promise.all([page.ran(`live-${round}`), other.ran(`live-${round}`)]);
    }
    for (const { runs } of [page, other]) {
      expect(runs.map(({ reason }) => reason)).toEqual(runs.map(() => 'notification'));
      expect(runs.map(({ notification }) => notification?.action)).toEqual(
        [1, 2].flatMap((round) => [`away-${round}`, `live-${round}`]),
      );
    }
  }, 60_000);

  test('and tells them to refresh once when the file is gone', async () => {
    const path = join(folder, `${how}-gone`, 'notify.log');
    let server = start(path);
    const port = Number(await server.tell({ listen: 0 }));
    const page = await listen(port);
    expect(await server.tell({ notify: 'before' })).toBe(true);
    await page.ran('before');
    page.runs.length = 0;
    await end(server);
    rmSync(path);
    server = start(path);
    await server.tell({ listen: port });
    await vi.waitFor(() => expect(page.runs.at(-1)?.reason).toBe('resync'), { interval: 20 });
    expect(await server.tell({ notify: 'after' })).toBe(true);
    await page.ran('after');
    expect(page.runs.map(({ reason }) => reason)).toEqual(['resync', 'notification']);
  }, 60_000);
});

describe('createNotifier', () => {
  const options = { user: () => 'ann', canListen: { Order: { one: () => true } } };
  const env = { NOTIFY_LISTEN_SECRET: SECRET };

  test('opens the file that NOTIFY_LISTEN_LOG names; a second one throws at once; close frees it', async () => {
    const path = join(folder, 'own', 'notify.log');
    const named = { ...options, env: { ...env, NOTIFY_LISTEN_LOG: `file:${path}` }, logger: () => {} };
    const notifier = createNotifier(named);
    expect(await notifier.notify('shipped', ORDER)).toMatchObject({ accepted: true });
    expect(existsSync(path)).toBe(true);
    expect(() => createNotifier(named)).toThrow('open in this process already');
    await notifier.close({ within: 0 });
    const again = createNotifier(named);
    expect(again.metrics().degraded).toBe(true); // until it has loaded
    await again.position();
    expect(again.metrics().history).toBe(2); // on the object's channel and the list's
    await again.close({ within: 0 });
  });

  test('tells what became of a damaged file by its logger, without any entry of it', async () => {
    const path = join(folder, 'damaged', 'notify.log');
    const lines: object[] = [];
    const named = {
      ...options,
      env: { ...env, NOTIFY_LISTEN_LOG: `file:${path}` },
      logger: (line: object) => lines.push(line),
    };
    const notifier = createNotifier(named);
    await notifier.notify('shipped', { entity: 'Order', id: 'secret-id' });
    await notifier.close({ within: 0 });
    const bytes = readFileSync(path);
    bytes[30] = (bytes[30] as number) ^ 0xff;
    writeFileSync(path, bytes);
    const again = createNotifier(named);
    await again.notify('shipped', ORDER);
    await again.close({ within: 0 });
    expect(lines.filter(({ level }: { level?: string }) => level === 'warn')).toEqual([
      { level: 'warn', message: expect.stringContaining('a new epoch begins'), path, why: 'it is damaged' },
      { level: 'warn', message: 'what stood in the place of the log was set aside', path, aside: `${path}.aside-1` },
    ]);
    expect(JSON.stringify(lines)).not.toContain('secret-id');
  });
});
