/** `/auth` for connections at a hosted provider: rights that end while it is being answered. DESIGN 6, "Grants". */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { audienceChannel } from '../../../adapters/channel.js';
import type { Position } from '../../../adapters/position.js';
import { EVERYBODY, type ProviderAdapter, type ProviderForms } from '../../../adapters/provider.js';
import { createFaultyLog } from '../../../adapters/testing/index.js';
import { type Grant, readGrant, writeGrant } from '../../../server/grants.js';
import { createNotifier } from '../../../server/index.js';
import { createMemoryLog } from '../../../server/log/memory.js';
import { handlerOf } from '../../../server/notifier.js';
import { createSecrets } from '../../../server/secrets.js';
import type { Notifier } from '../../../server/types.js';
import { type ScriptedProvider, scriptedProvider } from '../../kit/provider.js';

const LIFE = 60_000;
/** The default. */
const HEARTBEAT = 15_000;

let notifier: Notifier;
let provider: ScriptedProvider;
let faults: ReturnType<typeof createFaultyLog>['faults'];
let errors: unknown[];
/** What the application is asked, and answers. */
let may: (id: string) => boolean | Promise<boolean>;
/** Done in the moment in which the adapter is asked. */
let meanwhile: () => unknown;

const forms: ProviderForms = {
  read(fields) {
    if (!fields.has('socket')) throw new TypeError('socket: is missing');
    return fields.getAll('channel');
  },
  async answer(fields, granted) {
    await meanwhile();
    return { socket: fields.get('socket'), ...granted };
  },
};
const adapter: Partial<ProviderAdapter> = {
  async authorise({ connection, channels, expires, user }) {
    if (connection === 'broken') throw new Error('no signature');
    if (connection === 'odd') throw new TypeError('connection: is odd');
    await meanwhile();
    return { details: { connection, channels, expires, user }, renewIn: 3_600_000 };
  },
  forms,
};

function start(hosted = true): void {
  const made = createFaultyLog(() => createMemoryLog());
  faults = made.faults;
  provider = scriptedProvider(adapter);
  notifier = createNotifier({
    user: () => 'ann',
    session: () => 'tab',
    canListen: { Order: { one: (_user, id) => may(id), all: () => true } },
    log: made.log,
    grantLife: LIFE,
    env: { NOTIFY_LISTEN_SECRET: 'a-secret-that-is-long-enough' },
    logger: () => {},
    onError: (error) => errors.push(error),
    ...(hosted && { adapter: provider.adapter }),
  });
}

beforeEach(async () => {
  vi.useFakeTimers();
  errors = [];
  may = () => true;
  meanwhile = () => {};
  start();
  await notifier.position();
});
afterEach(async () => {
  const closed = notifier.close();
  await vi.advanceTimersByTimeAsync(10_000);
  await closed;
  vi.useRealTimers();
});

// biome-ignore lint/suspicious/noExplicitAny: JSON of any answer; the assertions say what it must be
type Answer = { status: number; body: any };

async function ask(method: string, path: string, body: string | object, type: string): Promise<Answer> {
  const [target, query] = path.split('?') as [string, string?];
  const answer = await handlerOf(notifier).handle({
    method,
    path: target,
    query: new URLSearchParams(query),
    header: (name) => (name === 'content-type' ? type : undefined),
    body: async () => body,
    onClose: () => {},
    raw: {},
  });
  if (!answer || !('body' in answer)) throw new Error('no answer with a body');
  return { status: answer.status, body: JSON.parse(answer.body) };
}
const post = (body: Record<string, unknown>) =>
  ask('POST', '/auth', JSON.stringify({ protocol: 1, ...body }), 'application/json');
const form = (body: string | object) => ask('POST', '/auth', body, 'application/x-www-form-urlencoded; charset=UTF-8');
const grantFor = async (...ids: string[]): Promise<string> =>
  (await post({ objects: ids.map((id) => ({ entity: 'Order', id })) })).body.grant;
/** The same grant as another node would have made it: that one is judged by the wall clock. */
function ofAnotherNode(token: string): string {
  const secrets = createSecrets(['a-secret-that-is-long-enough'], 'default');
  return writeGrant({ ...(readGrant(token, secrets) as Grant), node: 'another' }, secrets);
}
const exchange = (grants: string[], ...channels: string[]) => post({ connection: 'c1', grants, channels });

async function own(): Promise<{ user: string; session: string }> {
  return (await ask('GET', '/config', '', '')).body;
}

