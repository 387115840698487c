/** What a hostile client or page may send: never a 5xx that it caused, never a trace of the inside, never a broken process. */
import { createConnection } from 'node:net';
import type { LogLine } from 'notify-listen/server';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { readEvents } from '../kit/event-stream.js';
import { SERVERS, serve, type TestServer } from '../kit/server.js';

const rejections: unknown[] = [];
const note = (error: unknown): void => {
  rejections.push(error);
};
beforeAll(() => {
  process.on('unhandledRejection', note);
});
afterAll(() => {
  process.off('unhandledRejection', note);
  expect(rejections).toEqual([]);
});

const stream = { protocol: 1, wait: 'once', grants: [], channels: {}, own: null };
const auth = { protocol: 1, objects: [{ entity: 'Order', id: '1' }] };
const deep = (depth: number, open: string, close: string): string => open.repeat(depth) + close.repeat(depth);

const BODIES: readonly (readonly [string, '/auth' | '/stream', string | object, number])[] = [
  ['no body', '/auth', '', 400],
  ['broken JSON', '/auth', '{"protocol":1,', 400],
  ['an array', '/auth', [auth], 400],
  ['null', '/auth', 'null', 400],
  ['a number', '/stream', '1', 400],
  ['text', '/stream', '"text"', 400],
  ['half a surrogate', '/auth', '{"protocol":1,"objects":[{"entity":"\\ud800"}]}', 400],
  ['no protocol', '/auth', {}, 400],
  ['protocol 0', '/auth', { ...auth, protocol: 0 }, 426],
  ['protocol 2', '/stream', { ...stream, protocol: 2 }, 426],
  ['protocol as text', '/stream', { ...stream, protocol: '1' }, 400],
  ['protocol 1e999', '/stream', '{"protocol":1e999}', 426],
  ['no objects', '/auth', { protocol: 1 }, 400],
  ['empty objects', '/auth', { protocol: 1, objects: [] }, 400],
  ['objects as an object', '/auth', { protocol: 1, objects: { length: 1 } }, 400],
  ['objects of null', '/auth', { protocol: 1, objects: [null] }, 400],
  ['objects of text', '/auth', { protocol: 1, objects: ['Order/1'] }, 400],
  ['entity as a number', '/auth', { protocol: 1, objects: [{ entity: 1 }] }, 400],
  ['empty entity', '/auth', { protocol: 1, objects: [{ entity: '' }] }, 400],
  ['id null', '/auth', { protocol: 1, objects: [{ entity: 'Order', id: null }] }, 400],
  ['id as an object', '/auth', { protocol: 1, objects: [{ entity: 'Order', id: {} }] }, 400],
  ['id too long', '/auth', { protocol: 1, objects: [{ entity: 'Order', id: 'x'.repeat(301) }] }, 400],
  ['10,000 objects', '/auth', { protocol: 1, objects: Array.from({ length: 10_000 }, () => ({ entity: 'O' })) }, 413],
  ['deep nesting', '/auth', `{"protocol":1,"objects":${deep(100_000, '[', ']')}}`, 400],
  [
    'deep objects',
    '/auth',
    `{"protocol":1,"objects":[{"entity":${deep(20_000, '{"a":', '}').replace(':}', ':1}')}}]}`,
    400,
  ],
  [
    'deep position',
    '/stream',
    `{"protocol":1,"wait":"once","grants":[],"channels":{"a":${deep(100_000, '[', ']')}},"own":null}`,
    400,
  ],
  [
    'deep own',
    '/stream',
    `{"protocol":1,"wait":"once","grants":[],"channels":{},"own":${deep(100_000, '[', ']')}}`,
    400,
  ],
  ['no wait', '/stream', { ...stream, wait: undefined }, 400],
  ['wait of a prototype', '/stream', { ...stream, wait: '__proto__' }, 400],
  ['grants as text', '/stream', { ...stream, grants: 'x' }, 400],
  ['grants of numbers', '/stream', { ...stream, grants: [1] }, 400],
  ['100,000 grants', '/stream', { ...stream, grants: Array.from({ length: 100_000 }, () => '') }, 400],
  ['channels as an array', '/stream', { ...stream, channels: ['Order/1'] }, 400],
  ['channels as a number', '/stream', { ...stream, channels: 7 }, 400],
  ['channels null', '/stream', { ...stream, channels: null }, 400],
  [
    '10,000 channels',
    '/stream',
    { ...stream, channels: Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`Order/${n}`, null])) },
    413,
  ],
  ['position as a number', '/stream', { ...stream, channels: { 'Order/1': 7 } }, 400],
  ['position without an epoch', '/stream', { ...stream, channels: { 'Order/1': '7' } }, 400],
  ['position with a minus', '/stream', { ...stream, channels: { 'Order/1': 'e:-7' } }, 400],
  ['position with 33 digits', '/stream', { ...stream, channels: { 'Order/1': `e:${'9'.repeat(33)}` } }, 400],
  ['position with a line break', '/stream', { ...stream, channels: { 'Order/1': 'e:7\nid: 1' } }, 400],
  ['own as a position of another kind', '/stream', { ...stream, own: true }, 400],
  ['unknown keys', '/stream', { ...stream, more: 'of a later version' }, 200],
  [
    '__proto__ as a channel',
    '/stream',
    '{"protocol":1,"wait":"once","grants":[],"channels":{"__proto__":null,"constructor":null},"own":null}',
    200,
  ],
  [
    '__proto__ as the body',
    '/stream',
    '{"__proto__":{"protocol":1,"wait":"once","grants":[],"channels":{},"own":null}}',
    400,
  ],
  ['a huge position', '/stream', { ...stream, channels: { 'Order/1': `${'e'.repeat(40)}:${'9'.repeat(32)}` } }, 200],
  ['a huge grant', '/stream', { ...stream, grants: ['x'.repeat(400_000)] }, 200],
  ['a grant of dots', '/stream', { ...stream, grants: ['.'.repeat(100_000)] }, 200],
];

