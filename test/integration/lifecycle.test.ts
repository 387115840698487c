/** The end of a server: goodbye, freed ports, a process that ends by itself, and no secret in any answer. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { createMemoryLog } from 'notify-listen/log/memory';
import { createNotifier, type LogLine } from 'notify-listen/server';
import { describe, expect, test, vi } from 'vitest';
import { readEvents } from '../kit/event-stream.js';
import { SECRET, SERVERS, serve } from '../kit/server.js';

const catchUp = { protocol: 1, wait: 'once', grants: [], channels: {}, own: null };

describe.each(SERVERS)('close(): %s', (kind) => {
  test('every stream gets goodbye with the window, behind what was notified before, and ends; polls are answered', async () => {
    const server = await serve(kind);
    const streams = [
      await server.listen({ user: 'ann' }, ['Order/42']),
      await server.listen({ user: 'bob' }, ['Order/42']),
      readEvents(await server.send('/stream?object=Order/42', { user: 'cid' })),
    ];
    await Promise.all(streams.map((stream) => stream.next('ready')));
    const polled = server.ask('/stream', { user: 'dan', body: { ...catchUp, wait: 'poll' } });
    await vi.waitFor(() => expect(server.notifier.metrics().connections).toBe(4));
    await server.notifier.notify('shipped', { entity: 'Order', id: 42 });
    await server.notifier.close({ within: 1_234 });
    for (const stream of streams) {
      expect((await stream.next('notification')).data.action).toBe('shipped');
      expect((await stream.next('goodbye')).data).toEqual({ within: 1_234 });
      expect(await stream.ended).toBe('ended');
    }
    const { events } = (await polled).json<{ events: object[] }>();
    expect(events.at(-1)).toEqual({ type: 'goodbye', within: 1_234 });
    expect(server.notifier.metrics().connections).toBe(0);
  });

  test('afterwards the service is not ready, new streams get 503, and the port is free again', async () => {
    const server = await serve(kind);
    await server.notifier.close();
    expect((await server.ask('/health')).status).toBe(503);
    for (const answer of [
      await server.ask('/stream', { user: 'ann', body: catchUp }),
      await server.ask('/stream?object=Order/42', { user: 'ann' }),
    ]) {
      expect(answer.status).toBe(503);
      expect(answer.headers['retry-after']).toBeDefined();
    }
    await server.close();
    const next = createServer();
    next.listen(server.port, '127.0.0.1');
    await once(next, 'listening');
    next.close();
  });

  test('a stream that was on its way is sent on at once', async () => {
    let answer: () => void = () => {};
    let arrived: () => void = () => {};
    const came = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const server = await serve(kind, {
      canListen: {
        Order: {
          one: () =>
            new Promise<boolean>((resolve) => {
              answer = () => resolve(true);
              arrived();
            }),
        },
      },
    });
    const stream = readEvents(await server.send('/stream?object=Order/42', { user: 'ann' }));
    await came;
    await server.notifier.close({ within: 7 });
    answer();
    expect((await stream.next('goodbye')).data).toEqual({ within: 7 });
    await stream.ended;
    expect(stream.events.map(({ type }) => type)).toEqual(['hello', 'goodbye']);
  });
});

test('closing twice is closing once; what is notified after it is not accepted, and breaks no business call', async () => {
  const server = await serve('Express 5');
  const [first, second] = [server.notifier.close(), server.notifier.close()];
  expect(first).toBe(second);
  await first;
  expect(await server.notifier.notify('updated', { entity: 'Order', id: 1 })).toEqual({ accepted: false });
});

test('a log that the application brought is left open', async () => {
  const log = createMemoryLog();
  const notifier = createNotifier({
    log,
    user: () => 'ann',
    canListen: {},
    env: { NOTIFY_LISTEN_SECRET: SECRET },
    logger: () => {},
  });
  await notifier.position();
  await notifier.close();
  expect(await log.append([{ kind: 'resync' }])).toHaveLength(1);
  await log.close();
});

test('the process ends by itself: nothing keeps it alive, not even a notifier that was never closed', async () => {
  const script = fileURLToPath(new URL('../fixtures/ends-by-itself.ts', import.meta.url));
  await Promise.all(
    ['closed', 'abandoned'].map(async (how) => {
      const child = spawn(process.execPath, ['--import', 'tsx', script, how], { stdio: ['ignore', 'pipe', 'pipe'] });
      let output = '';
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
      const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
      const [code, signal] = await once(child, 'exit');
      clearTimeout(late);
      expect([how, code, signal, output]).toEqual([how, 0, null, 'hello ready notification goodbye\n']);
    }),
  );
});

test('row 61: no answer, frame or log line holds a secret, a raw user id or a session name; row 73: settings are told once', async () => {
  const lines: LogLine[] = [];
  const server = await serve('Express 5', {
    logger: (line) => lines.push(line),
    env: { NOTIFY_LISTEN_SECRET: `${SECRET}, a second secret to change to`, NOTIFY_LISTEN_NAMESPACE: 'shop' },
  });
  const as = { user: 'ann-the-user', session: 'the-session-cookie' };
  const texts: string[] = [];
  for (const [path, sent] of [
    ['/config', {}],
    ['/auth', { body: { protocol: 1, objects: [{ entity: 'Order', id: '1' }, { entity: 'Nope' }] } }],
    ['/stream', { body: catchUp }],
    ['/health', {}],
    ['/stream?object=*', {}],
    ['/auth', { body: [] }],
  ] as const) {
    const answer = await server.ask(path, { ...as, ...sent });
    texts.push(JSON.stringify(answer.headers), answer.text);
    for (const part of answer.text.split(/[".]/)) texts.push(Buffer.from(part, 'base64url').toString());
  }
  const stream = await server.listen(as, ['Order/1']);
  await stream.next('ready');
  await server.notifier.notify(
    'shipped',
    { entity: 'Order', id: 1 },
    { to: { users: [as.user], sessions: [as.session] }, except: { users: ['bob-the-user'] } },
  );
  await stream.next('notification');
  texts.push(stream.raw(), JSON.stringify(lines.filter(({ level }) => level !== 'debug')));
  for (const text of texts) {
    expect(text).not.toMatch(/the secret of the integration tests|a second secret/);
    expect(text).not.toMatch(/ann-the-user|bob-the-user|the-session-cookie/);
  }
  const starts = lines.filter(({ message }) => message === 'notify-listen starts');
  expect(starts).toEqual([
    expect.objectContaining({
      level: 'info',
      provider: 'sse',
      namespace: 'shop',
      secrets: 2,
      heartbeat: 15_000,
      retention: 420_000,
    }),
  ]);
});
