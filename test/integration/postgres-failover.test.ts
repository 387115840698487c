/** The log in Postgres after its server was killed, restored or succeeded: the same epoch, or a new one that says so. */
import { describe, expect, test, vi } from 'vitest';
import type { Log } from '../../adapters/contract.js';
import { epochOf, type Position } from '../../adapters/position.js';
import { missingPostgres, startPostgres } from '../kit/engines/postgres.js';
import { follow, heard, ids, marked, open } from '../kit/engines/postgres-log.js';
import { note } from '../kit/entries.js';
import { faultProxy } from '../kit/fault-proxy.js';

const reason = missingPostgres();

/** Appends as an application does: again until it is accepted. */
const insist = (log: Log, id: string): Promise<Position> =>
  vi.waitFor(async () => ((await log.append([note(id)])) as [Position])[0]);

describe.skipIf(reason).concurrent(`a server that comes back${reason && ` (${reason})`}`, () => {
  test('kill -9 of all its processes: what was acknowledged is there, in the same epoch', async ({
    onTestFinished,
  }) => {
    const server = await startPostgres({ config: ['synchronous_commit = off', 'wal_writer_delay = 10s'] });
    onTestFinished(server.close);
    const { log, namespace } = open({ url: server.url }, onTestFinished);
    const reader = await follow(open({ url: server.url, namespace }, onTestFinished).log);
    const client = await server.client();
    const first = await insist(log, 'first');
    await client.query('BEGIN');
    await client.query('SET LOCAL synchronous_commit = on');
    await log.appendWithin?.(client, [note('within')]);
    await client.query('COMMIT');
    const acknowledged: string[] = [];
    let killed: Promise<void> | undefined;
    for (let n = 0; n < 60; n++) {
      if (n === 40) killed = server.kill();
      await log.append([note(`acknowledged ${n}`)]).then(
        () => acknowledged.push(`acknowledged ${n}`),
        () => {},
      );
    }
    await killed;
    await server.start();
    // Numbers of transactions that the crash has forgotten are given again: rows with them are seen all the same.
    const again = await server.client();
    for (let n = 0; n < 5; n++) {
      await again.query('BEGIN');
      await log.appendWithin?.(again, [note(`again ${n}`)]);
      await again.query('COMMIT');
      await heard(reader, `again ${n}`);
    }
    const last = await insist(log, 'last');
    await heard(reader, 'last');
    const late = await follow(open({ url: server.url, namespace }, onTestFinished).log);
    expect(epochOf(last)).toBe(epochOf(first));
    for (const it of [reader, late]) {
      expect(it.resets).toEqual([]);
      expect(ids(it)).toEqual(expect.arrayContaining(['first', 'within', ...acknowledged, 'last']));
    }
    expect(acknowledged.length).toBeGreaterThanOrEqual(40);
  });

  test('an older copy of its files that has grown past what was read, before anybody looked: a new epoch', async ({
    onTestFinished,
  }) => {
    const server = await startPostgres();
    onTestFinished(server.close);
    const proxy = await faultProxy({ target: server.port });
    onTestFinished(proxy.close);
    const writer = open({ url: server.url }, onTestFinished);
    const reader = await follow(
      open({ url: server.at({ port: proxy.port }), namespace: writer.namespace }, onTestFinished).log,
    );
    await marked(writer.log, reader, 'kept');
    await server.stop();
    const saved = server.files.save();
    await server.start();
    for (let n = 0; n < 5; n++) await insist(writer.log, `lost ${n}`);
    await heard(reader, 'lost 4');
    await proxy.door('refuse');
    proxy.cut('rst');
    await server.stop();
    server.files.restore(saved);
    await server.start();
    // Ten more than it lost, by a node that never read what was lost.
    const fresh = open({ url: server.url, namespace: writer.namespace }, onTestFinished);
    for (let n = 0; n < 10; n++) await insist(fresh.log, `grown ${n}`);
    await proxy.door('open');
    const { top } = await reader.untilReset();
    expect(epochOf(top)).not.toBe(epochOf(reader.tail.start.top));
    await marked(fresh.log, reader);
  });

  test('a standby that lacks the end is promoted: a new epoch, before anything is told', async ({ onTestFinished }) => {
    const primary = await startPostgres();
    onTestFinished(primary.close);
    const proxy = await faultProxy({ target: primary.port });
    onTestFinished(proxy.close);
    const url = primary.at({ port: proxy.port });
    const { log, namespace } = open({ url }, onTestFinished);
    const reader = await follow(open({ url, namespace }, onTestFinished).log);
    await marked(log, reader, 'kept');
    const standby = await primary.standby();
    await standby.stop();
    for (let n = 0; n < 5; n++) await insist(log, `lost ${n}`);
    await heard(reader, 'lost 4');
    await primary.kill();
    await standby.start();
    proxy.target(standby.port);
    await expect(log.append([note('too early')])).rejects.toThrow();
    await expect(open({ url: standby.url, namespace }, onTestFinished).log.append([note('too early')])).rejects.toThrow(
      /standby/,
    );
    await standby.promote();
    // As many as were lost: the top alone would tell nothing.
    const positions: Position[] = [];
    for (let n = 0; n < 6; n++) positions.push(await insist(log, `new ${n}`));
    const { top } = await reader.untilReset();
    expect(epochOf(top)).not.toBe(epochOf(reader.tail.start.top));
    expect(new Set(positions.map((position) => epochOf(position)))).toEqual(new Set([epochOf(top)]));
    await marked(log, reader);
    const late = await follow(open({ url, namespace }, onTestFinished).log);
    expect(ids(late)).toEqual(expect.arrayContaining(['kept', 'new 5']));
    expect(ids(late)).not.toContain('lost 4');
    await standby.close();
  });
});