describe.each(SERVERS)('hostile bodies: %s', (kind) => {
  test('each gets its status and a typed error, and the server goes on', async () => {
    const server = await serve(kind);
    for (const [what, path, body, status] of BODIES) {
      const sent = typeof body === 'string' ? body : JSON.stringify(body);
      const answer = await server.ask(path, {
        method: 'POST',
        user: 'ann',
        body: sent,
        headers: { 'content-type': 'application/json' },
      });
      expect([what, answer.status, answer.status === 200 || answer.json()]).toEqual([
        what,
        status,
        status === 200 || { error: { code: expect.stringMatching(/^[a-z-]+$/), message: expect.any(String) } },
      ]);
      expect(answer.text.length).toBeLessThan(2_000);
      expect(answer.text).not.toMatch(/\bat .*:\d+|node_modules|\.ts\b|SyntaxError|RangeError/);
    }
    expect(server.errors).toEqual([]);
    expect(server.notifier.metrics().connections).toBe(0);
    expect((await server.ask('/config', { user: 'ann' })).status).toBe(200);
  });

  test('a body that is not JSON by its type is refused: a foreign form could send it unasked', async () => {
    const server = await serve(kind);
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', '']) {
      const answer = await server.ask('/auth', {
        user: 'ann',
        body: JSON.stringify(auth),
        headers: { 'content-type': type },
      });
      expect([type, answer.status, answer.json()]).toMatchObject([type, 415, { error: { code: 'invalid' } }]);
    }
  });

  test('hostile queries of GET /stream and GET /config', async () => {
    const server = await serve(kind);
    for (const [query, status] of [
      ['object=', 400],
      ['object=Order/1/2', 400],
      ['object=%0d%0aX-Evil:%201', 400],
      ['object=Order/%25', 400],
      ['object=Order/%2541', 400],
      ['object=%FF', 400],
      ['object=Order%2F*', 400],
      [`object=${'x'.repeat(301)}`, 400],
      [Array.from({ length: 1_001 }, () => 'object=O').join('&'), 413],
      ['object=Order&protocol=2', 426],
      ['object=Order&protocol=x', 426],
    ] as const) {
      const answer = await server.ask(`/stream?${query}`, { user: 'ann' });
      expect([query.slice(0, 40), answer.status]).toEqual([query.slice(0, 40), status]);
      expect(Object.keys(answer.headers)).not.toContain('x-evil');
      expect(answer.json()).toMatchObject({ error: { code: expect.any(String) } });
    }
    expect((await server.ask('/config?protocol=99', { user: 'ann' })).json()).toMatchObject({
      error: { code: 'upgrade' },
    });
    expect(server.errors).toEqual([]);
  });

  test('a body over the limit: 413 while it is still being sent, and the server goes on', async () => {
    const server = await serve(kind, { limits: { bodyBytes: 1_000 } });
    const answer = await server.ask('/auth', {
      user: 'ann',
      body: JSON.stringify({ ...auth, padding: 'x'.repeat(3_000_000) }),
      headers: { 'content-type': 'application/json' },
    });
    expect(answer.status).toBe(413);
    expect(answer.json()).toMatchObject({ error: { code: 'too-large' } });
    expect((await server.ask('/config', { user: 'ann' })).status).toBe(200);
  });

  test('names with line breaks, NUL, markup and what else never appear raw in a frame or a header', async () => {
    const evil = '\r\nid: 1\n\ndata: evil\r\n\0\u2028\u0085<script>"\\';
    const server = await serve(kind, { canListen: { [evil]: { one: () => true, all: () => true } } });
    const object = encodeURIComponent(`${encodeURIComponent(evil)}/${encodeURIComponent(evil)}`);
    const listening = readEvents(
      await server.send(`/stream?object=${object}&lastEventId=${encodeURIComponent(evil)}`, {
        user: evil.trim() && 'ann',
      }),
    );
    await listening.next('ready');
    await server.notifier.notify(evil, { entity: evil, id: evil }, { notifier: evil, detail: { [evil]: evil } });
    const { data, id } = await listening.next('notification');
    expect(data).toMatchObject({ entity: evil, id: evil, action: evil, notifier: evil, detail: { [evil]: evil } });
    expect(id).toBe(data.position);
    for (const line of listening.raw().split('\n'))
      expect(line).toMatch(/^(retry: \d+|id: [\w:-]+|event: \w+|data: \{[^\r\0]*\}|)$/);
    expect(listening.raw()).not.toMatch(/[\r\0]/);
  });
});

