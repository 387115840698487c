/** Never silently stale: opening, replay, resync and the proof of the tail, over real HTTP. */
import { Agent } from 'node:http';
import { createMemoryLog } from 'notify-listen/log/memory';
import type { Log, Position } from 'notify-listen/server';
import { createFaultyLog } from 'notify-listen/testing';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { comparePositions, makePosition } from '../../adapters/position.js';
import type { ServerEvent, StreamAnswer } from '../../adapters/protocol.js';
import { createMemoryEngine } from '../../server/log/memory.js';
import { type EventStream, readEvents } from '../kit/event-stream.js';
import { SERVERS, serve, type TestServer } from '../kit/server.js';

const keysOf = (stream: EventStream): string[] =>
  stream.events.filter(({ type }) => type === 'notification').map(({ data }) => `${data.id} ${data.action}`);

const offset = (position: Position): number => Number(position.split(':')[1]);

describe('opening', () => {
  test.each(SERVERS)('hello comes at once, before a slow canListen, and ready after it: %s', async (kind) => {
    let allow: (answer: boolean) => void = () => {};
    const answer = new Promise<boolean>((resolve) => {
      allow = resolve;
    });
    const server = await serve(kind, { canListen: { Order: { one: () => answer } } });
    const stream = readEvents(await server.send('/stream?object=Order/42', { user: 'ann' }));
    expect((await stream.next()).type).toBe('hello');
    expect(stream.events).toHaveLength(1);
    allow(true);
    expect((await stream.next()).type).toBe('ready');
  });

  test('a heartbeat does not overtake ready: its id would make an EventSource skip the replay', async () => {
    let allow: (answer: boolean) => void = () => {};
    const answer = new Promise<boolean>((resolve) => {
      allow = resolve;
    });
    const server = await serve('Express 5', { heartbeat: 100, canListen: { Order: { one: () => answer } } });
    const other = await server.listen({ user: 'bob' }, []);
    const stream = readEvents(await server.send('/stream?object=Order/42', { user: 'ann' }));
    await stream.next('hello');
    for (let beats = 0; beats < 3; beats += 1) await other.next('heartbeat');
    allow(true);
    await stream.next('ready');
    expect(stream.events.map(({ type }) => type)).toEqual(['hello', 'ready']);
  });

  test('row 31: what was before the listener is not delivered', async () => {
    const server = await serve('Express 5');
    for (let n = 0; n < 10; n += 1) await server.notifier.notify('before', { entity: 'Order', id: 42 });
    const stream = await server.listen({ user: 'ann' }, ['Order/42']);
    const { data } = await stream.next('ready');
    // Told, so that a listener that loaded its data before them can tell that it must refresh.
    expect(Object.keys(data.latest?.['Order/42'] ?? {})).toEqual(['before']);
    await server.notifier.notify('after', { entity: 'Order', id: 42 });
    expect((await stream.next('notification')).data.action).toBe('after');
    expect(keysOf(stream)).toEqual(['42 after']);
  });

  test('the replay of all channels is ascending, and its ids never run ahead of what is written', async () => {
    const server = await serve('Express 5');
    const start = await server.notifier.position();
    const ids = ['1', '2', '3', '4', '5'];
    for (let n = 0; n < 50; n += 1)
      await server.notifier.notify(`a${n % 7}`, { entity: 'Order', id: ids[(n * 3) % 5] as string });
    const stream = await server.listen(
      { user: 'ann' },
      ids.map((id) => `Order/${id}`),
      { after: start },
    );
    const ready = await stream.next('ready');
    const seen = stream.events.flatMap(({ id }) => (id === undefined ? [] : [id as Position]));
    expect(seen.length).toBeGreaterThan(30);
    for (const [index, id] of seen.entries())
      if (index > 0) expect(comparePositions(id, seen[index - 1] as Position)).toBeGreaterThanOrEqual(0);
    expect(ready.id).toBe(await server.notifier.position());
  });

  test('row 18: a notification at any moment between auth and stream is not lost (2,000 rounds)', async () => {
    const server = await serve('node:http', { limits: { openingsBurst: 1e9, connectionsPerUser: 1e9 } });
    const agent = new Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    const ROUNDS = 2_000;
    let rounds = 0;
    let replayed = 0;
    let live = 0;

    async function work(id: number): Promise<void> {
      const channel = `Order/${id}`;
      const { grant } = await server.authorise({ user: 'ann' }, channel);
      async function read(wait: 'poll' | 'once', after: Position): Promise<readonly ServerEvent[]> {
        const answer = await server.ask('/stream', {
          user: 'ann',
          agent,
          body: { protocol: 1, wait, grants: [grant], channels: { [channel]: after }, own: null },
        });
        return answer.json<StreamAnswer>().events;
      }
      while (rounds < ROUNDS) {
        rounds += 1;
        // The position that a page knows before it opens, then a notification that races with the opening.
        const before = await server.notifier.position();
        const opening = read('poll', before);
        for (let turn = rounds % 7; turn > 0; turn -= 1) await new Promise((resolve) => setImmediate(resolve));
        const { positions } = await server.notifier.notify('updated', { entity: 'Order', id });
        const wanted = positions?.[0] as Position;
        // Either it is in the answer, or in the next one, from where this one ended.
        let events = await opening;
        const news = events.findLast((event) => event.type === 'notification');
        const ready = events.find((event) => event.type === 'ready');
        if (news === undefined) events = await read('once', ready?.position as Position);
        const last = events.findLast((event) => event.type === 'notification');
        if (events.indexOf(news ?? (last as ServerEvent)) < events.indexOf(ready as ServerEvent)) replayed += 1;
        else live += 1;
        if (last?.notification.position !== wanted) throw new Error(`${wanted} was lost: ${JSON.stringify(events)}`);
      }
    }
    await Promise.all(Array.from({ length: 8 }, (_, n) => work(n)));
    expect(rounds).toBeGreaterThanOrEqual(ROUNDS);
    // It was a race: each side won often.
    expect(Math.min(replayed, live)).toBeGreaterThan(ROUNDS / 100);
  });
});