describe('our own client shows its grants', () => {
  test('what they cover, what goes with it, one’s own channels and everybody’s; no question is asked', async () => {
    const grants = [await grantFor('1'), await grantFor('2')];
    may = () => {
      throw new Error('asked twice');
    };
    const { user, session } = await own();
    const { status, body } = await exchange(grants, 'Order/1', 'Order/2', 'Order/3', 'Order/*', EVERYBODY, '@user/eve');
    expect(status).toBe(200);
    expect(body).toEqual({
      epoch: (await notifier.position()).split(':')[0],
      reauthorise: ['Order/3', 'Order/*', EVERYBODY, '@user/eve'],
      details: {
        connection: 'c1',
        user,
        channels: [
          'Order/1',
          'Order/2',
          'Order/*',
          audienceChannel('user', user),
          audienceChannel('session', session),
          EVERYBODY,
        ],
        expires: Date.now() + LIFE,
      },
      renewIn: LIFE,
    });
    expect((await exchange([], 'Order/1')).body.details.channels).not.toContain('Order/*');
  });

  test('never beyond the first grant that ends', async () => {
    const first = await grantFor('1');
    await vi.advanceTimersByTimeAsync(20_000);
    const second = await grantFor('2');
    const { body } = await exchange([first, second], 'Order/1', 'Order/2');
    expect([body.renewIn, body.details.expires]).toEqual([40_000, Date.now() + 40_000]);
    await vi.advanceTimersByTimeAsync(40_000);
    const after = (await exchange([first, second], 'Order/1', 'Order/2')).body;
    expect([after.reauthorise, after.renewIn]).toEqual([['Order/1'], 20_000]);
  });

  test('a grant that was made while the clock was ahead is made again; one of a node that is ahead by seconds holds', async () => {
    const begin = Date.now();
    vi.setSystemTime(begin + 3_600_000);
    const wrong = ofAnotherNode(await grantFor('1'));
    vi.setSystemTime(begin + 30_000);
    const near = ofAnotherNode(await grantFor('2'));
    vi.setSystemTime(begin);
    expect((await exchange([wrong, near], 'Order/1', 'Order/2')).body.reauthorise).toEqual(['Order/1']);
    const request = { wait: 'once', grants: [wrong, near], channels: { 'Order/1': null, 'Order/2': null }, own: null };
    const answer = await ask('POST', '/stream', JSON.stringify({ protocol: 1, ...request }), 'application/json');
    expect(answer.body.events).toContainEqual(expect.objectContaining({ type: 'reauthorise', channels: ['Order/1'] }));
  });

  test('a revocation before it, and one that comes while it waits', async () => {
    const grant = await grantFor('1', '2');
    await notifier.revoke('ann', { entity: 'Order', id: 1 });
    expect((await exchange([grant], 'Order/1', 'Order/2')).body.reauthorise).toEqual(['Order/1']);
    meanwhile = () => {
      meanwhile = () => {};
      return notifier.revoke('ann', { entity: 'Order', id: 2 });
    };
    const { body } = await exchange([grant], 'Order/2');
    expect(body.reauthorise).toEqual(['Order/2']);
    expect(body.details.channels).not.toContain('Order/2');
    expect(body.details.channels).toContain(EVERYBODY);
  });

  test('who is authorised hastens the relay, who is turned away does not', async () => {
    await vi.advanceTimersByTimeAsync(1_000);
    provider.broken = new Error('down');
    await notifier.notify('updated', { entity: 'Order', id: 1 });
    await vi.advanceTimersByTimeAsync(100_000);
    const { length } = provider.calls;
    expect((await post({ connection: 'broken', grants: [], channels: [] })).status).toBe(503);
    expect((await post({ connection: 'odd', grants: [], channels: [] })).status).toBe(400);
    await vi.advanceTimersByTimeAsync(0);
    expect(provider.calls).toHaveLength(length);
    expect((await exchange([])).status).toBe(200);
    await vi.advanceTimersByTimeAsync(0);
    expect(provider.calls).toHaveLength(length + 1);
  });

  test('rights that go on ending while it is being answered: 503', async () => {
    const grant = await grantFor('1', '2', '3', '4');
    let id = 0;
    meanwhile = () => notifier.revoke('ann', { entity: 'Order', id: ++id });
    expect((await exchange([grant], 'Order/1', 'Order/2', 'Order/3', 'Order/4')).status).toBe(503);
  });

  test('lag is waited for; what this node has not reached in time is answered by 503', async () => {
    faults.stall();
    const [position] = (await notifier.notify('updated', { entity: 'Order', id: 1 })).positions ?? [];
    const secrets = createSecrets(['a-secret-that-is-long-enough'], 'default');
    const { user } = await own();
    const ahead = writeGrant(
      { user, channels: ['Order/1'], expires: Date.now() + LIFE, position: position as Position },
      secrets,
    );
    const late = exchange([ahead], 'Order/1');
    await vi.advanceTimersByTimeAsync(2_000);
    expect((await late).status).toBe(503);
    const waiting = exchange([ahead], 'Order/1');
    faults.flow();
    expect((await waiting).body.reauthorise).toEqual([]);
  });

  test('another epoch: a new grant is needed', async () => {
    const grant = await grantFor('1');
    await faults.loseEverything();
    await vi.advanceTimersByTimeAsync(0);
    expect((await exchange([grant], 'Order/1')).body).toMatchObject({
      epoch: (await notifier.position()).split(':')[0],
      reauthorise: ['Order/1'],
    });
  });

  test('a node that cannot prove that it hears everything authorises nobody', async () => {
    const grant = await grantFor('1');
    faults.prove = 'fails';
    faults.tail = 'fails';
    await vi.advanceTimersByTimeAsync(40_000);
    expect((await exchange([grant], 'Order/1')).status).toBe(503);
    expect((await form('socket=1')).status).toBe(503);
  });

  test('what is wrong is told; a fault of the adapter is not the page’s', async () => {
    const wrong = async (body: Record<string, unknown>) =>
      (await post({ connection: 'c', grants: [], channels: [], ...body })).status;
    expect(await wrong({})).toBe(200);
    for (const connection of ['', 'with space', 'x'.repeat(201), 'é', 7, null, {}])
      expect(await wrong({ connection })).toBe(400);
    for (const channels of [undefined, {}, 'Order/1', [1], [null]]) expect(await wrong({ channels })).toBe(400);
    expect(await wrong({ grants: 'x' })).toBe(400);
    expect(await wrong({ channels: Array.from({ length: 1_001 }, (_, n) => `Order/${n}`) })).toBe(413);
    expect(await wrong({ connection: 'odd' })).toBe(400);
    expect(errors).toEqual([]);
    expect(await wrong({ connection: 'broken' })).toBe(503);
    expect(errors).toEqual([expect.objectContaining({ message: 'no signature' })]);
  });

  test('a server that has no provider any more: 503, which is not final', async () => {
    await notifier.close();
    start(false);
    await notifier.position();
    const { status, body } = await exchange([], 'Order/1');
    expect([status, body.error.code]).toEqual([503, 'unavailable']);
    expect((await form('socket=1')).status).toBe(415);
    expect((await ask('GET', '/auth?socket=1', '', '')).status).toBe(405);
  });
});