test('413 over a kept connection: the rest of the body is read, and the connection takes the next request', async () => {
  const server = await serve('node:http', { limits: { bodyBytes: 1_000 } });
  const socket = createConnection(server.port, '127.0.0.1');
  onTestFinished(() => {
    socket.destroy();
  });
  let received = '';
  let wake: () => void = () => {};
  socket.on('data', (chunk) => {
    received += chunk;
    wake();
  });
  const until = async (text: string): Promise<void> => {
    while (!received.includes(text)) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  const head = `Host: 127.0.0.1:${server.port}\r\nx-user: ann\r\n`;
  socket.write(
    `POST /notify-listen/auth HTTP/1.1\r\n${head}Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n`,
  );
  socket.write('x'.repeat(50_000));
  await until('413 '); // the second half was not sent yet
  socket.write('x'.repeat(50_000));
  socket.write(`GET /notify-listen/config HTTP/1.1\r\n${head}\r\n`);
  await until('"epoch"');
  expect(received.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 413', 'HTTP/1.1 200']);
});

test.each(['node:http', 'fetch'] as const)('a body that is cut off leaves nothing behind: %s', async (kind) => {
  const server = await serve(kind);
  const socket = createConnection(server.port, '127.0.0.1');
  const asked = new Promise((resolve) => server.server.once('request', resolve));
  socket.write(
    `POST /notify-listen/stream HTTP/1.1\r\nHost: x\r\nx-user: ann\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{`,
  );
  await asked;
  socket.destroy();
  expect((await server.ask('/config', { user: 'ann' })).status).toBe(200);
  expect(server.errors).toEqual([]);
  expect(server.notifier.metrics().connections).toBe(0);
});

describe('row 62: pages of other origins', () => {
  async function statuses(server: TestServer, headers: Record<string, string>): Promise<number[]> {
    const answers = await Promise.all([
      server.ask('/config', { user: 'ann', headers }),
      server.ask('/auth', { user: 'ann', headers, body: auth }),
      server.ask('/stream', { user: 'ann', headers, body: stream }),
      server.send('/stream?object=Order/1', { user: 'ann', headers }),
    ]);
    (answers[3] as { cut(): void }).cut();
    return answers.map(({ status }) => status);
  }
  const refused = [403, 403, 403, 403];
  const served = [200, 200, 200, 200];

  test('the log names a foreign origin once, since its page may not read why', async () => {
    const lines: LogLine[] = [];
    const server = await serve('node:http', { logger: (line) => lines.push(line) });
    for (const origin of ['https://a.example', 'https://a.example', 'https://b.example'])
      await server.ask('/config', { user: 'ann', headers: { origin } });
    const told = lines.filter(({ message }) => message.includes('another origin'));
    expect(told.map(({ level, origin }) => [level, origin])).toEqual([
      ['warn', 'https://a.example'],
      ['warn', 'https://b.example'],
    ]);
  });

  test.each(SERVERS)(
    'a foreign origin is refused on GET and POST, and its answer may not be read: %s',
    async (kind) => {
      const server = await serve(kind, { env: { NODE_ENV: 'production', NOTIFY_LISTEN_SECRET: 'x'.repeat(32) } });
      for (const origin of [
        'https://evil.example',
        'null',
        'http://127.0.0.1',
        `https://127.0.0.1.evil.example:${server.port}`,
        'x',
      ]) {
        expect([origin, await statuses(server, { origin })]).toEqual([origin, refused]);
      }
      const answer = await server.ask('/auth', {
        user: 'ann',
        headers: { origin: 'https://evil.example' },
        body: auth,
      });
      expect(answer.json()).toMatchObject({ error: { code: 'origin' } });
      expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
      // Without an origin, but told by the browser to come from elsewhere: an image, a frame, a form of old.
      for (const site of ['cross-site', 'same-site', 'anything'])
        expect(await statuses(server, { 'sec-fetch-site': site })).toEqual(refused);
      for (const site of ['same-origin', 'none'])
        expect(await statuses(server, { 'sec-fetch-site': site })).toEqual(served);
      expect(await statuses(server, { origin: `http://127.0.0.1:${server.port}` })).toEqual(served);
      expect(server.errors).toEqual([]);
    },
  );

  test.each(SERVERS)('behind proxies the first X-Forwarded-Host is the site: %s', async (kind) => {
    const server = await serve(kind, { env: { NODE_ENV: 'production', NOTIFY_LISTEN_SECRET: 'x'.repeat(32) } });
    const origin = 'https://app.example';
    expect(await statuses(server, { origin })).toEqual(refused);
    for (const forwarded of ['app.example', 'APP.example', 'app.example:443', 'app.example, inner.local']) {
      expect([forwarded, await statuses(server, { origin, 'x-forwarded-host': forwarded })]).toEqual([
        forwarded,
        served,
      ]);
    }
    for (const forwarded of ['inner.local, app.example', 'app.example.evil', 'app.example:444', '', ' '])
      expect([forwarded, await statuses(server, { origin, 'x-forwarded-host': forwarded })]).toEqual([
        forwarded,
        refused,
      ]);
  });

  test.each(SERVERS)('a named origin is served with credentials, and its preflight answered: %s', async (kind) => {
    const origin = 'https://app.example';
    const server = await serve(kind, { origins: [origin] });
    expect(await statuses(server, { origin })).toEqual(served);
    const cors = {
      'access-control-allow-origin': origin,
      'access-control-allow-credentials': 'true',
      vary: 'Origin',
    };
    expect((await server.ask('/config', { user: 'ann', headers: { origin } })).headers).toMatchObject(cors);
    // Errors too, or the page could not tell why.
    const nobody = await server.ask('/config', { headers: { origin } });
    expect([nobody.status, nobody.headers]).toMatchObject([401, cors]);
    const opened = readEvents(await server.send('/stream?object=Order/1', { user: 'ann', headers: { origin } }));
    expect(opened.headers).toMatchObject(cors);
    const preflight = await server.ask('/stream', {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type,authorization',
      },
    });
    expect([preflight.status, preflight.text]).toEqual([204, '']);
    expect(preflight.headers).toMatchObject({
      ...cors,
      'access-control-allow-methods': 'GET, POST, OPTIONS',
      'access-control-allow-headers': 'content-type,authorization',
    });
    const foreign = await server.ask('/stream', { method: 'OPTIONS', headers: { origin: 'https://evil.example' } });
    expect(Object.keys(foreign.headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
  });
});

describe('limits of one user', () => {
  test('connections: 429 with Retry-After beyond the limit, freed when one closes; others are not concerned', async () => {
    const server = await serve('Express 5', { limits: { connectionsPerUser: 2 } });
    const [first] = [await server.listen({ user: 'ann' }, []), await server.listen({ user: 'ann' }, [])];
    for (const reply of [
      await server.stream({ user: 'ann' }, {}),
      await server.stream({ user: 'ann' }, { wait: 'once' }),
      await server.send('/stream?object=Order/1', { user: 'ann' }),
    ]) {
      expect([reply.status, reply.headers['retry-after']]).toEqual([429, '5']);
      reply.cut();
    }
    await server.listen({ user: 'bob' }, []);
    first.dispose();
    await expect.poll(() => server.notifier.metrics().connections).toBe(2);
    await server.listen({ user: 'ann' }, []);
  });

  test('row 55: a client that opens streams in a loop is slowed down, never cut off for good', async () => {
    const server = await serve('Express 5', { limits: { openingsBurst: 3, openingsPerSecond: 20 } });
    const open = async (): Promise<[number, string | undefined]> => {
      const reply = await server.stream({ user: 'ann' }, {});
      reply.cut();
      return [reply.status, reply.headers['retry-after']];
    };
    // On a machine that is busy enough the loop would be slow enough.
    const stopped = vi.spyOn(performance, 'now').mockReturnValue(performance.now());
    for (let n = 0; n < 3; n += 1) expect((await open())[0]).toBe(200);
    for (let n = 0; n < 10; n += 1) expect(await open()).toEqual([429, '1']);
    stopped.mockRestore();
    // A standard EventSource would take a status for the end: it waits, and is served.
    const start = performance.now();
    const standard = readEvents(await server.send('/stream?object=Order/1', { user: 'ann' }));
    await standard.next('ready');
    expect(performance.now() - start).toBeGreaterThan(20);
    await expect.poll(async () => (await open())[0], { interval: 100 }).toBe(200);
  });

  test('channels of one connection', async () => {
    const server = await serve('Express 5', { limits: { channelsPerConnection: 2 } });
    const channels = { 'Order/1': null, 'Order/2': null, 'Order/3': null };
    for (const answer of [
      await server.ask('/stream', { user: 'ann', body: { ...stream, channels } }),
      await server.ask('/stream?object=Order/1&object=Order/2&object=Order/3', { user: 'ann' }),
      await server.ask('/auth', {
        user: 'ann',
        body: { protocol: 1, objects: [auth, auth, auth].flatMap((a) => a.objects) },
      }),
    ]) {
      expect([answer.status, answer.json()]).toMatchObject([413, { error: { code: 'too-large' } }]);
    }
  });
});
