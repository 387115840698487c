/** The Redis log when its server dies, stands still, forgets, is filled, or is replaced by one that knows less. */
import { describe, expect, test, vi } from 'vitest';
import type { Log } from '../../adapters/contract.js';
import { epochOf, type Position } from '../../adapters/position.js';
import type { Reader } from '../../adapters/testing/reader.js';
import { missingRedis } from '../kit/engines/redis.js';
import {
  append,
  appendAgain,
  expectNoReset,
  given,
  idOf,
  type RedisNode,
  stage,
  urlOf,
} from '../kit/engines/redis-log.js';

const reason = missingRedis();
const { redis, proxyTo, open, two } = stage();

const reasons = (nodes: readonly RedisNode[]): unknown[] =>
  nodes.flatMap(({ lines }) => lines.map((line) => line.reason));

/** Both tails were reset once, to one epoch that is not the old one; what is appended then comes to both. */
async function startedAnew(
  { a, readers }: { a: Log; readers: readonly Reader[] },
  before: Position,
): Promise<readonly string[]> {
  const after = await appendAgain(a, 'after');
  expect(epochOf(after)).not.toBe(epochOf(before));
  return Promise.all(
    readers.map(async (reader) => {
      await given([reader], after);
      expect(reader.resets.map(({ top }) => epochOf(top))).toEqual([epochOf(after)]);
      return reader.seen
        .filter(({ position }) => epochOf(position) === epochOf(after))
        .map(idOf)
        .join();
    }),
  );
}

