/** What HTTP does to a stream: chunks, old and new versions, pipelining, kept connections, middleware, parsers, curl. */

import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Agent } from 'node:http';
import { createConnection, type Socket } from 'node:net';
import compression from 'compression';
import { EventSource } from 'eventsource';
import express, { type RequestHandler } from 'express';
import { rememberRequest } from 'notify-listen/server/express';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { type EventStream, readEvents } from '../kit/event-stream.js';
import { SERVERS, serve, speaksHttp2, type TestServer } from '../kit/server.js';

/** A connection on which a test writes bytes, and waits for text. */
function connect(server: TestServer): {
  socket: Socket;
  received(): string;
  until(text: string | RegExp): Promise<void>;
  ended: Promise<void>;
} {
  const socket = createConnection(server.port, '127.0.0.1');
  let text = '';
  let wake: () => void = () => {};
  socket.on('data', (chunk) => {
    text += chunk;
    wake();
  });
  socket.on('error', () => {});
  const ended = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  onTestFinished(() => {
    socket.destroy();
  });
  return {
    socket,
    received: () => text,
    ended,
    async until(wanted) {
      while (!(typeof wanted === 'string' ? text.includes(wanted) : wanted.test(text))) {
        await new Promise<void>((resolve, reject) => {
          wake = resolve;
          void ended.then(() => reject(new Error(`the connection ended before ${wanted} came: ${text}`)));
        });
      }
    },
  };
}

/** The events as the protocol says that they are written. */
function written(stream: EventStream): string {
  return stream.events
    .map(
      ({ type, id, data }) =>
        `${id === undefined ? '' : `id: ${id}\n`}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`,
    )
    .join('');
}

describe('bytes', () => {
  test.each(SERVERS)('a whole stream is exactly its events, in valid framing, and ends in order: %s', async (kind) => {
    const server = await serve(kind);
    const stream = await server.listen({ user: 'ann' }, ['Order/%C3%A4', 'Order/42']);
    await stream.next('ready');
    await server.notifier.notify('größer', { entity: 'Order', id: 'ä' }, { notifier: '🦊 “Ann”\n' });
    await server.notifier.notify(
      'many',
      Array.from({ length: 300 }, (_, n) => ({ entity: 'Order', id: n })),
      { notifier: 'x'.repeat(700) },
    );
    await stream.until(({ data }) => data.id === '42');
    await server.notifier.close({ within: 0 });
    // Node's own client checks each chunk; a wrong length would be an error and not an end.
    expect(await stream.ended).toBe('ended');
    expect(stream.events.map(({ type }) => type)).toEqual([
      'hello',
      'ready',
      'notification',
      'notification',
      'goodbye',
    ]);
    expect(stream.raw()).toBe(written(stream));
  });

  test('each write is one whole chunk, and the last one is empty', async () => {
    const server = await serve('node:http');
    const { socket, received, until } = connect(server);
    socket.write('GET /notify-listen/stream?object=Order/42 HTTP/1.1\r\nHost: x\r\nx-user: ann\r\n\r\n');
    await until('event: ready');
    await server.notifier.notify('größer', { entity: 'Order', id: 42 });
    await until('größer');
    await server.notifier.close({ within: 0 });
    await until('\r\n0\r\n\r\n');
    let rest = Buffer.from(received().slice(received().indexOf('\r\n\r\n') + 4));
    let body = '';
    for (;;) {
      const end = rest.indexOf('\r\n');
      const size = Number.parseInt(rest.subarray(0, end).toString(), 16);
      expect(rest.subarray(end + 2 + size, end + 4 + size).toString()).toBe('\r\n');
      if (size === 0) break;
      body += rest.subarray(end + 2, end + 2 + size);
      rest = rest.subarray(end + 4 + size);
    }
    expect(rest.toString()).toBe('0\r\n\r\n');
    expect(body.match(/^event: \w+/gm)).toEqual([
      'event: hello',
      'event: ready',
      'event: notification',
      'event: goodbye',
    ]);
  });

  test('an HTTP/1.0 client gets bare frames, and the end of the connection ends the stream', async () => {
    const server = await serve('node:http');
    const { socket, received, until, ended } = connect(server);
    socket.write('GET /notify-listen/stream?object=Order/42 HTTP/1.0\r\nx-user: ann\r\n\r\n');
    await until('event: ready');
    await server.notifier.notify('shipped', { entity: 'Order', id: 42 });
    await until('"action":"shipped"');
    await server.notifier.close({ within: 0 });
    await ended;
    const [head = '', ...frames] = received().split(/\r\n\r\n/);
    expect(head).not.toMatch(/transfer-encoding/i);
    expect(frames).toHaveLength(1); // no line break of HTTP in the body
    expect(frames[0]).toMatch(/^retry: \d+\nevent: hello\n[^\r]*event: goodbye\ndata: \{"within":0\}\n\n$/);
  });
});

