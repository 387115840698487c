/** The NATS log on a cluster of three servers: one of them may go, and nothing that was acknowledged goes with it. */
import { expect, onTestFinished, test, vi } from 'vitest';
import type { Log } from '../../adapters/contract.js';
import { epochOf } from '../../adapters/position.js';
import { read } from '../../adapters/testing/reader.js';
import { createNatsLog } from '../../server/log/nats.js';
import { manage, startNatsCluster, withNats } from '../kit/engines/nats.js';
import { note } from '../kit/entries.js';

const LOG_STREAM = 'notify-listen-log-test';

withNats('the NATS log on a cluster', () => {
  test('a cluster of three: its leader is killed, and nothing that was acknowledged is lost, under one epoch', async () => {
    const servers = await startNatsCluster();
    onTestFinished(async () => void (await Promise.all(servers.map(({ stop }) => stop()))));
    const url = `nats://${servers.map(({ port }) => `127.0.0.1:${port}`).join(',')}`;
    const open = (): Log => {
      const log = createNatsLog({ url, namespace: 'test', cap: 1_000, logger: () => {} });
      onTestFinished(() => log.close());
      return log;
    };
    const [a, b] = [open(), open()];
    const append = (id: string): Promise<unknown> => vi.waitFor(() => a.append([note(id)]), { interval: 20 });
    await append('first');
    const reader = await read(b);
    const epoch = epochOf(reader.tail.start.top);
    const acknowledged: string[] = [];
    const tell = async (id: string): Promise<void> => {
      await append(id);
      acknowledged.push(id);
    };
    for (let n = 0; n < 20; n++) await tell(`before ${n}`);
    let leader = '';
    await manage(servers[0]?.url ?? '', async (manager) => {
      const { config, cluster } = await manager.streams.info(LOG_STREAM);
      expect(config.num_replicas).toBe(3);
      leader = cluster?.leader ?? '';
    });
    const killed = servers[Number(leader.slice(1))];
    const telling = (async () => {
      for (let n = 0; n < 20; n++) await tell(`while ${n}`);
    })();
    await killed?.kill();
    await telling;
    await vi.waitFor(() => reader.tail.prove(2_000), { interval: 20 });
    expect(reader.resets).toEqual([]);
    expect(epochOf(await reader.tail.prove(2_000))).toBe(epoch);
    const ids = reader.seen.map(({ entry }) => (entry.kind === 'notification' ? entry.notification.id : ''));
    expect(ids).toEqual(expect.arrayContaining(acknowledged));
  });
});