describe('a provider’s standard client sends a form', () => {
  test('as text, as bytes, as what a parser made of it, and in a query', async () => {
    const { user } = await own();
    const fields = 'socket=1.2&channel=Order%2F1&channel=Order';
    const right = { socket: '1.2', connection: '', user, channels: ['Order/1', 'Order'], expires: Date.now() + LIFE };
    for (const body of [
      fields,
      Buffer.from(fields),
      { socket: '1.2', channel: ['Order/1', 'Order'], deep: { a: 'b' } },
    ])
      expect(await form(body)).toEqual({ status: 200, body: right });
    expect(await ask('GET', `/auth?${fields}`, '', '')).toEqual({ status: 200, body: right });
  });

  test('one’s own channels, everybody’s, and what concerns every object of a list that one may see', async () => {
    const { user, session } = await own();
    const status = async (...channels: string[]) =>
      (
        await form(
          new URLSearchParams([['socket', '1'], ...channels.map((channel) => ['channel', channel])]).toString(),
        )
      ).status;
    expect(await status()).toBe(200);
    expect(await status(`@user/${user}`, `@session/${session}`, EVERYBODY, 'Order/*', 'Order', 'Order/1')).toBe(200);
    for (const channel of [
      '@user/eve',
      '@session/x',
      '@user',
      '@all/1',
      '*',
      '',
      'Invoice',
      'Invoice/*',
      'Invoice/1',
      'Order/1/*',
      'Order/*/*',
      'a:Order/1',
    ])
      expect([channel, await status('Order/1', channel)]).toEqual([channel, 403]);
    may = () => false;
    expect(await status('Order/1')).toBe(403);
    may = () => {
      throw new Error('the database is down');
    };
    expect(await status('Order/1')).toBe(503);
  });

  test('refusals are counted and look the same; what is wrong with the form is told', async () => {
    may = (id) => id !== '1';
    const refused = await form('socket=1&channel=Order/1');
    expect(refused).toEqual(await form('socket=1&channel=Nothing/1'));
    expect(refused.body.error.code).toBe('refused');
    expect(notifier.metrics().refused).toBe(2);
    expect(await form('channel=Order/2')).toMatchObject({
      status: 400,
      body: { error: { message: 'socket: is missing' } },
    });
    expect(
      (
        await form(
          new URLSearchParams(
            Array.from({ length: 1_001 }, (_, n) => ['channel', `Order/${n}`]).concat([['socket', '1']]),
          ).toString(),
        )
      ).status,
    ).toBe(413);
    expect((await ask('POST', '/stream', 'socket=1', 'application/x-www-form-urlencoded')).status).toBe(415);
    expect((await ask('POST', '/auth', 'socket=1', 'text/plain')).status).toBe(415);
  });

  test('a revocation while the right is being asked, and while the answer is being made: asked again', async () => {
    may = async () => {
      may = () => false;
      await notifier.revoke('ann', { entity: 'Order', id: 1 });
      return true;
    };
    expect((await form('socket=1&channel=Order/1')).status).toBe(403);
    may = () => true;
    meanwhile = async () => {
      may = () => false;
      await notifier.revoke('ann');
    };
    expect((await form('socket=1&channel=Order/2')).status).toBe(403);
    may = () => true;
    meanwhile = () => notifier.revoke('ann');
    expect((await form('socket=1&channel=Order/2')).status).toBe(503);
  });

  test('one user asks no more than a burst of times, and the application is not asked beyond it', async () => {
    let asked = 0;
    may = () => {
      asked++;
      return true;
    };
    const statuses: number[] = [];
    for (let n = 0; n < 102; n++) statuses.push((await form('socket=1&channel=Order%2F1')).status);
    expect([statuses.slice(99), asked]).toEqual([[200, 429, 429], 100]);
  });

  test('is asked about again within the life of a grant, and what is refused then is ended at the provider', async () => {
    expect((await form('socket=1&channel=Order%2F1')).status).toBe(200);
    may = () => false;
    await vi.advanceTimersByTimeAsync(LIFE + HEARTBEAT);
    const { user } = await own();
    expect(provider.revoked).toEqual([[[user], ['Order/1']]]);
  });
});

