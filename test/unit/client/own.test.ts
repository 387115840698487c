/** Own changes: who learns the secret, and what happens to the echo. */
import { createHash } from 'node:crypto';
import { afterEach, expect, test, vi } from 'vitest';
import { CAUSE_HEADER } from '../../../adapters/protocol.js';
import { LONGEST_HOLD } from '../../../widget/client/own.js';
import { createBench } from '../../kit/client.js';

afterEach(() => {
  vi.unstubAllGlobals();
});

const order = { entity: 'Order', id: 42 };

/** A client whose own requests go to `answer`; the secret of the last one is kept. */
async function bench(answer: () => Promise<Response>, page: string | undefined = 'https://shop.example/orders/42') {
  if (page) vi.stubGlobal('location', { href: page });
  const made = createBench({ url: 'https://api.example/notify-listen' });
  const { network: fetch } = made.world;
  const sent: { url: string; secret: string | null; headers: Headers }[] = [];
  made.world.network = (input, init) => {
    const url = input instanceof Request ? input.url : String(input);
    if (url.includes('/notify-listen/')) return fetch(input, init);
    const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined));
    sent.push({ url, secret: headers.get(CAUSE_HEADER), headers });
    return answer();
  };
  const [ignoring, all] = [made.recorder(), made.recorder()];
  made.client.listen(order, { updated: ignoring }, { loadedAt: made.world.now(), ignoreOwn: true });
  made.client.listen(order, { updated: all }, { loadedAt: made.world.now() });
  await made.world.until(() => made.client.status().state === 'connected');
  let offset = 10;
  const echo = (cause: string | undefined, spread = 0) => {
    offset += 1;
    made.server.streams[0]?.notify({
      id: '42',
      position: `e1:${offset}`,
      ...(cause !== undefined && { cause }),
      ...(spread && { spread }),
    });
  };
  const cause = () =>
    createHash('sha256')
      .update(sent.at(-1)?.secret ?? '')
      .digest('hex');
  return { ...made, sent, ignoring, all, echo, cause };
}

test('the echo is held until the request settles: success skips it', async () => {
  let settle: (response: Response) => void = () => {};
  const made = await bench(
    () =>
      new Promise((resolve) => {
        settle = resolve;
      }),
  );
  void made.client.fetch('/orders/42/ship', { method: 'POST', headers: { 'x-own': '1' } });
  await made.world.until(() => made.sent.length === 1);
  expect(made.sent[0]?.headers.get('x-own')).toBe('1');
  made.echo(made.cause(), 60_000);
  await made.world.advance(5_000);
  expect(made.ignoring.runs).toHaveLength(0);
  // Its own page does not wait for the spread.
  expect(made.all.runs).toHaveLength(1);
  settle(new Response(null, { status: 204 }));
  await made.world.advance(60_000);
  expect(made.ignoring.runs).toHaveLength(0);
  expect(made.traces.map(({ fate }) => fate)).toContain('own');
});

test.each<[string, () => Promise<Response>]>([
  ['fails', () => Promise.resolve(new Response(null, { status: 409 }))],
  ['has no answer', () => Promise.reject(new TypeError('offline'))],
  ['does not settle within 10 s', () => new Promise(() => {})],
])('a request that %s: the echo runs', async (_name, answer) => {
  const made = await bench(answer);
  made.client.fetch('/orders/42/ship').catch(() => {});
  await made.world.until(() => made.sent.length === 1);
  made.echo(made.cause());
  await made.world.advance(LONGEST_HOLD + 100);
  expect(made.ignoring.runs).toHaveLength(1);
});

test("nobody else's cause skips anything: the hash alone does not help, and the secret itself is no cause", async () => {
  const made = await bench(() => Promise.resolve(new Response()));
  await made.client.fetch('/x');
  for (const cause of [undefined, 'a'.repeat(64), made.sent[0]?.secret ?? '']) {
    made.echo(cause);
    await made.world.advance(1_000);
  }
  expect(made.ignoring.runs).toHaveLength(3);
});

test('a listener that closes while its echo is held does not run', async () => {
  const made = await bench(() => new Promise(() => {}));
  void made.client.fetch('/x');
  await made.world.until(() => made.sent.length === 1);
  made.echo(made.cause());
  made.client.close();
  await made.world.advance(60_000);
  expect(made.ignoring.runs).toHaveLength(0);
});

test('the secret goes to the page and to the server that is listened to, and to nobody else; each request has its own', async () => {
  const made = await bench(() => Promise.resolve(new Response()));
  await made.client.fetch('/orders');
  await made.client.fetch(new URL('https://api.example/orders'));
  await made.client.fetch(new Request('https://shop.example/x', { headers: { a: 'b' } }));
  await made.client.fetch('https://tracker.example/collect');
  await made.client.fetch('https://shop.example.evil.example/');
  await made.client.fetch('http://[');
  const secrets = made.sent.map(({ secret }) => secret !== null);
  expect(secrets).toEqual([true, true, true, false, false, false]);
  expect(made.sent[2]?.headers.get('a')).toBe('b');
  expect(new Set(made.sent.slice(0, 3).map(({ secret }) => secret)).size).toBe(3);
});

test('without a secure context there is no digest: the request goes unmarked, and its echo runs', async () => {
  const made = await bench(() => Promise.resolve(new Response()));
  vi.stubGlobal('crypto', { getRandomValues: (bytes: Uint8Array) => bytes });
  expect((await made.client.fetch('/orders')).ok).toBe(true);
  expect(made.sent[0]?.secret).toBeNull();
  made.echo(undefined);
  await made.world.advance(1_000);
  expect(made.ignoring.runs).toHaveLength(1);
});
