/** Notifiers on logs in one Redis: what one of them is told, the pages of the other hear, also when Redis was away. */
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { epochOf } from '../../adapters/position.js';
import { createRedisLog } from '../../server/log/redis.js';
import { missingRedis, rulesOf } from '../kit/engines/redis.js';
import { append, expectNoReset, given, idOf, stage } from '../kit/engines/redis-log.js';
import { note } from '../kit/entries.js';
import { serve, type TestServer } from '../kit/server.js';

const reason = missingRedis();
const { redis, open, two } = stage();
const ORDER = { entity: 'Order', id: 42 };

describe.skipIf(reason)(`notifiers on a redis log${reason && ` (${reason})`}`, () => {
  async function node(url: string, namespace = ''): Promise<TestServer> {
    const log = createRedisLog({ url, namespace, logger: () => {} });
    onTestFinished(() => log.close());
    return serve('node:http', { log, heartbeat: 500, notifyTimeout: 1_000 });
  }
  const health = async (server: TestServer): Promise<string> =>
    (await server.ask('/health')).json<{ status: string }>().status;
  const becomes = (server: TestServer, status: string): Promise<void> =>
    vi.waitFor(async () => expect(await health(server)).toBe(status));

  test('what one is told the pages of the other hear; Redis down: not accepted, in bounded time, and recovered from', async () => {
    const server = await redis();
    const [a, b] = [await node(server.url), await node(server.url)];
    const page = await b.listen({ user: 'ann' }, ['Order/42']);
    await page.next('ready');
    const { accepted, positions } = await a.notifier.notify('shipped', ORDER);
    expect(accepted).toBe(true);
    const told = await page.next('notification');
    expect(told).toMatchObject({ id: positions?.[0], data: { action: 'shipped', id: '42' } });

    await server.kill();
    const began = performance.now();
    expect(await a.notifier.notify('kept', ORDER)).toEqual({ accepted: false });
    expect(performance.now() - began).toBeLessThan(3_000);
    await Promise.all([becomes(a, 'degraded'), becomes(b, 'degraded')]);

    await server.start();
    await Promise.all([becomes(a, 'ok'), becomes(b, 'ok')]);
    // It came back empty: a page that was connected all the time refreshes, which covers what was kept too.
    await page.next('resync');
    const after = await a.notifier.notify('delivered', ORDER);
    expect(after.accepted).toBe(true);
    expect(epochOf(after.positions?.[0] as never)).not.toBe(epochOf(positions?.[0] as never));
    await page.until(({ data }) => data.action === 'delivered', 'what is notified afterwards');
  });

  test('a revocation on one ends the cover on the other', async () => {
    const server = await redis();
    const [a, b] = [await node(server.url), await node(server.url)];
    const page = await b.listen({ user: 'ann' }, ['Order/42']);
    await page.next('ready');
    const began = performance.now();
    await a.notifier.revoke('ann', ORDER);
    await page.until(({ type }) => type === 'refused' || type === 'reauthorise', 'the end of the right');
    expect(performance.now() - began).toBeLessThan(1_000);
  });
});

describe.skipIf(reason)(`environments on one redis server${reason && ` (${reason})`}`, () => {
  test('namespaces and databases do not hear each other', async () => {
    const server = await redis();
    const logs = [
      { url: server.url, namespace: 'one' },
      { url: server.url, namespace: 'two' },
      { url: `${server.url}/1`, namespace: 'one' },
    ];
    const nodes = await Promise.all(logs.map((options) => two(options)));
    const positions = await Promise.all(nodes.map(({ a }, n) => append(a, `of ${n}`)));
    expect(new Set(positions.map(epochOf)).size).toBe(3);
    for (const [n, { readers }] of nodes.entries()) {
      await given(readers, positions[n] as never);
      for (const reader of readers) expect(reader.seen.map(idOf)).toEqual([`of ${n}`]);
      expectNoReset(readers);
    }
    const leases = await Promise.all(nodes.map(({ a }) => a.lease('relay', 5_000)));
    expect(leases.every((lease) => lease !== undefined)).toBe(true);
    expect(await Promise.all(nodes.map(({ a }) => a.share?.('record', 5_000)))).toEqual([[], [], []]);
  });

  test('all keys are named by the namespace and stand in one slot of a cluster; none expires', async () => {
    const server = await redis();
    const { a } = await two({ url: server.url, namespace: 'shop' });
    await a.append([note(1, 'updated', {}, { dedupeKey: 'k' })]);
    await a.lease('relay', 1_000);
    await a.share?.('record', 1_000);
    const keys = (await server.command('KEYS', '*')) as string[];
    expect(keys.sort()).toEqual(
      ['copies', 'entries', 'leases', 'meta', 'nodes'].map((name) => `{notify-listen:shop}:${name}`),
    );
    for (const key of keys) expect(await server.command('PTTL', key)).toBe(-1);
  });

  test('a user that may do only what the guide says', async () => {
    const server = await redis();
    await server.command('ACL', 'SETUSER', 'notify', 'on', '>p@ss/w:rd#%', ...rulesOf('server'));
    const url = server.url.replace('//', `//notify:${encodeURIComponent('p@ss/w:rd#%')}@`);
    const both = await two({ url, namespace: 'shop' });
    await given(both.readers, await append(both.a, 'allowed'));
    const lease = await both.a.lease('relay', 1_000);
    expect(await lease?.renew()).toBe(true);
    expect(await both.a.share?.('record', 1_000)).toEqual([]);
    await vi.waitFor(async () =>
      expect(await server.command('PUBSUB', 'NUMSUB', '{notify-listen:shop}:0:hints')).toEqual([expect.anything(), 2]),
    );
    const other = open({ url, namespace: 'other' });
    await expect(append(other.log, 'denied')).rejects.toThrow(/NOPERM|ACL/);
    const wrong = open({ url: url.replace('p%40', 'q%40') });
    await expect(append(wrong.log, 'denied')).rejects.toThrow(/WRONGPASS/);
  });

  test('keys of somebody else under the same names: refused, and left as they are', async () => {
    const server = await redis();
    await server.command('SET', '{notify-listen:default}:meta', 'mine');
    await expect(append(open({ url: server.url }).log, 'x')).rejects.toThrow(/WRONGTYPE/);
    expect(await server.command('GET', '{notify-listen:default}:meta')).toBe('mine');
    const other = { url: server.url, namespace: 'other' };
    await server.command('HSET', '{notify-listen:other}:meta', 'format', '2');
    await expect(append(open(other).log, 'x')).rejects.toThrow(/another version/);
  });
});
