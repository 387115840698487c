/** The NATS log and a server that is killed, stopped, wiped, cut off and tampered with. Each test has a server of its own. */
import { readFileSync } from 'node:fs';
import { connect } from 'nats';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Log, LogEntry } from '../../adapters/contract.js';
import { epochOf, type Position } from '../../adapters/position.js';
import { type Reader, read } from '../../adapters/testing/reader.js';
import { createNatsLog } from '../../server/log/nats.js';
import type { LogLine } from '../../server/types.js';
import { root } from '../kit/build.js';
import {
  deleteStream,
  manage,
  type NatsServer,
  type NatsServerOptions,
  startNats,
  withNats,
} from '../kit/engines/nats.js';
import { note } from '../kit/entries.js';
import { type FaultProxy, faultProxy } from '../kit/fault-proxy.js';
import { missing, selfSigned } from '../kit/proxies.js';
import { serve } from '../kit/server.js';

/** What a call may take at most, in milliseconds: the patience with the engine, and some for a busy machine. */
const BOUNDED = 4_500;
const LOG_STREAM = 'notify-listen-log-test';

async function nats(options: NatsServerOptions = {}): Promise<NatsServer> {
  const server = await startNats(options);
  onTestFinished(server.stop);
  return server;
}

interface Handle {
  readonly log: Log;
  readonly lines: LogLine[];
}

function open(url: string, options: Partial<Parameters<typeof createNatsLog>[0]> = {}): Handle {
  const lines: LogLine[] = [];
  const log = createNatsLog({
    url,
    namespace: 'test',
    retention: 60_000,
    cap: 1_000,
    logger: (line) => lines.push(line),
    ...options,
  });
  onTestFinished(() => log.close());
  return { log, lines };
}

const idsOf = ({ seen }: Reader): unknown[] =>
  seen.map(({ entry }) => (entry.kind === 'notification' ? entry.notification.id : entry.kind));

/** Appends until the engine takes it. */
async function append(log: Log, ...entries: LogEntry[]): Promise<readonly Position[]> {
  return vi.waitFor(() => log.append(entries), { interval: 20 });
}

async function timed(work: Promise<unknown>): Promise<{ ms: number; error: Error }> {
  const began = performance.now();
  const error = await work.then(
    () => new Error('it resolved'),
    (thrown: Error) => thrown,
  );
  return { ms: performance.now() - began, error };
}

