/** Every route on every kind of server, over real HTTP. */
import { describe, expect, test } from 'vitest';
import { readEvents } from '../kit/event-stream.js';
import { SERVERS, serve } from '../kit/server.js';

describe.each(SERVERS)('%s', (kind) => {
  test('GET /config says who is asking and how to listen, and no secret (rows 61, 73)', async () => {
    const server = await serve(kind, { heartbeat: 12_345 });
    const answer = await server.ask('/config?protocol=1', { user: 'ann', session: 's1' });
    expect(answer.status).toBe(200);
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(answer.json()).toEqual({
      protocol: 1,
      epoch: expect.stringMatching(/^[\w-]{1,40}$/),
      provider: 'sse',
      settings: {},
      user: expect.stringMatching(/^[\w-]{16}$/),
      session: expect.stringMatching(/^[\w-]{16}$/),
      heartbeat: 12_345,
      retry: { min: 300, max: 30_000 },
      retention: 420_000,
    });
    expect(answer.text).not.toContain('ann');
    expect((await server.ask('/config')).status).toBe(401);
  });

  test('POST /auth answers many objects in one request, each in its place', async () => {
    const server = await serve(kind);
    const answer = await server.ask('/auth', {
      user: 'ann',
      body: {
        protocol: 1,
        objects: [
          { entity: 'Order', id: '1' },
          { entity: 'Order', id: 'hidden' },
          { entity: 'Order' },
          { entity: 'Report', id: 'ann-1' },
          { entity: 'Report', id: 'bob-1' },
          { entity: 'Invoice', id: '1' },
        ],
      },
    });
    expect(answer.status).toBe(200);
    expect(answer.json()).toEqual({
      epoch: expect.any(String),
      results: ['granted', 'refused', 'granted', 'granted', 'refused', 'refused'],
      grant: expect.any(String),
      expiresIn: 300_000,
    });
  });

  test('POST /stream streams: hello, ready, a notification, and the end of the client is noticed', async () => {
    const server = await serve(kind);
    const stream = await server.listen({ user: 'ann' }, ['Order/42', 'Order']);
    expect(stream.headers['content-type']).toBe('text/event-stream; charset=utf-8');
    expect(stream.headers['cache-control']).toBe('no-cache, no-transform');
    expect(stream.headers['x-accel-buffering']).toBe('no');
    const hello = await stream.next();
    expect(hello).toMatchObject({ type: 'hello', id: undefined, data: { protocol: 1, heartbeat: 15_000, spread: 0 } });
    const ready = await stream.next();
    expect(ready).toMatchObject({ type: 'ready', id: ready.data.position });
    const { positions } = await server.notifier.notify(
      'shipped',
      { entity: 'Order', id: 42, changedDate: 7 },
      { notifier: 'Bob' },
    );
    const shipped = await stream.next();
    expect(shipped).toEqual({
      type: 'notification',
      id: positions?.[0],
      data: { entity: 'Order', id: '42', action: 'shipped', changedDate: 7, notifier: 'Bob', position: positions?.[0] },
    });
    expect(server.notifier.metrics().connections).toBe(1);
    stream.dispose();
    await expect.poll(() => server.notifier.metrics().connections).toBe(0);
  });

  test('GET /stream serves objects of the query, with Last-Event-ID or lastEventId', async () => {
    const server = await serve(kind);
    const before = await server.notifier.position();
    await server.notifier.notify('shipped', { entity: 'Order', id: 42 });
    for (const reply of [
      await server.send('/stream?object=Order/42&object=Order/hidden', {
        user: 'ann',
        headers: { 'last-event-id': before },
      }),
      await server.send(`/stream?object=Order/42&object=Order/hidden&lastEventId=${before}`, { user: 'ann' }),
    ]) {
      expect(reply.status).toBe(200);
      const stream = readEvents(reply);
      expect((await stream.next()).type).toBe('hello');
      expect(await stream.next()).toMatchObject({ type: 'refused', data: { channels: ['Order/hidden'] } });
      expect(await stream.next()).toMatchObject({ type: 'notification', data: { id: '42', action: 'shipped' } });
      expect((await stream.next()).type).toBe('ready');
    }
  });

  test('a channel is escaped once more in a query, as docs/protocol.md shows (row 60)', async () => {
    const server = await serve(kind);
    const stream = readEvents(await server.send('/stream?object=Order%2Fa%252Fb', { user: 'ann' }));
    await stream.next('ready');
    for (const id of ['a', 'a%2Fb', 'a/b']) await server.notifier.notify('shipped', { entity: 'Order', id });
    expect((await stream.next('notification')).data.id).toBe('a/b');
  });

  test('wait: "once" answers at once with the events of a stream, type included', async () => {
    const server = await serve(kind);
    const before = await server.notifier.position();
    await server.notifier.notify('shipped', { entity: 'Order', id: 42 });
    const { grant } = await server.authorise({ user: 'ann' }, 'Order/42');
    const answer = await server.ask('/stream', {
      user: 'ann',
      body: { protocol: 1, wait: 'once', grants: [grant], channels: { 'Order/42': before }, own: null },
    });
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(answer.json()).toMatchObject({
      events: [
        { type: 'hello' },
        { type: 'notification', notification: { entity: 'Order', id: '42', action: 'shipped' } },
        { type: 'ready' },
      ],
    });
    await expect.poll(() => server.notifier.metrics().connections).toBe(0);
  });

  test('wait: "poll" waits, news ends it at once, and an aborted one frees its connection', async () => {
    const server = await serve(kind);
    const { grant } = await server.authorise({ user: 'ann' }, 'Order/42');
    const body = { protocol: 1, wait: 'poll', grants: [grant], channels: { 'Order/42': null }, own: null };
    const polled = server.ask('/stream', { user: 'ann', body });
    await expect.poll(() => server.notifier.metrics().connections).toBe(1);
    await server.notifier.notify('shipped', { entity: 'Order', id: 42 });
    expect((await polled).json<{ events: { type: string }[] }>().events.map(({ type }) => type)).toEqual([
      'hello',
      'ready',
      'notification',
    ]);
    await expect.poll(() => server.notifier.metrics().connections).toBe(0);
  });

  test('GET /health needs no user', async () => {
    const server = await serve(kind);
    await server.notifier.position();
    const answer = await server.ask('/health');
    expect(answer.status).toBe(200);
    expect(answer.json()).toEqual({ status: 'ok' });
  });

  test('unknown routes are left to the application, wrong methods get 405 with Allow', async () => {
    const server = await serve(kind);
    for (const path of ['', '/', '/configs', '/config/', '/config/x', '/..%2fconfig', '/constructor', '/__proto__']) {
      const answer = await server.ask(path, { user: 'ann' });
      expect([path, answer.status, answer.text]).toEqual([path, 404, 'not a route']);
    }
    for (const [path, method, allow] of [
      ['/config', 'POST', 'GET, OPTIONS'],
      ['/auth', 'GET', 'POST, OPTIONS'],
      ['/stream', 'DELETE', 'GET, POST, OPTIONS'],
      ['/health', 'PUT', 'GET, OPTIONS'],
    ] as const) {
      const answer = await server.ask(path, { method, user: 'ann', headers: { 'content-length': '0' } });
      expect([path, answer.status, answer.headers.allow]).toEqual([path, 405, allow]);
      expect(answer.json()).toEqual({ error: { code: 'invalid', message: expect.any(String) } });
    }
  });
});