describe('what the routes tell of the provider', () => {
  test('/config: its name and public settings; hello: its name', async () => {
    expect((await ask('GET', '/config', '', '')).body).toMatchObject({
      provider: 'scripted',
      settings: { key: 'public' },
    });
    const { body } = await ask(
      'POST',
      '/stream',
      JSON.stringify({ protocol: 1, wait: 'once', grants: [], channels: {}, own: null }),
      'application/json',
    );
    expect(body.events[0]).toMatchObject({ type: 'hello', provider: 'scripted', spread: 0 });
  });

  test('while it takes nothing, pages are told to listen here; when it does again, there', async () => {
    const told = async (): Promise<unknown[]> => {
      const request = { protocol: 1, wait: 'once', grants: [], channels: {}, own: null };
      const { body } = await ask('POST', '/stream', JSON.stringify(request), 'application/json');
      return [(await ask('GET', '/config', '', '')).body.provider, body.events[0].provider];
    };
    await vi.advanceTimersByTimeAsync(1_000);
    provider.outcome = () => ({ kind: 'later', error: new Error('quota'), retryAfterMs: 60_000 });
    await notifier.notify('updated', { entity: 'Order', id: 1 });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await told()).toEqual(['scripted', 'scripted']);
    await vi.advanceTimersByTimeAsync(15_000);
    expect(await told()).toEqual(['sse', 'sse']);
    provider.outcome = () => ({ kind: 'accepted' });
    await vi.advanceTimersByTimeAsync(100_000);
    expect(await told()).toEqual(['scripted', 'scripted']);
  });

  test('the window of hello counts the pages at the provider', async () => {
    const statuses: number[] = [];
    for (let n = 0; n < 102; n++) statuses.push((await post({ connection: `c${n}`, grants: [], channels: [] })).status);
    // One user opens no more than a burst of connections, here as with streams.
    expect(statuses.slice(99)).toEqual([200, 429, 429]);
    const read = () =>
      ask(
        'POST',
        '/stream',
        JSON.stringify({ protocol: 1, wait: 'once', grants: [], channels: {}, own: null }),
        'application/json',
      );
    expect((await read()).body.events[0].spread).toBe(Math.round((101 / 30) * 1_000));
    await vi.advanceTimersByTimeAsync(LIFE);
    expect((await read()).body.events[0].spread).toBe(0);
  });
});