describe('row 30: the connection is cut at random points', () => {
  test('after each reconnect from the last id, the newest of every key is received', async () => {
    const server = await serve('node:http', { limits: { openingsBurst: 1e9, connectionsPerUser: 1e9 } });
    const channels = Array.from({ length: 20 }, (_, n) => `Order/${n}`);
    const { grant } = await server.authorise({ user: 'ann' }, ...channels);
    const newest = new Map<string, Position>();
    const received = new Map<string, Position>();
    let position = await server.notifier.position();
    let random = 1;
    const next = (below: number): number => {
      random = (random * 48_271) % 2_147_483_647;
      return random % below;
    };

    let sent = 0;
    async function publish(): Promise<void> {
      while (sent < 10_000) {
        const burst = Array.from({ length: 1 + next(40) }, () => ({ id: String(next(20)), action: `a${next(3)}` }));
        sent += burst.length;
        await Promise.all(
          burst.map(async ({ id, action }) => {
            const { positions } = await server.notifier.notify(action, { entity: 'Order', id });
            newest.set(`${id} ${action}`, positions?.[0] as Position);
          }),
        );
        await new Promise((resolve) => setImmediate(resolve));
      }
      await server.notifier.notify('end', { entity: 'Order', id: 0 });
    }

    let cuts = 0;
    async function read(): Promise<void> {
      for (;;) {
        const stream = readEvents(
          await server.stream(
            { user: 'ann' },
            { grants: [grant], channels: Object.fromEntries(channels.map((channel) => [channel, position])) },
          ),
        );
        const until = 1 + next(60);
        let ready = false;
        for (let n = 0; ; n += 1) {
          const { type, id, data } = await stream.next();
          expect(type).not.toBe('resync');
          if (type === 'ready') ready = true;
          if (type === 'notification') {
            if (data.action === 'end') return;
            received.set(`${data.id} ${data.action}`, data.position as Position);
          }
          // As the protocol says: positions move with ids from ready on.
          if (ready && id !== undefined) position = id as Position;
          if (ready && n >= until) break;
        }
        stream.dispose();
        cuts += 1;
      }
    }
    await Promise.all([publish(), read()]);
    expect(cuts).toBeGreaterThan(20);
    expect([...received].sort()).toEqual([...newest].sort());
  });

  test('a standard EventSource that is cut in the middle of its replay gets the rest', async () => {
    const server = await serve('Express 5');
    const start = await server.notifier.position();
    for (let n = 0; n < 100; n += 1) await server.notifier.notify(`a${n}`, { entity: 'Order', id: 42 });
    const whole = readEvents(
      await server.send('/stream?object=Order/42', { user: 'ann', headers: { 'last-event-id': start } }),
    );
    await whole.next('ready');
    const all = keysOf(whole);
    expect(all).toHaveLength(100);
    const half = whole.events.filter(({ type }) => type === 'notification')[49]?.id as string;
    const rest = readEvents(
      await server.send('/stream?object=Order/42', { user: 'ann', headers: { 'last-event-id': half } }),
    );
    await rest.next('ready');
    expect(keysOf(rest)).toEqual(all.slice(50));
  });
});

