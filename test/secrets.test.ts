/** No secret of the environment leaves the server: not in an answer to good or bad input, not in a log line, not in a bundle. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { root } from './kit/build.js';
import type { Sent } from './kit/http.js';
import type { As, TestServer } from './kit/server.js';
import { RIGHTS, serve } from './kit/server.js';

/** Unlikely texts, each long enough not to appear by chance in any encoding. */
const SECRETS = {
  NOTIFY_LISTEN_SECRET: 'first-signing-secret-Qw7Zk2,second-signing-secret-Lm9Xv4',
  PUSHER_SECRET: 'pusher-secret-Hd3Rt8Yp',
  ABLY_API_KEY: 'ably-app.ably-name:ably-secret-Bn5Fg1Js',
  DATABASE_URL: 'postgres://app:database-password-Vc6Tz0@db/app',
};
const words = [...SECRETS.NOTIFY_LISTEN_SECRET.split(','), ...Object.values(SECRETS).slice(1)];
words.push('ably-secret-Bn5Fg1Js', 'database-password-Vc6Tz0');

const encodings: readonly ((word: string) => string)[] = [
  (word) => word,
  encodeURIComponent,
  (word) => Buffer.from(word).toString('hex'),
  // Whatever stands before it in what was encoded: the middle of each of the three alignments.
  ...[0, 1, 2].map((shift) => (word: string) => {
    const encoded = Buffer.from('#'.repeat(shift) + word).toString('base64url');
    return encoded.slice(4, -4);
  }),
];

function secretsIn(text: string): string[] {
  const plain = text.replaceAll('+', '-').replaceAll('/', '_').toLowerCase();
  const normal = (needle: string): string => needle.replaceAll('+', '-').replaceAll('/', '_').toLowerCase();
  return words.filter((word) => encodings.some((encode) => plain.includes(normal(encode(word)))));
}

test('a secret is found in every guise', () => {
  const [word = ''] = words;
  const hidden = [word, encodeURIComponent(word), Buffer.from(word).toString('hex').toUpperCase()];
  const wrapped = [`x${word}`, `xy${word}y`, `{"secret":"${word}"}`].map((text) =>
    Buffer.from(text).toString('base64'),
  );
  for (const text of [...hidden, ...wrapped]) expect(secretsIn(`before ${text} after`), text).toEqual([word]);
  expect(secretsIn('nothing of the kind')).toEqual([]);
});

const ann: As = { user: 'ann', session: 's1' };
const objects = (...list: object[]) => ({ protocol: 1, objects: list });
const streamOf = (body: object) => ({ protocol: 1, wait: 'once', grants: [], channels: {}, own: null, ...body });