withNats('the NATS log and its server', () => {
  describe('kill -9 and a restart', () => {
    test('one copy, synced now and then: what was acknowledged may be gone, so the epoch is a new one', async () => {
      const server = await nats();
      const [a, b] = [open(server.url).log, open(server.url).log];
      const reader = await read(b);
      const [before] = (await a.append([note(1)])) as [Position];
      await reader.until(({ position }) => position === before, 'the entry');
      await server.kill();
      await server.start();
      const { top } = await reader.untilReset();
      expect(epochOf(top)).not.toBe(epochOf(before));
      const [after] = (await append(a, note(2))) as [Position];
      expect(epochOf(after)).toBe(epochOf(top));
      await reader.until(({ position }) => position === after, 'the entry after it');
      expect(reader.resets).toHaveLength(1);
    });

    test('an operator who lets it sync always keeps the epoch: nobody refreshes for nothing', async () => {
      const server = await nats();
      const url = `${server.url}?durable=true`;
      const [a, b] = [open(url).log, open(url).log];
      const reader = await read(b);
      const [before] = (await a.append([note(1)])) as [Position];
      await server.kill();
      await server.start();
      const [after] = (await append(a, note(2))) as [Position];
      await reader.until(({ position }) => position === after, 'the entry after it');
      expect(epochOf(after)).toBe(epochOf(before));
      expect(reader.resets).toEqual([]);
      expect(new Set(idsOf(reader))).toEqual(new Set(['1', '2']));
    });

    test('a wiped store: a new epoch although it was promised to be durable, and a lease that is greater', async () => {
      const server = await nats();
      const { log } = open(`${server.url}?durable=true`);
      const reader = await read(log);
      await log.append([note(1), note(2)]);
      const first = await log.lease('relay', 100);
      const epoch = epochOf(reader.tail.start.top);
      await server.kill();
      server.wipe();
      await server.start();
      expect(epochOf((await reader.untilReset()).top)).not.toBe(epoch);
      const [after] = await append(log, note(3));
      await reader.until(({ position }) => position === after, 'the entry after it');
      const second = await vi.waitFor(() => log.lease('relay', 100), { interval: 20 });
      expect(second?.fence).toBeGreaterThan(first?.fence ?? 0);
      expect(await first?.moveCheckpoint(after as Position)).toBe(false);
    });
  });

  describe('a server that is there and does not answer', () => {
    test('stopped: every call rejects in bounded time, and it recovers with nothing lost', async () => {
      const server = await nats();
      const { log } = open(server.url);
      const reader = await read(log);
      await log.append([note(1)]);
      server.pause();
      const failed = await Promise.all([timed(log.append([note('late')])), timed(reader.tail.prove(2_000))]);
      for (const { ms } of failed) expect(ms).toBeLessThan(BOUNDED);
      expect((await timed(log.lease('relay', 100))).error.message).toMatch(
        /greeted|said nothing|did not answer|longer/,
      );
      server.resume();
      const [after] = await append(log, note(2));
      await reader.until(({ position }) => position === after, 'the entry after it');
      expect(reader.resets).toEqual([]); // the same run: nothing was lost
      expect(idsOf(reader)).toContain('1');
    });

    test('half-open: the connection is given up, and the next one brings what was appended meanwhile', async () => {
      const server = await nats();
      const proxy: FaultProxy = await faultProxy({ target: server.port });
      onTestFinished(proxy.close);
      const through = open(`nats://127.0.0.1:${proxy.port}`).log;
      const { log: other } = open(server.url);
      const reader = await read(through);
      proxy.set('both', { stall: 'swallow' });
      const [position] = await other.append([note(1)]);
      expect((await timed(through.append([note('lost')]))).ms).toBeLessThan(BOUNDED);
      await proxy.heal();
      await reader.until((logged) => logged.position === position, 'the entry');
      expect(reader.resets).toEqual([]);
      await reader.tail.prove(2_000);
    });

    test('mute doors leave no connection behind', async () => {
      const server = await nats();
      const proxy = await faultProxy({ target: server.port });
      onTestFinished(proxy.close);
      await proxy.door('mute');
      const { log } = open(`nats://127.0.0.1:${proxy.port}`);
      for (let n = 0; n < 2; n++) expect((await timed(log.append([note(n)]))).ms).toBeLessThan(BOUNDED);
      await expect.poll(() => proxy.counts().open).toBe(0);
      await proxy.heal();
      await log.append([note(1)]);
    });
  });

  describe('an operator', () => {
    test('purges: a tail that is level misses nothing, one that begins then starts above', async () => {
      const server = await nats();
      const { log } = open(server.url);
      const reader = await read(log);
      const [old] = await log.append([note(1)]);
      await reader.until(({ position }) => position === old, 'the entry');
      await manage(server.url, (manager) => manager.streams.purge(LOG_STREAM));
      const [young] = await log.append([note(2)]);
      await reader.until(({ position }) => position === young, 'the entry after it');
      expect(reader.resets).toEqual([]);
      expect(idsOf(await read(log))).toEqual(['2']);
    });

    test('takes a message out of the middle: a hole is a loss, and is told once', async () => {
      const server = await nats();
      const { log, lines } = open(server.url);
      for (const id of [1, 2, 3]) await log.append([note(id)]);
      await manage(server.url, (manager) => manager.streams.deleteMessage(LOG_STREAM, 2));
      const first = await read(log);
      expect(idsOf(first)).toEqual(['1', '3']);
      const [position] = await log.append([note(4)]);
      expect(epochOf(position as Position)).toBe(epochOf(first.tail.start.top));
      expect(idsOf(await read(log))).toEqual(['1', '3', '4']);
      expect(lines.map(({ message }) => message)).toEqual(['a message was taken out of the NATS stream']);
    });

    test('puts what is none among the records of the nodes: it is taken away, and they go on', async () => {
      const server = await nats();
      const [a, b] = [open(server.url).log, open(server.url).log];
      await a.share?.('a', 60_000);
      const operator = await connect({ servers: server.url.replace('nats://', '') });
      onTestFinished(() => operator.close());
      const subjects = ['one', 'two', 'three'].map((node) => `notify-listen.test.state.share.${node}`);
      for (const [index, body] of ['not json', 'null', '{"record":1}'].entries())
        await operator.jetstream().publish(subjects[index] as string, body);
      expect(await b.share?.('b', 60_000)).toEqual(['a']);
      const { streams } = await operator.jetstreamManager();
      await vi.waitFor(async () => {
        const { state } = await streams.info('notify-listen-state-test', {
          subjects_filter: 'notify-listen.test.state.share.*',
        });
        expect(Object.keys(state.subjects ?? {})).toHaveLength(2);
      });
    });

    test('deletes both streams: a new epoch', async () => {
      const server = await nats();
      const { log } = open(server.url);
      const reader = await read(log);
      const [before] = (await log.append([note(1)])) as [Position];
      await deleteStream(server.url, LOG_STREAM);
      await deleteStream(server.url, 'notify-listen-state-test');
      const [after] = (await append(log, note(2))) as [Position];
      expect(epochOf((await reader.untilReset()).top)).not.toBe(epochOf(before));
      await reader.until(({ entry }) => entry.kind === 'notification' && entry.notification.id === '2', 'the entry');
      expect(after).toBeDefined();
    });

    test('restarts with other settings: the stream takes them, and keeps what it has', async () => {
      const server = await nats();
      const [before] = (await open(server.url).log.append([note(1)])) as [Position];
      const { log } = open(server.url, { retention: 90_000, cap: 2_000 });
      expect((await read(log)).seen.map(({ position }) => position)).toEqual([before]);
      await manage(server.url, async (manager) => {
        const { config } = await manager.streams.info(LOG_STREAM);
        expect(config).toMatchObject({ max_age: 90_000_000_000, max_msgs: 2_000 });
      });
    });
  });

  describe('entries', () => {
    test('of one append are one message, up to what the server takes; their positions lie in it', async () => {
      const server = await nats({ config: 'max_payload: 16384' });
      const { log } = open(server.url);
      const live = await read(log);
      const entries = Array.from({ length: 2_500 }, (_, id) => note(id));
      const positions = await log.append(entries);
      await live.until(({ position }) => position === positions.at(-1), 'the last entry');
      // A window is read in pieces that end in the middle of a message.
      for (const reader of [live, await read(log)]) {
        expect(reader.seen.map(({ position }) => position)).toEqual(positions);
        expect(idsOf(reader)).toEqual(entries.map(({ notification }) => notification.id));
        expect(reader.faults).toEqual([]);
      }
      await manage(server.url, async (manager) => {
        const { state } = await manager.streams.info(LOG_STREAM);
        expect(state.messages).toBeLessThan(30);
        expect(positions.at(-1)).toMatch(new RegExp(`:${state.last_seq}0000$`));
      });
    });

    test('of many messages are brought by a consumer, also after a hole, and none of them is left behind', async () => {
      const server = await nats();
      const { log } = open(server.url);
      const keyed = (id: number): LogEntry => note(id, 'updated', {}, { dedupeKey: String(id) });
      const positions = await log.append(Array.from({ length: 1_200 }, (_, id) => keyed(id)));
      const kept = positions.slice(200); // the stream keeps 1,000
      const window = await read(log);
      expect(window.seen.map(({ position }) => position)).toEqual(kept);
      await manage(server.url, async (manager) => {
        await manager.streams.deleteMessage(LOG_STREAM, 700);
        expect((await manager.streams.info(LOG_STREAM)).state.consumer_count).toBeLessThanOrEqual(1);
      });
      const holed = await read(log);
      expect(holed.seen).toHaveLength(999);
      expect(idsOf(holed)).not.toContain('699');
      const offsets = holed.seen.map(({ position }) => position.split(':')[1]);
      expect(offsets).toEqual(kept.map((position) => position.split(':')[1]).filter((offset) => offset !== '7000000'));
    });

    test('with keys stand between others, in their order, and a copy has the place of the first', async () => {
      const server = await nats();
      const { log } = open(server.url);
      const reader = await read(log);
      const key = { dedupeKey: 'a key.with > all * kinds' };
      const positions = await log.append([
        note(1),
        note(2),
        note(3, 'updated', {}, key),
        note(4),
        note(5, 'updated', {}, key),
      ]);
      expect(positions[4]).toBe(positions[2]);
      await reader.until(({ position }) => position === positions[3], 'the last entry');
      expect(idsOf(reader)).toEqual(['1', '2', '3', '4']);
    });

    test('of two namespaces do not meet', async () => {
      const server = await nats();
      const [here, there] = [open(server.url).log, open(server.url, { namespace: 'test2' }).log];
      const reader = await read(here);
      await there.append([note('there', 'updated', {}, { dedupeKey: 'k' })]);
      await here.append([note('here', 'updated', {}, { dedupeKey: 'k' })]);
      await reader.tail.prove(2_000);
      expect(idsOf(reader)).toEqual(['here']);
      expect(await here.lease('relay', 1_000)).toBeDefined();
      expect(await there.lease('relay', 1_000)).toBeDefined();
    });
  });

  describe('a server that cannot be used says why', () => {
    test('JetStream is not enabled', async () => {
      const server = await nats({ jetstream: false });
      await expect(open(server.url).log.append([note(1)])).rejects.toThrow(/JetStream.*not enabled.*-js/);
    });

    test('nobody is there', async () => {
      const server = await nats();
      await server.kill();
      await expect(open(server.url).log.append([note(1)])).rejects.toThrow(/no NATS server is there.*ECONNREFUSED/);
    });

    test('the login is refused, and no password is told; the right one is taken', async () => {
      const server = await nats({ config: 'authorization { user: app, password: "p@ss:word" }' });
      const url = (password: string): string => server.url.replace('//', `//app:${password}@`);
      const { error } = await timed(open(url('wrong-one')).log.append([note(1)]));
      expect(error.message).toContain('the login was refused');
      expect(error.message).not.toContain('wrong-one');
      await open(url('p%40ss:word')).log.append([note(1)]);
    });

    test('a permission is missing', async () => {
      const server = await nats({
        config:
          'authorization { users: [{ user: app, password: word, permissions: { publish: { deny: ["$JS.API.STREAM.CREATE.>"] } } }] }',
      });
      await expect(open(server.url.replace('//', '//app:word@')).log.append([note(1)])).rejects.toThrow(
        /no permission for publish on "\$JS\.API\.STREAM\.CREATE/,
      );
    });

    test('the permissions of docs/nats.md are enough', async () => {
      const [permissions] = /^permissions \{.*?^\}$/ms.exec(readFileSync(`${root}docs/nats.md`, 'utf8')) ?? [];
      expect(permissions).toContain('publish');
      const server = await nats({ config: `authorization { users: [{ user: app, password: word, ${permissions} }] }` });
      const url = server.url.replace('//', '//app:word@');
      const [first, second] = [open(url), open(url)];
      const [a, b] = [first.log, second.log];
      const reader = await read(b);
      const [position] = await a.append([note(1, 'updated', {}, { dedupeKey: 'k' })]);
      expect(await b.append([note(1, 'updated', {}, { dedupeKey: 'k' })])).toEqual([position]);
      await reader.until((logged) => logged.position === position, 'the entry');
      await a.append(Array.from({ length: 150 }, (_, id) => note(id, 'updated', {}, { dedupeKey: `${id}` })));
      expect((await read(b)).loaded).toBe(151);
      await (await a.lease('relay', 1_000))?.release();
      await a.share?.('a', 1_000);
      expect(await b.share?.('b', 1_000)).toEqual(['a']);
      await a.close();
      expect(await b.share?.('b', 1_000)).toEqual([]);
      expect(reader.faults).toEqual([]);
      expect([...first.lines, ...second.lines]).toEqual([]);
    });

    test('TLS: with its authority, and not without', async (context) => {
      const without = missing('openssl');
      if (without) context.skip(without);
      const { certificate, key, remove } = selfSigned();
      onTestFinished(remove);
      const server = await nats({ config: `tls { cert_file: "${certificate}", key_file: "${key}" }` });
      const url = server.url.replace('nats:', 'tls:');
      await open(`${url}?ca=${encodeURIComponent(certificate)}`).log.append([note(1)]);
      await expect(open(url).log.append([note(1)])).rejects.toThrow(/certificate|self.signed/i);
    });
  });

  test('two nodes: what one is told, the pages of the other hear; an engine that is down degrades both, and they recover', async () => {
    const server = await nats();
    const logs = [open(server.url).log, open(server.url).log] as const;
    const quick = { heartbeat: 300, notifyTimeout: 500 };
    const a = await serve('node:http', { log: logs[0], ...quick });
    const b = await serve('node:http', { log: logs[1], ...quick });
    await vi.waitFor(async () => expect((await b.ask('/health')).status).toBe(200), { interval: 20 });
    const stream = await b.listen({ user: 'ann' }, ['Order/1']);
    await stream.next('ready');
    const told = await a.notifier.notify('shipped', { entity: 'Order', id: 1 });
    expect(told.accepted).toBe(true);
    expect((await stream.next('notification')).data).toMatchObject({ entity: 'Order', action: 'shipped' });

    await server.kill();
    const began = performance.now();
    expect((await a.notifier.notify('paid', { entity: 'Order', id: 1 })).accepted).toBe(false);
    expect(performance.now() - began).toBeLessThan(2_000);
    await vi.waitFor(async () => expect((await b.ask('/health')).status).toBe(503), { interval: 50 });
    await server.start();
    await vi.waitFor(async () => expect((await b.ask('/health')).status).toBe(200), { interval: 50 });
    // The run of the server is another: the page is told to refresh, which covers what waited.
    await stream.until(({ type }) => type === 'resync', 'a resync');
    await vi.waitFor(() => expect(a.notifier.metrics().waiting).toBe(0), { interval: 50 });
    expect((await a.notifier.notify('closed', { entity: 'Order', id: 1 })).accepted).toBe(true);
    await stream.until(({ data }) => data.action === 'closed', 'the first one after it');
  });
});