describe('resync', () => {
  const resyncOf = async (stream: EventStream): Promise<unknown> => {
    await stream.next('ready');
    const types = stream.events.map(({ type }) => type);
    expect(types.at(-2)).toBe('resync'); // just before ready
    return stream.events.at(-2)?.data.channels;
  };

  test('row 35: a restarted server has another epoch, and every channel is resynced', async () => {
    const before = await serve('Express 5');
    const { positions } = await before.notifier.notify('updated', { entity: 'Order', id: 42 });
    const after = await serve('Express 5');
    await after.notifier.notify('updated', { entity: 'Order', id: 42 });
    const stream = await after.listen({ user: 'ann' }, ['Order/42', 'Order/43'], { after: positions?.[0] as string });
    expect(await resyncOf(stream)).toEqual(['Order/42', 'Order/43']);
    const standard = readEvents(
      await after.send('/stream?object=Order/42', {
        user: 'ann',
        headers: { 'last-event-id': positions?.[0] as string },
      }),
    );
    expect(await resyncOf(standard)).toBe(null);
  });

  test('row 36: an absence longer than the history keeps: only the channels concerned, and exactly once', async () => {
    const server = await serve('Express 5', { historyCap: 10 });
    const start = await server.notifier.position();
    for (let n = 0; n < 50; n += 1) await server.notifier.notify('updated', { entity: 'Report', id: n });
    const now = await server.notifier.position();
    const { grant } = await server.authorise({ user: 'ann' }, 'Order/42', 'Order/43');
    const stream = readEvents(
      await server.stream({ user: 'ann' }, { grants: [grant], channels: { 'Order/42': start, 'Order/43': now } }),
    );
    expect(await resyncOf(stream)).toEqual(['Order/42']);
    expect(stream.events.filter(({ type }) => type === 'resync')).toHaveLength(1);
  });

  test('while a resync is still to come, replayed notifications carry no id', async () => {
    const server = await serve('Express 5', { historyCap: 10 });
    const start = await server.notifier.position();
    for (let n = 0; n < 50; n += 1) await server.notifier.notify('updated', { entity: 'Report', id: n });
    const now = await server.notifier.position();
    await server.notifier.notify('updated', { entity: 'Order', id: 43 });
    const { grant } = await server.authorise({ user: 'ann' }, 'Order/42', 'Order/43');
    const stream = readEvents(
      await server.stream({ user: 'ann' }, { grants: [grant], channels: { 'Order/42': start, 'Order/43': now } }),
    );
    await stream.next('ready');
    expect(stream.events.map(({ type, id }) => [type, id !== undefined])).toEqual([
      ['hello', false],
      ['notification', false],
      ['resync', false],
      ['ready', true],
    ]);
  });

  test("a position above the engine's top is of entries that were lost: resync", async () => {
    const server = await serve('Express 5');
    const top = await server.notifier.position();
    const beyond = makePosition(top.split(':')[0] as string, offset(top) + 1_000);
    const stream = await server.listen({ user: 'ann' }, ['Order/42'], { after: beyond });
    expect(await resyncOf(stream)).toEqual(['Order/42']);
  });

  test('a Last-Event-ID that is no position is answered as a lost one', async () => {
    const server = await serve('Express 5');
    for (const id of ['17', 'x:y', '%00', ':', '-1']) {
      const stream = readEvents(await server.send(`/stream?object=Order/42&lastEventId=${id}`, { user: 'ann' }));
      expect(await resyncOf(stream)).toBe(null);
    }
  });
});