describe('connections', () => {
  test('pipelined: a stream waits for the answers before it, and then flows', async () => {
    const server = await serve('Express 5');
    const { socket, received, until } = connect(server);
    const head = 'Host: x\r\nx-user: ann\r\n\r\n';
    socket.write(
      `GET /notify-listen/config HTTP/1.1\r\n${head}GET /notify-listen/stream?object=Order/42 HTTP/1.1\r\n${head}`,
    );
    await until('event: ready');
    expect(received().indexOf('"epoch"')).toBeLessThan(received().indexOf('event: hello'));
    await server.notifier.notify('shipped', { entity: 'Order', id: 42 });
    await until('"action":"shipped"');
  });

  test('pipelined behind an answer that never comes: the stream is counted off when the connection ends', async () => {
    let hang = true;
    const server = await serve('Express 5', {
      accessTimeout: 60_000,
      user: (request) =>
        request.url.startsWith('/config') && hang
          ? new Promise<string>(() => {})
          : (request.headers['x-user'] as string),
    });
    const { socket } = connect(server);
    const head = 'Host: x\r\nx-user: ann\r\n\r\n';
    socket.write(
      `GET /notify-listen/config HTTP/1.1\r\n${head}GET /notify-listen/stream?object=Order/42 HTTP/1.1\r\n${head}`,
    );
    await vi.waitFor(() => expect(server.notifier.metrics().connections).toBe(1));
    hang = false;
    socket.destroy();
    await vi.waitFor(() => expect(server.notifier.metrics().connections).toBe(0));
  });

  test('a connection is kept and used again after an answer, a poll and a stream that ended', async () => {
    const server = await serve('Express 5');
    let connections = 0;
    server.server.on('connection', () => {
      connections += 1;
    });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    const body = { protocol: 1, wait: 'once', grants: [], channels: {}, own: null };
    for (let n = 0; n < 3; n += 1) {
      expect((await server.ask('/config', { user: 'ann', agent })).status).toBe(200);
      expect((await server.ask('/stream', { user: 'ann', agent, body })).status).toBe(200);
      const stream = readEvents(await server.send('/stream?object=Order/42', { user: 'ann', agent }));
      await stream.next('ready');
      await server.notifier.revoke('ann', { entity: 'Order', id: 42 });
      await stream.next('goodbye');
      expect(await stream.ended).toBe('ended');
    }
    expect(connections).toBe(1);
  });
});

