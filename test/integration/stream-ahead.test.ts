/** `/stream` taken from the server before its framework sees the request: docs/deploying.md, "Ahead of the framework". */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, request as overHttp } from 'node:http';
import { createServer as createSecureServer, request as overHttps } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express from 'express';
import express4 from 'express-4';
import { routes, streamAhead } from 'notify-listen/server/express';
import { streamAhead as fromNode, nodeListener } from 'notify-listen/server/node';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { readEvents } from '../kit/event-stream.js';
import type { Sent } from '../kit/http.js';
import {
  type As,
  SERVERS,
  type ServeOptions,
  type ServerKind,
  serve,
  speaksHttp2,
  type TestServer,
} from '../kit/server.js';

/** A server whose streams are served ahead, and the paths of what its framework saw. */
async function serveAhead(kind: ServerKind, options: ServeOptions = {}): Promise<TestServer & { seen: string[] }> {
  const server = await serve(kind, options);
  const seen: string[] = [];
  streamAhead(server.server, server.notifier);
  // Even a listener that is added later. Ahead of Express, which changes the URL.
  server.server.prependListener('request', (request: IncomingMessage) => seen.push(request.url ?? ''));
  return { ...server, seen };
}

describe.each(SERVERS)('%s', (kind) => {
  test('streams, polls and catch-up reads never reach the framework, everything else does', async () => {
    const server = await serveAhead(kind);
    const stream = await server.listen({ user: 'ann' }, ['Order/42']);
    expect((await stream.next()).type).toBe('hello');
    expect((await stream.next()).type).toBe('ready');
    await server.notifier.notify('shipped', { entity: 'Order', id: 42 });
    expect(await stream.next()).toMatchObject({ type: 'notification', data: { id: '42', action: 'shipped' } });

    const source = readEvents(await server.send('/stream?object=Order/42', { user: 'ann' }));
    await source.next('ready');
    const once = await server.ask('/stream', {
      user: 'ann',
      body: { protocol: 1, wait: 'once', grants: [], channels: {}, own: null },
    });
    expect(once.json<{ events: unknown[] }>().events).toHaveLength(2);

    expect((await server.ask('/config', { user: 'ann' })).status).toBe(200);
    for (const path of ['/../other', '/stream/', '/streams', '/../stream'])
      expect([path, (await server.ask(path, { user: 'ann' })).text]).toEqual([path, 'not a route']);
    expect(server.seen.filter((url) => /\/stream(\?|$)/.test(url))).toEqual(['/stream']);
    expect(server.seen).toContain('/notify-listen/auth');
    expect(server.notifier.metrics().connections).toBe(2);
    stream.dispose();
    source.dispose();
    await expect.poll(() => server.notifier.metrics().connections).toBe(0);
  });

  const large = { protocol: 1, wait: 'stream', grants: ['x'.repeat(2_000)], channels: {}, own: null };
  const good = { ...large, grants: [] };
  const cases: readonly [string, Sent & As, number][] = [
    ['nobody is logged in', { body: good }, 401],
    ['a wrong method', { user: 'ann', method: 'DELETE', headers: { 'content-length': '0' } }, 405],
    ['no JSON', { user: 'ann', body: '{', headers: { 'content-type': 'application/json' } }, 400],
    ['no content type', { user: 'ann', body: '{}' }, 415],
    ['another protocol', { user: 'ann', body: { ...good, protocol: 99 } }, 426],
    ['no channels', { user: 'ann', body: { ...good, channels: null } }, 400],
    ['a large body', { user: 'ann', body: large }, 413],
    ['another origin', { user: 'ann', body: good, headers: { origin: 'https://evil.example' } }, 403],
    ['a preflight', { method: 'OPTIONS', headers: { origin: 'https://app.example' } }, 204],
    ['a named origin', { body: good, headers: { origin: 'https://app.example' } }, 401],
  ];
  test.each(cases)('answers as through the framework: %s', async (_, sent, status) => {
    const options = { origins: ['https://app.example'], limits: { bodyBytes: 1_000 } };
    const [through, ahead] = await Promise.all([serve(kind, options), serveAhead(kind, options)]);
    const [expected, answer] = await Promise.all([through.ask('/stream', sent), ahead.ask('/stream', sent)]);
    expect(answer.status).toBe(status);
    expect(answer.text).toBe(expected.text);
    const { date: _date, 'x-powered-by': _by, ...headers } = expected.headers;
    expect({ ...answer.headers, date: undefined }).toEqual({ ...headers, date: undefined });
    expect(ahead.seen).toEqual([]);
  });

  test('a right that no grant shows is asked for again, and a node that goes away says so', async () => {
    const server = await serveAhead(kind);
    const stream = readEvents(
      await server.stream({ user: 'ann' }, { grants: ['forged.grant'], channels: { 'Order/1': null } }),
    );
    expect(await stream.next('reauthorise')).toMatchObject({ data: { channels: ['Order/1'] } });
    const closed = server.notifier.close({ within: 0 });
    expect((await stream.next('goodbye')).data.within).toBe(0);
    await closed;
    const answer = await server.ask('/stream', { user: 'ann', body: good });
    expect(answer.status).toBe(503);
    if (!speaksHttp2(kind) && kind !== 'fetch') expect(answer.headers.connection).toBe('close');
  });
});