describe('a node that lags or cannot prove its tail', () => {
  /** Two nodes on one log; the tail of the second is in the test's hand. */
  async function twoNodes(options = {}): Promise<{
    ahead: TestServer;
    behind: TestServer;
    faults: ReturnType<typeof createFaultyLog>['faults'];
  }> {
    const engine = createMemoryEngine();
    const { log, faults } = createFaultyLog(() => createMemoryLog({ engine }));
    const ahead = await serve('Express 5', { log: createMemoryLog({ engine }) });
    const behind = await serve('Express 5', { log, ...options });
    await Promise.all([ahead.notifier.position(), behind.notifier.position()]);
    return { ahead, behind, faults };
  }

  test('any node answers any client: a grant and a position of one node are taken by the other', async () => {
    const { ahead, behind } = await twoNodes();
    const start = await ahead.notifier.position();
    const { grant } = await ahead.authorise({ user: 'ann' }, 'Order/42');
    await ahead.notifier.notify('updated', { entity: 'Order', id: 42 });
    const stream = readEvents(
      await behind.stream({ user: 'ann' }, { grants: [grant], channels: { 'Order/42': start } }),
    );
    await stream.next('ready');
    expect(keysOf(stream)).toEqual(['42 updated']);
    await ahead.notifier.revoke('ann', { entity: 'Order', id: 42 });
    expect((await stream.next('reauthorise')).data.channels).toEqual(['Order/42']);
  });

  test("a position above the node's tail is lag: it waits until its tail is there, and says 503 where that fails", async () => {
    const engine = createMemoryEngine();
    const { log, faults } = createFaultyLog(() => createMemoryLog({ engine }));
    let proving: () => void = () => {};
    let answered = new Promise<void>((resolve) => {
      proving = resolve;
    });
    const slow: Log = {
      ...log,
      async tail(sink) {
        const tail = await log.tail(sink);
        return { ...tail, prove: (ms) => answered.then(() => tail.prove(ms)) };
      },
    };
    const ahead = await serve('Express 5', { log: createMemoryLog({ engine }) });
    const behind = await serve('Express 5', { log: slow });
    const { grant } = await ahead.authorise({ user: 'ann' }, 'Order/42');
    await behind.notifier.position();
    faults.stall();
    const { positions } = await ahead.notifier.notify('updated', { entity: 'Order', id: 42 });
    const asked = { grants: [grant], channels: { 'Order/42': positions?.[0] } };

    const waiting = behind.stream({ user: 'ann' }, asked);
    await behind.ask('/config', { user: 'ann' }); // the request before it has been taken by now
    faults.flow();
    proving();
    const stream = readEvents(await waiting);
    await stream.next('ready');
    expect(stream.events.map(({ type }) => type)).toEqual(['hello', 'ready']);

    faults.stall();
    answered = Promise.resolve();
    const newer = await ahead.notifier.notify('updated', { entity: 'Order', id: 42 });
    const late = await behind.stream({ user: 'ann' }, { ...asked, channels: { 'Order/42': newer.positions?.[0] } });
    expect(late.status).toBe(503);
    expect(late.headers['retry-after']).toBe('1');
    late.cut();
  });

  test('a tail that cannot be proved: /health 503, heartbeats say degraded, new streams get 503, and it recovers', async () => {
    const { behind, faults } = await twoNodes({ heartbeat: 100 });
    const stream = await behind.listen({ user: 'ann' }, ['Order/42']);
    const healthy = await stream.until(({ type, data }) => type === 'heartbeat' && !data.degraded);
    expect(healthy.data).toEqual({ position: healthy.id, spread: 0 });
    await expect.poll(async () => (await behind.ask('/health')).status).toBe(200);
    faults.prove = 'fails';
    faults.tail = 'fails';
    const degraded = await stream.until(({ data }) => data.degraded === true);
    expect(degraded).toMatchObject({ type: 'heartbeat', id: undefined, data: { degraded: true, spread: 0 } });
    expect(degraded.data).not.toHaveProperty('position');
    const health = await behind.ask('/health');
    expect([health.status, health.json()]).toEqual([503, { status: 'degraded' }]);
    expect(behind.notifier.metrics().degraded).toBe(true);
    for (const answer of [
      await behind.stream({ user: 'ann' }, {}),
      await behind.send('/stream?object=Order/42', { user: 'ann' }),
    ]) {
      expect(answer.status).toBe(503);
      expect(answer.headers['retry-after']).toBe('1');
      answer.cut();
    }
    faults.prove = 'works';
    faults.tail = 'works';
    await stream.until(({ type, data }) => type === 'heartbeat' && data.position !== undefined);
    await expect.poll(async () => (await behind.ask('/health')).status).toBe(200);
  });

  test('what was published while the engine did not answer arrives when it does again', async () => {
    const { ahead, behind, faults } = await twoNodes({ heartbeat: 100 });
    const stream = await behind.listen({ user: 'ann' }, ['Order/42']);
    await stream.next('ready');
    faults.prove = 'fails';
    faults.tail = 'fails';
    await stream.until(({ data }) => data.degraded === true);
    await ahead.notifier.notify('updated', { entity: 'Order', id: 42 });
    faults.prove = 'works';
    faults.tail = 'works';
    expect((await stream.next('notification')).data.action).toBe('updated');
  });

  test('the engine loses everything: live streams get one resync, and positions of before are resynced', async () => {
    const { log, faults } = createFaultyLog(() => createMemoryLog());
    const server = await serve('Express 5', { log });
    const stream = await server.listen({ user: 'ann' }, ['Order/42']);
    const old = await server.notifier.position();
    await stream.next('ready');
    await faults.loseEverything();
    expect((await stream.next('resync')).data).toEqual({ channels: null });
    await server.notifier.notify('updated', { entity: 'Order', id: 42 });
    await stream.next('notification');
    expect(stream.events.filter(({ type }) => type === 'resync')).toHaveLength(1);
    const later = await server.listen({ user: 'ann' }, ['Order/42'], { after: old });
    expect((await later.next('resync')).data.channels).toEqual(['Order/42']);
  });

  test('a node serves nothing before it has loaded the window', async () => {
    const { log, faults } = createFaultyLog(() => createMemoryLog());
    faults.tail = 'fails';
    const server = await serve('Express 5', { log });
    expect((await server.ask('/health')).status).toBe(503);
    const asked = server.ask('/config', { user: 'ann' });
    faults.tail = 'works';
    expect((await asked).status).toBe(200); // it waited, rather than to answer with an epoch that it does not know
  });
});