/** Good, wrong and hostile requests that have an end. */
const requests: readonly (Sent & As & { readonly path: string })[] = [
  { path: '/config?protocol=1', ...ann },
  { path: '/config?protocol=1' },
  { path: '/config?protocol=99', ...ann },
  { path: '/config?protocol=1', user: 'barred' },
  { path: '/config?protocol=1', user: 'broken' },
  { path: '/config', method: 'DELETE', ...ann },
  { path: '/config', method: 'OPTIONS', headers: { origin: 'https://evil.example' } },
  { path: '/config?protocol=1', ...ann, headers: { origin: 'https://evil.example' } },
  { path: '/health' },
  { path: '/nothing-here', ...ann },
  { path: '/env', ...ann },
  { path: '/%2e%2e/%2e%2e/proc/self/environ', ...ann },
  { path: '/auth', ...ann, body: objects({ entity: 'Order', id: '1' }, { entity: 'Order', id: 'hidden1' }) },
  { path: '/auth', ...ann, body: objects({ entity: 'Order', id: 'broken' }, { entity: 'Invoice', id: '1' }) },
  { path: '/auth', ...ann, body: objects({ entity: '', id: {} }) },
  { path: '/auth', ...ann, body: objects({ entity: '__proto__', id: 'constructor' }) },
  {
    path: '/auth',
    ...ann,
    body: objects(...Array.from({ length: 10_000 }, (_, id) => ({ entity: 'Order', id: `${id}` }))),
  },
  { path: '/auth', body: objects({ entity: 'Order', id: '1' }) },
  { path: '/auth', ...ann, body: '{', headers: { 'content-type': 'application/json' } },
  { path: '/auth', ...ann, body: 'null', headers: { 'content-type': 'application/json' } },
  { path: '/auth', ...ann, body: 'secret=1', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
  { path: '/auth', ...ann, body: 'x'.repeat(600_000), headers: { 'content-type': 'application/json' } },
  { path: '/stream', ...ann, body: streamOf({}) },
  { path: '/stream', ...ann, body: streamOf({ grants: ['x', 'a.b.c', ''], channels: { 'Order/1': 'x:1' } }) },
  { path: '/stream', ...ann, body: streamOf({ channels: { 'Order/1': null }, own: 'nowhere:99' }) },
  { path: '/stream', ...ann, body: streamOf({ grants: { length: 1 }, channels: [1, 2] }) },
  { path: '/stream', ...ann, body: streamOf({ protocol: 'x', wait: 'forever' }) },
  { path: '/stream?object=', ...ann },
  { path: '/stream?object=Order/1%0d%0aset-cookie:%20a=b', ...ann },
];

/** What the application says when it breaks: its own errors name what nobody else should read. */
function broken(): never {
  throw new Error(`cannot connect to ${SECRETS.DATABASE_URL} with ${SECRETS.NOTIFY_LISTEN_SECRET}`);
}

describe.each(['Express 5', 'node:http', 'fetch'] as const)('%s', (kind) => {
  async function start(lines: unknown[]): Promise<TestServer> {
    return serve(kind, {
      env: { ...SECRETS, NOTIFY_LISTEN_PROVIDER: 'sse' },
      logger: (line) => lines.push(line),
      user: (request) => {
        const user = request instanceof Request ? request.headers.get('x-user') : request.headers['x-user'];
        return user === 'broken' ? broken() : user;
      },
      mayListen: (user) => user !== 'barred',
      canListen: { ...RIGHTS, Order: { one: (_user, id) => (id === 'broken' ? broken() : !id.startsWith('hidden')) } },
    });
  }

  test('no answer holds a secret, whatever is asked', async () => {
    const lines: unknown[] = [];
    const server = await start(lines);
    const statuses = new Set<number>();
    for (const { path, ...sent } of requests) {
      const { status, headers, text } = await server.ask(path, sent);
      statuses.add(status);
      expect(secretsIn(JSON.stringify(headers) + text), `${sent.method ?? ''} ${path}`).toEqual([]);
    }
    // The list reaches every kind of answer.
    expect([...statuses]).toEqual(expect.arrayContaining([200, 400, 401, 403, 404, 405, 413, 415, 426, 503]));
    expect(secretsIn(JSON.stringify(lines))).toEqual([]);
  });

  test('no grant and no stream holds a secret', async () => {
    const lines: unknown[] = [];
    const server = await start(lines);
    const { grant = '' } = await server.authorise(ann, 'Order/1');
    expect(grant).not.toBe('');
    expect(secretsIn(grant)).toEqual([]);

    const mine = await server.listen(ann, ['Order/1']);
    const forged = await server.stream(ann, {
      wait: 'once',
      grants: [`${grant.slice(0, -2)}AA`],
      channels: { 'Order/1': null },
    });
    await mine.next('ready');
    await server.notifier.notify('updated', { entity: 'Order', id: 1 }, { notifier: 'Ben', detail: { step: 1 } });
    await mine.next('notification');
    await server.notifier.revoke('ann', { entity: 'Order', id: 1 });
    await mine.until(({ type }) => type === 'refused' || type === 'reauthorise');
    await server.notifier.close({ within: 0 });
    await mine.next('goodbye');

    let told = mine.raw() + JSON.stringify([mine.headers, forged.headers, lines]);
    for await (const chunk of forged.body) told += String(chunk);
    expect(secretsIn(told)).toEqual([]);
  });
});

test('no bundle holds a secret that was in the environment of its build', () => {
  const out = join(root, 'test/.cache/secrets');
  const demo = `import('./demo/vite.ts').then(({ buildPage }) => buildPage(${JSON.stringify(join(out, 'demo'))}))`;
  const builds = [
    ['node_modules/vite/bin/vite.js', 'build', '--emptyOutDir', '--outDir', join(out, 'package')],
    ['node_modules/tsx/dist/cli.mjs', '--eval', demo],
  ];
  for (const args of builds) {
    const env = { ...process.env, ...SECRETS, NODE_ENV: 'production' };
    const { status, stderr } = spawnSync(process.execPath, args, { cwd: root, env, encoding: 'utf8' });
    expect(status, stderr).toBe(0);
  }
  const files = readdirSync(out, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /\.(js|css|html|map)$/.test(file),
  );
  for (const part of ['package/widget/client/index.js', 'package/server/index.js', 'demo/index.html']) {
    expect(files.map((file) => file.replaceAll('\\', '/'))).toContain(part);
  }
  for (const file of files) expect(secretsIn(readFileSync(join(out, file), 'utf8')), file).toEqual([]);
});