describe.skipIf(reason)(`a redis server${reason && ` (${reason})`}`, () => {
  test('kill -9 of one that keeps all: a new epoch, told to live tails; what it kept is in it', async () => {
    const server = await redis({
      config: [
        ['appendonly', 'yes'],
        ['appendfsync', 'always'],
      ],
    });
    const both = await two({ url: server.url });
    const before = await append(both.a, 'before');
    await given(both.readers, before);
    await server.kill();
    await expect(append(both.a, 'lost')).rejects.toThrow(/Redis/);
    await server.start();
    expect(await startedAnew(both, before)).toEqual(['before,after', 'before,after']);
    expect(reasons(both.nodes)).toEqual(['the server restarted, or is another one']);
  });

  test('kill -9 of one that keeps nothing, and flushing: a new and empty epoch', async () => {
    const server = await redis();
    const both = await two({ url: server.url });
    const before = await append(both.a, 'before');
    await server.kill();
    await server.start();
    expect(await startedAnew(both, before)).toEqual(['after', 'after']);
    expect(reasons(both.nodes)).toEqual(['its keys were gone: flushed, evicted or deleted']);
  });

  test('a failover that loses what was acknowledged: a new epoch, also when more was appended than lost', async () => {
    const master = await redis();
    const wire = await proxyTo(master.port);
    const replica = await redis({ replicaOf: wire.port });
    const door = await proxyTo(master.port);
    const both = await two({ url: urlOf(door.port) });
    const kept = await append(both.a, 'kept');
    await vi.waitFor(async () => expect(await master.command('WAIT', 1, 100)).toBe(1));
    wire.set('both', { stall: 'swallow' });
    const lost = await append(both.a, 'lost');
    await given(both.readers, lost);

    await replica.command('REPLICAOF', 'NO', 'ONE');
    door.target(replica.port);
    const other = open({ url: replica.url }).log;
    const instead = [await append(other, 'instead 1'), await append(other, 'instead 2')];
    for (const position of instead) expect(epochOf(position)).not.toBe(epochOf(lost));
    door.cut('rst');
    expect(await startedAnew(both, kept)).toEqual(Array(2).fill('kept,instead 1,instead 2,after'));
  });

  test('a master that became a replica of one that knows less, and a master again, in one process: a new epoch', async () => {
    const master = await redis();
    const wire = await proxyTo(master.port);
    const replica = await redis({ replicaOf: wire.port });
    const both = await two({ url: master.url });
    await append(both.a, 'kept');
    const lease = await both.a.lease('relay', 60_000);
    await vi.waitFor(async () => expect(await master.command('WAIT', 1, 100)).toBe(1));
    wire.set('both', { stall: 'swallow' });
    const lost = await append(both.a, 'lost');
    await replica.command('REPLICAOF', 'NO', 'ONE');
    await master.command('REPLICAOF', '127.0.0.1', replica.port);
    await expect(append(both.a, 'refused')).rejects.toThrow(/READONLY/);
    await vi.waitFor(async () =>
      expect(String(await master.command('INFO', 'replication'))).toMatch('master_link_status:up'),
    );
    await expect(lease?.checkpoint()).rejects.toThrow(/READONLY/);
    await expect(both.readers[0].tail.prove(500), 'a replica proves nothing').rejects.toThrow();
    await master.command('REPLICAOF', 'NO', 'ONE');
    expect(await startedAnew(both, lost)).toEqual(['kept,after', 'kept,after']);
    expect(reasons(both.nodes)).toEqual(['the server was a replica meanwhile']);
  });

  test('the first replica of a master, and its leaving: the epoch stays', async () => {
    const master = await redis({ config: [['repl-backlog-ttl', '1']] });
    const history = async (): Promise<string | undefined> =>
      /master_replid:(\w+)/.exec(String(await master.command('INFO', 'replication')))?.[1];
    const both = await two({ url: master.url });
    const positions = [await append(both.a, '1')];
    const histories = [await history()];
    const replica = await redis({ replicaOf: master.port });
    await vi.waitFor(async () => expect(await master.command('WAIT', 1, 100)).toBe(1));
    positions.push(await append(both.a, '2'));
    histories.push(await history());
    await replica.kill();
    await vi.waitFor(async () => expect(histories).not.toContain(await history()));
    positions.push(await append(both.a, '3'));
    expect(new Set(positions.map(epochOf)).size).toBe(1);
    await given(both.readers, positions[2] as Position);
    expectNoReset(both.readers);
  });

  test('one key is gone: a new epoch', async () => {
    const server = await redis();
    const both = await two({ url: server.url });
    const before = await append(both.a, 'before');
    await server.command('DEL', '{notify-listen:default}:entries');
    expect(await startedAnew(both, before)).toEqual(['after', 'after']);
    expect(reasons(both.nodes)).toEqual(['its keys were not whole: one was evicted or deleted']);
  });

  test('a little memory that evicts: said at the start, and a new epoch when it happened', async () => {
    const server = await redis({
      config: [
        ['maxmemory', '3mb'],
        ['maxmemory-policy', 'allkeys-lru'],
      ],
    });
    const both = await two({ url: server.url });
    await vi.waitFor(() => {
      for (const { lines } of both.nodes)
        expect(lines).toMatchObject([
          { level: 'warn', message: expect.stringMatching('noeviction'), policy: 'allkeys-lru' },
        ]);
    });
    const before = await append(both.a, 'before');
    const junk = 'x'.repeat(2_000);
    const keys = ['meta', 'entries'].map((name) => `{notify-listen:default}:${name}`);
    for (let n = 0; both.readers[0].resets.length === 0; n += 1) {
      // Young ones are left; older than these are only those of the log, at the latest when nobody reads it for a moment.
      await Promise.all(Array.from({ length: 100 }, (_, i) => server.command('SET', `junk ${n % 50} ${i}`, junk)));
      if ((await server.command('EXISTS', ...keys)) !== 2) await vi.waitFor(() => both.readers[0].untilReset());
    }
    await server.command('CONFIG', 'SET', 'maxmemory', '100mb');
    const after = await appendAgain(both.a, 'after');
    expect(epochOf(after)).not.toBe(epochOf(before));
    await given(both.readers, after);
  });

  test('memory that is full and is not evicted: append says so, what is expired goes all the same, nothing is lost', async () => {
    const server = await redis({ config: [['maxmemory-policy', 'noeviction']] });
    const both = await two({ url: server.url, retention: 300 });
    const worker = open({ url: server.url, retention: 300, namespace: 'nobody reads it' }).log;
    await append(worker, 'expires');
    const before = await append(both.a, 'before');
    await server.command('CONFIG', 'SET', 'maxmemory', '100kb');
    await expect(append(both.a, 'too much')).rejects.toThrow(/OOM/);
    for (const reader of both.readers) expect(await reader.tail.prove(6_000)).toBe(before);
    await vi.waitFor(async () => expect(await server.command('EXISTS', '{notify-listen:default}:entries')).toBe(0));
    await expect(append(both.a, 'too much')).rejects.toThrow(/OOM/);
    await expect(append(worker, 'too much, though it has something to drop'), 'worker').rejects.toThrow(/OOM/);
    await server.command('CONFIG', 'SET', 'maxmemory', '0');
    const after = await append(both.a, 'after');
    await given(both.readers, after);
    for (const reader of both.readers) expect(reader.seen.map(idOf)).toEqual(['before', 'after']);
    expectNoReset(both.readers);
  });
});
