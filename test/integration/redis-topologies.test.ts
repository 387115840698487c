/** The Redis log over TLS, in a cluster, and where sentinels say which server is the master. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { epochOf } from '../../adapters/position.js';
import { freePort, missingRedis, type RedisServer, rulesOf, selfSigned } from '../kit/engines/redis.js';
import { append, appendAgain, expectNoReset, given, stage } from '../kit/engines/redis-log.js';

const reason = missingRedis();

// They wait for servers to agree, so side by side.
describe.skipIf(reason).concurrent(`a redis log${reason && ` (${reason})`}`, () => {
  test('over TLS, with an authority of its own; one that is not known is refused', async ({ onTestFinished }) => {
    const { redis, open, two } = stage(onTestFinished);
    const port = await freePort();
    const server = await redis({
      config: (folder) => {
        const { certificate, key } = selfSigned(folder);
        return [
          ['tls-port', String(port)],
          ['tls-cert-file', certificate],
          ['tls-key-file', key],
          ['tls-auth-clients', 'no'],
        ];
      },
    });
    const url = `rediss://127.0.0.1:${port}`;
    const ca = readFileSync(join(server.folder, 'certificate.pem'));
    const both = await two({ url, tls: { ca } });
    await given(both.readers, await append(both.a, 'secret'));
    await expect(append(open({ url }).log, 'refused')).rejects.toThrow(/Redis cannot be reached: self-signed/);
    // A plain connection to it, and TLS to a plain port, end in bounded time.
    await expect(append(open({ url: `redis://127.0.0.1:${port}` }).log, 'plain')).rejects.toThrow(/Redis/);
    await expect(append(open({ url: `rediss://127.0.0.1:${server.port}` }).log, 'x')).rejects.toThrow(/Redis/);
  });

  test('in a cluster of three; a replica that takes over is a new epoch', async ({ onTestFinished }) => {
    const { redis, two } = stage(onTestFinished);
    const config = [
      ['cluster-enabled', 'yes'],
      ['cluster-node-timeout', '1000'],
    ] as const;
    const nodes = await Promise.all(Array.from({ length: 4 }, () => redis({ config })));
    const [first, second, third, replica] = nodes as [RedisServer, RedisServer, RedisServer, RedisServer];
    await Promise.all(
      [first, second, third].map((node, n) =>
        node.command('CLUSTER', 'ADDSLOTSRANGE', Math.ceil((16_384 / 3) * n), Math.ceil((16_384 / 3) * (n + 1)) - 1),
      ),
    );
    for (const node of nodes.slice(1)) await first.command('CLUSTER', 'MEET', '127.0.0.1', node.port);
    await vi.waitFor(
      async () => {
        for (const node of nodes) {
          const info = String(await node.command('CLUSTER', 'INFO'));
          expect(info).toMatch('cluster_state:ok');
          expect(info).toMatch('cluster_known_nodes:4');
        }
      },
      { interval: 50 },
    );
    // Only one of them has the log; clients know another one.
    const slot = Number(await first.command('CLUSTER', 'KEYSLOT', '{notify-listen:shop}:meta'));
    const at = Math.floor(slot / (16_384 / 3));
    const owner = nodes[at] as RedisServer;
    const other = nodes[(at + 1) % 3] as RedisServer;
    await replica.command('CLUSTER', 'REPLICATE', String(await owner.command('CLUSTER', 'MYID')));

    // A user that may do only what the guide says.
    for (const node of nodes) await node.command('ACL', 'SETUSER', 'notify', 'on', '>word', ...rulesOf('cluster'));
    const url = `redis+cluster://notify:word@127.0.0.1:${other.port},127.0.0.1:${owner.port}`;
    const both = await two({ url, namespace: 'shop' });
    const before = await append(both.a, 'before');
    await given(both.readers, before);
    const lease = await both.a.lease('relay', 5_000);
    expect(await lease?.moveCheckpoint(before)).toBe(true);
    expect(await both.b.share?.('record', 5_000)).toEqual([]);
    expectNoReset(both.readers);
    // Each hears at some node of the cluster what is told at another.
    await vi.waitFor(async () => {
      const heard = await Promise.all(
        nodes.map((node) => node.command('PUBSUB', 'NUMSUB', '{notify-listen:shop}:0:hints')),
      );
      expect(heard.reduce((sum: number, answer) => sum + Number((answer as unknown[])[1]), 0)).toBe(2);
    });

    await vi.waitFor(async () =>
      expect(String(await replica.command('INFO', 'replication'))).toMatch('master_link_status:up'),
    );
    await owner.kill();
    await replica.command('CLUSTER', 'FAILOVER', 'TAKEOVER');
    const after = await appendAgain(both.a, 'after');
    expect(epochOf(after)).not.toBe(epochOf(before));
    await given(both.readers, after);
    for (const { resets } of both.readers) expect(resets.map(({ top }) => epochOf(top))).toEqual([epochOf(after)]);
  });

  test('with sentinels: the master dies, another one is made, and the log goes on there', async ({
    onTestFinished,
  }) => {
    const { redis, open, two } = stage(onTestFinished);
    const master = await redis();
    const replica = await redis({ replicaOf: master.port });
    await vi.waitFor(async () => expect(await master.command('WAIT', 1, 100)).toBe(1));
    const sentinel = await redis({ sentinelOf: master.port });
    const url = `redis+sentinel://127.0.0.1:${sentinel.port}/main`;
    const both = await two({ url });
    const before = await append(both.a, 'before');
    await given(both.readers, before);
    await vi.waitFor(async () => expect(await sentinel.command('SENTINEL', 'REPLICAS', 'main')).toHaveLength(1));
    await master.kill();
    const after = await appendAgain(both.a, 'after');
    expect(epochOf(after)).not.toBe(epochOf(before));
    await given(both.readers, after);
    expect(String(await replica.command('INFO', 'replication'))).toMatch('role:master');
    const unknown = open({ url: url.replace('/main', '/other') });
    await expect(append(unknown.log, 'x')).rejects.toThrow(/Redis cannot be reached/);
  });

  test('with a sentinel that hangs: the next one is asked, and another one first the next time', async ({
    onTestFinished,
  }) => {
    const { redis, open } = stage(onTestFinished);
    const master = await redis();
    const [hung, sentinel] = [await redis({ sentinelOf: master.port }), await redis({ sentinelOf: master.port })];
    hung.freeze();
    await append(open({ url: `redis+sentinel://127.0.0.1:${hung.port},127.0.0.1:${sentinel.port}/main` }).log, 'x');
    hung.thaw();

    const asked: string[] = [];
    const mute = async (name: string): Promise<string> => {
      const server = createServer((socket) => {
        asked.push(name);
        socket.on('error', () => {}).resume();
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      onTestFinished(() => void server.close());
      return `127.0.0.1:${(server.address() as AddressInfo).port}`;
    };
    const { log } = open({ url: `redis+sentinel://${await mute('first')},${await mute('second')}/main` });
    for (let n = 0; n < 2; n++) await expect(append(log, 'x')).rejects.toThrow(/sentinels are unreachable/);
    expect(asked).toEqual(['first', 'second', 'second', 'first']);
  });
});