describe.each(['Express 5', 'Express 4'] as const)('middleware ahead of the routes: %s', (kind) => {
  /** The whole way: authorise by POST, stream by POST, a notification. */
  async function works(server: TestServer): Promise<EventStream> {
    const stream = await server.listen({ user: 'ann' }, ['Order/42'], { headers: { 'accept-encoding': 'gzip' } });
    await stream.next('ready');
    await server.notifier.notify('shipped', { entity: 'Order', id: 42 });
    expect((await stream.next('notification')).data.action).toBe('shipped');
    return stream;
  }

  const slowly: RequestHandler = (_request, _response, next) => {
    setImmediate(() => setImmediate(next));
  };

  test.each<[string, RequestHandler[]]>([
    ['none', []],
    ['express.json()', [express.json()]],
    ['express.text() for everything', [express.text({ type: '*/*' })]],
    ['express.raw() for everything', [express.raw({ type: '*/*' })]],
    ['express.urlencoded()', [express.urlencoded({ extended: true })]],
    ['two parsers', [express.json(), express.urlencoded({ extended: true })]],
    ['a session that is looked up', [slowly]],
    ['a lookup, then a parser, then a lookup', [slowly, express.json(), slowly]],
    ['compression', [compression({ threshold: 0 })]],
    ['compression and a parser', [compression({ threshold: 0 }), express.json()]],
  ])('%s', async (_what, before) => {
    const server = await serve(kind, { before });
    const stream = await works(server);
    expect(stream.headers['content-encoding']).toBeUndefined();
    expect(
      (
        await server.ask('/auth', {
          user: 'ann',
          method: 'POST',
          headers: { 'content-length': '0', 'content-type': 'application/json' },
        })
      ).status,
    ).toBe(400);
  });

  test('one that wraps the response: every frame goes through it', async () => {
    const through: string[] = [];
    const server = await serve(kind, {
      before: [
        (_request, response, next) => {
          const write = response.write.bind(response);
          response.write = ((chunk: Uint8Array) => {
            through.push(Buffer.from(chunk).toString());
            return write(chunk);
          }) as typeof response.write;
          next();
        },
      ],
    });
    const stream = await works(server);
    expect(through.join('')).toBe(stream.raw());
  });

  test('a parser with a small limit answers for itself; what passes it is served', async () => {
    const server = await serve(kind, { before: [express.json({ limit: 500 })] });
    await works(server);
    const answer = await server.ask('/auth', {
      user: 'ann',
      body: { protocol: 1, objects: [{ entity: 'x'.repeat(600) }] },
    });
    expect(answer.status).toBe(413);
  });

  test('a reader of the body that left nothing is a 400, not a request that hangs', async () => {
    const server = await serve(kind, {
      before: [
        (request, _response, next) => {
          request.on('end', () => setImmediate(next));
          request.resume();
        },
      ],
    });
    expect(
      (await server.ask('/auth', { user: 'ann', body: { protocol: 1, objects: [{ entity: 'Order' }] } })).status,
    ).toBe(400);
  });

  test('ignoreOwn: the mark of the request reaches the wire as SHA-256 hex, through rememberRequest or options.request', async () => {
    const secret = 'a-secret-of-one-request-0123456789';
    const server: TestServer = await serve(kind, {
      before: [rememberRequest(), express.json()],
      after: [
        async (request, response) => {
          await new Promise((resolve) => setImmediate(resolve)); // the mark is carried along
          const options = request.path === '/explicit' ? { request } : {};
          await server.notifier.notify('shipped', { entity: 'Order', id: 42 }, options);
          response.end();
        },
      ],
    });
    const stream = await server.listen({ user: 'ann' }, ['Order/42']);
    await stream.next('ready');
    const act = (path: string, cause?: string): Promise<unknown> =>
      server.ask(`/..${path}`, {
        body: { any: 'thing' },
        ...(cause !== undefined && { headers: { 'notify-listen-cause': cause } }),
      });
    const cause = createHash('sha256').update(secret).digest('hex');
    await act('/implicit', secret);
    expect((await stream.next('notification')).data.cause).toBe(cause);
    await act('/explicit', secret);
    expect((await stream.next('notification')).data.cause).toBe(cause);
    await act('/implicit');
    expect((await stream.next('notification')).data).not.toHaveProperty('cause');
    await act('/implicit', 'too short');
    expect((await stream.next('notification')).data).not.toHaveProperty('cause');
    expect(stream.raw()).not.toContain(secret);
  });
});

test('ignoreOwn with a standard Request: options.request', async () => {
  const server = await serve('fetch');
  const stream = await server.listen({ user: 'ann' }, ['Order/42']);
  await stream.next('ready');
  const secret = 'x'.repeat(20);
  const request = new Request('http://x/', { headers: { 'notify-listen-cause': secret } });
  await server.notifier.notify('shipped', { entity: 'Order', id: 42 }, { request });
  expect((await stream.next('notification')).data.cause).toBe(createHash('sha256').update(secret).digest('hex'));
});