describe.each([
  ['Express 5', express],
  ['Express 4', express4],
] as const)('%s', (kind, create) => {
  test('no middleware runs for a stream; what app.listen() returns is taken', async () => {
    const { notifier } = await serve(kind);
    const middleware = vi.fn((_request, _response, next) => next());
    const app = create();
    app.use(middleware, create.json());
    app.use('/live', routes(notifier));
    app.get('/page', (_request, response) => void response.send('page'));
    const server = app.listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    streamAhead(server, notifier, { base: '/live' });
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

    const headers = { 'x-user': 'ann', 'content-type': 'application/json' };
    const asking = JSON.stringify({ protocol: 1, objects: [{ entity: 'Order', id: '1' }] });
    const authorised = await fetch(`${url}/live/auth`, { method: 'POST', headers, body: asking });
    const { grant } = (await authorised.json()) as { grant: string };
    expect(middleware).toHaveBeenCalledOnce();
    const body = JSON.stringify({
      protocol: 1,
      wait: 'poll',
      grants: [grant],
      channels: { 'Order/1': null },
      own: null,
    });
    const polled = fetch(`${url}/live/stream`, { method: 'POST', headers, body });
    await expect.poll(() => notifier.metrics().connections).toBe(1);
    await notifier.notify('shipped', { entity: 'Order', id: 1 });
    expect(await (await polled).text()).toContain('"action":"shipped"');
    expect(middleware).toHaveBeenCalledOnce();
    expect(await (await fetch(`${url}/page`)).text()).toBe('page');
    expect(middleware).toHaveBeenCalledTimes(2);
  });
});

describe('one server', () => {
  /** A plain server that answers `framework`, and asks it over real HTTP. */
  async function plain(): Promise<{ server: ReturnType<typeof createServer>; ask(path: string): Promise<string> }> {
    const server = createServer((_request, response) => response.end('framework'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    return {
      server,
      async ask(path) {
        const request = overHttp({ port, path, headers: { 'x-user': 'ann' }, agent: false }).end();
        const [response] = (await once(request, 'response')) as [IncomingMessage];
        const [first] = (await once(response, 'data')) as [Buffer];
        request.destroy();
        return first.toString();
      },
    };
  }

  test('serves several notifiers, each on its own path, and gives a route back', async () => {
    const [ann, bob] = await Promise.all([
      serve('node:http', { heartbeat: 11_111 }),
      serve('node:http', { heartbeat: 22_222 }),
    ]);
    const { server, ask } = await plain();
    const stop = streamAhead(server, ann.notifier, { base: '/ann' });
    fromNode(server, bob.notifier, { base: '/bob' });
    expect(await ask('/ann/stream?object=Order/1')).toContain('"heartbeat":11111');
    expect(await ask('/bob/stream?object=Order/1')).toContain('"heartbeat":22222');
    expect(await ask('/notify-listen/stream')).toBe('framework');
    stop();
    expect(await ask('/ann/stream?object=Order/1')).toBe('framework');
    expect(await ask('/bob/stream?object=Order/1')).toContain('"heartbeat":22222');
    streamAhead(server, ann.notifier, { base: '/ann' });
    stop(); // once only
    expect(await ask('/ann/stream?object=Order/1')).toContain('"heartbeat":11111');
  });

  test('refuses a path that is taken, and what is no notifier', async () => {
    const { notifier } = await serve('node:http');
    const server = createServer();
    const stop = streamAhead(server, notifier);
    expect(() => streamAhead(server, notifier)).toThrow('/notify-listen/stream of this server is taken already');
    expect(() => streamAhead(createServer(), {} as never)).toThrow(TypeError);
    stop();
    expect(() => streamAhead(server, notifier)).not.toThrow();
  });

  test('leaves upgrades alone, on its own path too', async () => {
    const { notifier } = await serve('node:http');
    const { server } = await plain();
    streamAhead(server, notifier);
    server.on('upgrade', (_request, socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n'));
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    socket.write('GET /notify-listen/stream HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1.1 101/);
    socket.destroy();
  });

  test('over HTTPS', async ({ skip }) => {
    const folder = mkdtempSync(join(tmpdir(), 'notify-listen-tls-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const [key, cert] = ['key.pem', 'cert.pem'].map((name) => join(folder, name)) as [string, string];
    const subject = ['-subj', '/CN=localhost', '-days', '1', '-nodes'];
    try {
      const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
      execFileSync('openssl', ['req', '-x509', ...curve, ...subject, '-keyout', key, '-out', cert], {
        stdio: 'ignore',
      });
    } catch {
      skip('openssl is not installed');
    }
    const { notifier } = await serve('node:http');
    const framework = vi.fn(nodeListener(notifier));
    const server = createSecureServer({ key: readFileSync(key), cert: readFileSync(cert) }, framework);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    streamAhead(server, notifier);
    const request = overHttps({
      port: (server.address() as AddressInfo).port,
      path: '/notify-listen/stream?object=Order/1',
      headers: { 'x-user': 'ann' },
      rejectUnauthorized: false,
      agent: false,
    }).end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    expect(response.statusCode).toBe(200);
    expect(String((await once(response, 'data'))[0])).toContain('event: hello');
    expect(framework).not.toHaveBeenCalled();
    request.destroy();
  });
});