describe('the log does not take it', () => {
  test('row 14: notify answers in bounded time, the fault reaches onError, and listeners hear of it later', async () => {
    const { log, faults } = createFaultyLog(() => createMemoryLog());
    const server = await serve('Express 5', { log, notifyTimeout: 30 });
    const stream = await server.listen({ user: 'ann' }, ['Order/42']);
    await stream.next('ready');
    faults.append = 'hangs';
    expect(await server.notifier.notify('updated', { entity: 'Order', id: 42 })).toEqual({ accepted: false });
    expect(server.errors).not.toEqual([]);
    faults.append = 'works';
    expect((await stream.next('notification')).data.action).toBe('updated');
  });

  test('revoke acts on its own node although the log does not take it', async () => {
    const { log, faults } = createFaultyLog(() => createMemoryLog());
    const server = await serve('Express 5', { log, notifyTimeout: 30 });
    const stream = await server.listen({ user: 'ann' }, ['Order/42']);
    await stream.next('ready');
    faults.append = 'fails';
    const revoked = server.notifier.revoke('ann', { entity: 'Order', id: 42 });
    expect((await stream.next('reauthorise')).data.channels).toEqual(['Order/42']);
    expect((await revoked).accepted).toBe(false);
    faults.append = 'works';
    await vi.waitFor(() => expect(server.notifier.metrics().waiting).toBe(0));
  });
});