describe('standard clients', () => {
  /** An `EventSource` of the npm package, and what it said. */
  function eventSource(
    server: TestServer,
    query: string,
    user = 'ann',
  ): { source: EventSource; seen: string[]; until(text: string): Promise<void> } {
    const seen: string[] = [];
    const source = new EventSource(`${server.url}/stream?${query}`, {
      fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, 'x-user': user } }),
    });
    onTestFinished(() => source.close());
    for (const type of ['hello', 'ready', 'notification', 'refused', 'resync', 'goodbye'])
      source.addEventListener(type, ({ data }) => {
        const { action, channels } = JSON.parse(data) as { action?: string; channels?: string[] };
        seen.push([type, action, channels?.join()].filter((part) => part !== undefined).join(' '));
      });
    source.addEventListener('error', ({ code }) => seen.push(`error ${code ?? ''}`.trim()));
    return {
      source,
      seen,
      until: (text) => vi.waitFor(() => expect(seen).toContain(text), { interval: 20 }),
    };
  }

  test('the eventsource package: resumes after its socket is killed; is refused in band; revoked, it comes back and is asked again', async () => {
    const rights = new Set(['ann 1', 'ann 2', 'bob 1']);
    const server = await serve('Express 5', {
      canListen: { Order: { one: (user, id) => rights.has(`${user} ${id}`) } },
    });
    const killed = eventSource(server, 'object=Order/1&object=Order/3');
    const revoked = eventSource(server, 'object=Order/1&object=Order/2', 'bob');
    await Promise.all([killed.until('ready'), revoked.until('ready')]);
    expect(killed.seen).toEqual(['hello', 'refused Order/3', 'ready']);
    await server.notifier.notify('before', { entity: 'Order', id: 1 });
    await Promise.all([killed.until('notification before'), revoked.until('notification before')]);

    rights.delete('bob 1');
    await server.notifier.revoke('bob', { entity: 'Order', id: 1 });
    (server.server as import('node:http').Server).closeAllConnections();
    await server.notifier.notify('meanwhile', { entity: 'Order', id: 1 });
    await Promise.all([killed.until('notification meanwhile'), revoked.until('refused Order/1,Order/2')]);
    expect(killed.seen.filter((text) => text.startsWith('notification'))).toEqual([
      'notification before',
      'notification meanwhile',
    ]);
    expect(killed.seen).not.toContain('resync');
    expect(revoked.seen.filter((text) => text.startsWith('notification'))).toEqual(['notification before']);
  });

  test('the eventsource package: a status of refusal ends it, with the code', async () => {
    const server = await serve('Express 5', { mayListen: (user) => user !== 'eve' });
    const { until, source } = eventSource(server, 'object=Order/1', 'eve');
    await until('error 403');
    expect(source.readyState).toBe(EventSource.CLOSED);
  });

  const curl = spawnSync('curl', ['--version'], { encoding: 'utf8' });
  test.for(SERVERS)('curl: %s', async (kind, { skip }) => {
    if (curl.status !== 0) skip('curl is not installed');
    if (speaksHttp2(kind) && !curl.stdout.includes('HTTP2')) skip('this curl does not speak HTTP/2');
    const server = await serve(kind);
    const child = spawn('curl', [
      '--silent',
      '--no-buffer',
      '--include',
      '--noproxy',
      '*',
      ...(speaksHttp2(kind) ? ['--http2-prior-knowledge'] : []),
      '--header',
      'x-user: ann',
      `${server.url}/stream?object=Order/42`,
    ]);
    onTestFinished(() => {
      child.kill();
    });
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
    });
    await vi.waitFor(() => expect(text).toContain('event: ready'));
    await server.notifier.notify('shipped', { entity: 'Order', id: 42 });
    await vi.waitFor(() => expect(text).toContain('"action":"shipped"'));
    await server.notifier.close({ within: 0 });
    const [code] = await once(child, 'exit');
    expect(code).toBe(0); // 18 would be a body that was cut off
    expect(text).toContain('event: goodbye');
  });
});
