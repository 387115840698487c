/** Nobody hears what they may not see: rights, grants and their ends, over real HTTP. */
import { createHmac } from 'node:crypto';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type EventStream, readEvents, type SeenEvent } from '../kit/event-stream.js';
import { SECRET, SERVERS, serve, type TestServer } from '../kit/server.js';

afterEach(() => {
  vi.useRealTimers();
});

/** Everything that a stream said until it told of a notification that was made after all others. */
async function untilMarker(server: TestServer, stream: EventStream): Promise<void> {
  await server.notifier.notify('marker', { entity: 'Order', id: 'marker' });
  await stream.until((event) => event.data.action === 'marker', 'the marker');
}

const heard = (stream: { events: readonly SeenEvent[] }): string[] =>
  stream.events.filter(({ type }) => type === 'notification').map(({ data }) => `${data.entity}/${data.id}`);

describe('row 59: who may listen to what', () => {
  test('matrix of users and objects: each is granted and hears exactly what it may', async () => {
    const may: Record<string, string[]> = { ann: ['1', '2'], bob: ['2', '3'], eve: [] };
    const all = ['1', '2', '3', '4'];
    const server = await serve('Express 5', {
      canListen: { Order: { one: (user: string, id) => id === 'marker' || may[user]?.includes(id) === true } },
    });
    for (const [user, ids] of Object.entries(may)) {
      const { results } = await server.authorise({ user }, ...all.map((id) => `Order/${id}`));
      expect([user, results]).toEqual([user, all.map((id) => (ids.includes(id) ? 'granted' : 'refused'))]);
      const stream = await server.listen(
        { user },
        [...all, 'marker'].map((id) => `Order/${id}`),
      );
      await stream.next('ready');
      await server.notifier.notify(
        'updated',
        all.map((id) => ({ entity: 'Order', id })),
      );
      await untilMarker(server, stream);
      expect([user, heard(stream)]).toEqual([user, [...ids, 'marker'].map((id) => `Order/${id}`)]);
      stream.dispose();
    }
  });

  test('default deny: an entity, a list or an object without a rule is refused', async () => {
    const server = await serve('Express 5', { canListen: { Order: { one: () => true }, Report: { all: () => true } } });
    const { results, grant } = await server.authorise(
      { user: 'ann' },
      ...['Order/1', 'Order', 'Report', 'Report/1', 'Invoice', 'Invoice/1', 'constructor', 'toString/1'],
    );
    expect(results).toEqual(['granted', 'refused', 'granted', 'refused', 'refused', 'refused', 'refused', 'refused']);
    expect(grant).toBeTypeOf('string');
  });

  test('only a plain true is a yes', async () => {
    const answers: unknown[] = [true, 1, 'yes', {}, [], null, undefined, Promise.resolve(true), Promise.resolve({})];
    const server = await serve('Express 5', {
      canListen: { Order: { one: (_user, id) => answers[Number(id)] as boolean } },
    });
    const { results } = await server.authorise({ user: 'ann' }, ...answers.map((_, index) => `Order/${index}`));
    expect(results).toEqual(answers.map((_, index) => (index === 0 || index === 7 ? 'granted' : 'refused')));
  });

  test('a stream without a grant hears nothing of what it asks for', async () => {
    const server = await serve('Express 5');
    const reply = await server.stream({ user: 'ann' }, { channels: { 'Order/42': null, 'Order/*': null } });
    const stream = readEvents(reply);
    expect((await stream.next('reauthorise')).data).toEqual({ channels: ['Order/42', 'Order/*'] });
    await stream.next('ready');
    await server.notifier.notify('updated', { entity: 'Order', id: 42 });
    await server.notifier.notify('updated', { entity: 'Order' });
    await server.notifier.notify('marker', { entity: 'Order', id: 1 }, { to: { users: ['ann'] } });
    await stream.until(({ data }) => data.action === 'marker');
    expect(heard(stream)).toEqual(['Order/1']);
  });

  test('internal and other addresses cannot be asked for', async () => {
    const server = await serve('Express 5');
    const { user } = (await server.ask('/config', { user: 'bob' })).json<{ user: string }>();
    for (const channel of [`@user/${user}`, 'Order/*', '*', 'default:Order/42', 'Order//42', 'Order/42/1']) {
      const answer = await server.send(`/stream?object=${encodeURIComponent(channel)}`, { user: 'ann' });
      expect([channel, answer.status]).toEqual([channel, 400]);
      answer.cut();
    }
    const other = await server.authorise({ user: 'ann' }, 'Order/1');
    const stream = readEvents(
      await server.stream(
        { user: 'ann' },
        { grants: [other.grant], channels: { [`@user/${user}`]: null, 'Order/*': null, 'Order/1': null } },
      ),
    );
    expect((await stream.next('reauthorise')).data.channels).toEqual([`@user/${user}`, 'Order/*']);
  });
});

describe('grants', () => {
  /** Asks to listen to `Order/42` with these grants, and returns what the server says of the channel. */
  async function answerTo(server: TestServer, grants: unknown[], as = { user: 'ann' } as object): Promise<string> {
    const stream = readEvents(await server.stream(as, { grants, channels: { 'Order/42': null } }));
    await stream.next('ready');
    await server.notifier.notify('updated', { entity: 'Order', id: 42 });
    await server.notifier.notify('marker', { entity: 'Order', id: 1 }, { to: { users: ['ann', 'bob'] } });
    await stream.until(({ data }) => data.action === 'marker');
    const told = stream.events.find(({ type }) => type === 'reauthorise' || type === 'refused');
    if (heard(stream).includes('Order/42')) return told ? 'both' : 'delivered';
    return told ? `${told.type} ${told.data.channels?.join()}` : 'silence';
  }

  test('forged, cut, swapped and foreign grants are answered with reauthorise, and nothing is delivered', async () => {
    const server = await serve('Express 5');
    const other = await serve('Express 5', { namespace: 'other' });
    const otherSecret = await serve('Express 5', { env: { NOTIFY_LISTEN_SECRET: 'another secret of equal length' } });
    const ann = { user: 'ann', session: 's1' };
    const { grant = '' } = await server.authorise(ann, 'Order/42');
    const wide = (await server.authorise(ann, 'Order/41')).grant ?? '';
    const [text = '', signature = ''] = grant.split('.');
    const payload = JSON.parse(Buffer.from(text, 'base64url').toString());
    const forged = Buffer.from(JSON.stringify({ ...payload, channels: ['Order/42'] })).toString('base64url');
    expect(await answerTo(server, [grant], ann)).toBe('delivered');
    const bad: [string, unknown[], object?][] = [
      ['none', []],
      ['empty', ['']],
      ['for another object', [wide]],
      ['cut text', [grant.slice(1)]],
      ['cut signature', [grant.slice(0, -1)]],
      ['no signature', [text]],
      ['empty signature', [`${text}.`]],
      ['signature of another', [`${text}.${wide.split('.')[1]}`]],
      ['changed text', [`${forged}x.${signature}`]],
      ['three parts', [`${grant}.${signature}`]],
      ['signed with the bare secret', [`${text}.${createHmac('sha256', SECRET).update(text).digest('base64url')}`]],
      ['of another namespace', [(await other.authorise(ann, 'Order/42')).grant]],
      ['of another secret', [(await otherSecret.authorise(ann, 'Order/42')).grant]],
      ["another user's", [grant], { user: 'bob', session: 's1' }],
      ["another session's", [grant], { user: 'ann', session: 's2' }],
      ['shown without a session', [grant], { user: 'ann' }],
    ];
    for (const [what, grants, as = ann] of bad) {
      expect([what, await answerTo(server, grants, as)]).toEqual([what, 'reauthorise Order/42']);
    }
    expect(server.errors).toEqual([]);
  });

  test('a grant of before a restart is answered with reauthorise', async () => {
    const before = await serve('Express 5');
    const { grant } = await before.authorise({ user: 'ann' }, 'Order/42');
    const after = await serve('Express 5');
    expect(await answerTo(after, [grant])).toBe('reauthorise Order/42');
  });

  test('an expired grant is answered with reauthorise, and a live stream says so when its grant ends', async () => {
    const server = await serve('Express 5', { grantLife: 1_100 });
    const { grant, expiresIn } = await server.authorise({ user: 'ann' }, 'Order/42');
    expect(expiresIn).toBe(1_100);
    const stream = readEvents(
      await server.stream({ user: 'ann' }, { grants: [grant], channels: { 'Order/42': null } }),
    );
    await stream.next('ready');
    expect((await stream.next('reauthorise')).data).toEqual({ channels: ['Order/42'] });
    await server.notifier.notify('updated', { entity: 'Order', id: 42 });
    await server.notifier.notify('marker', { entity: 'Order', id: 1 }, { to: { users: ['ann'] } });
    await stream.until(({ type, data }) => type === 'goodbye' || data.action === 'marker');
    expect(heard(stream)).not.toContain('Order/42');
    await vi.waitFor(async () => expect(await answerTo(server, [grant])).toBe('reauthorise Order/42'));
  });
});

describe('row 67: "does not exist" and "not allowed" look the same', () => {
  test.each(SERVERS)('byte for byte, headers included: %s', async (kind) => {
    const orders = new Map([['1', { owner: 'bob' }]]);
    const server = await serve(kind, {
      canListen: { Order: { one: (user: string, id) => orders.get(id)?.owner === user } },
    });
    const shape = async (entity: string, id: string): Promise<unknown> => {
      const { status, headers, text } = await server.ask('/auth', {
        user: 'ann',
        body: { protocol: 1, objects: [{ entity, id }] },
      });
      return { status, headers: { ...headers, date: '' }, text };
    };
    const notAllowed = await shape('Order', '1');
    expect(notAllowed).toMatchObject({ status: 200, text: expect.stringContaining('"refused"') });
    expect(await shape('Order', '2')).toEqual(notAllowed);
    expect(await shape('NoSuchEntity', '1')).toEqual(notAllowed);
    const inBand = async (id: string): Promise<string> => {
      const stream = readEvents(await server.send(`/stream?object=Order/${id}`, { user: 'ann' }));
      await stream.next('ready');
      // How long the node has known everything grows between the two questions; a wait and a turn are drawn for each.
      return stream
        .raw()
        .replaceAll(`Order/${id}`, 'Order/?')
        .replace(/"known":\d+/, '')
        .replace(/^retry: \d+/m, 'retry: ?')
        .replace(/"turn":[\d.e-]+/, '');
    };
    expect(await inBand('2')).toBe(await inBand('1'));
  });
});

describe('row 65: a right that ends', () => {
  test('revoke in mid-stream: the next notification is not delivered, and it takes less than a second', async () => {
    const server = await serve('Express 5');
    const stream = await server.listen({ user: 'ann' }, ['Order/42', 'Order/43', 'Order', 'Order/marker']);
    const other = await server.listen({ user: 'bob' }, ['Order/42']);
    await Promise.all([stream.next('ready'), other.next('ready')]);
    const start = performance.now();
    await server.notifier.revoke('ann', { entity: 'Order', id: 42 });
    await server.notifier.notify('updated', { entity: 'Order', id: 42 });
    expect((await stream.next('reauthorise')).data).toEqual({ channels: ['Order/42'] });
    expect(performance.now() - start).toBeLessThan(1_000);
    await untilMarker(server, stream);
    // The right to the list is another one, and stays; it tells no id.
    expect(heard(stream)).toEqual(['Order/undefined', 'Order/marker']);
    expect((await other.next('notification')).data.id).toBe('42');
  });

  test('revoke of an entity or of everything', async () => {
    const server = await serve('Express 5');
    const stream = await server.listen({ user: 'ann' }, ['Order/42', 'Order', 'Report/ann-1']);
    await stream.next('ready');
    await server.notifier.revoke('ann', { entity: 'Order' });
    expect((await stream.next('reauthorise')).data.channels).toEqual(['Order/42', 'Order']);
    await server.notifier.notify('updated', { entity: 'Order' });
    await server.notifier.notify('updated', { entity: 'Report', id: 'ann-1' });
    await stream.until(({ data }) => data.entity === 'Report');
    expect(heard(stream)).toEqual(['Report/ann-1']);
    // A standard EventSource that listens to nothing but what is addressed to the user is asked who it is, too.
    const standard = readEvents(await server.send('/stream', { user: 'ann' }));
    await standard.next('ready');
    await server.notifier.revoke({ id: 'ann' });
    expect((await stream.next('reauthorise')).data.channels).toEqual(['Report/ann-1']);
    expect((await standard.next('goodbye')).data).toEqual({ within: 0 });
  });

  test('a grant made before a revocation is cancelled, also for new streams; one made after it holds', async () => {
    const server = await serve('Express 5');
    const { grant } = await server.authorise({ user: 'ann' }, 'Order/42');
    await server.notifier.revoke('ann', { entity: 'Order', id: 42 });
    const old = readEvents(await server.stream({ user: 'ann' }, { grants: [grant], channels: { 'Order/42': null } }));
    expect((await old.next('reauthorise')).data.channels).toEqual(['Order/42']);
    const fresh = await server.listen({ user: 'ann' }, ['Order/42']);
    await fresh.next('ready');
    expect(fresh.events.map(({ type }) => type)).toEqual(['hello', 'ready']);
  });

  test('revoked while the right was being asked: the grant does not hold', async () => {
    let asked: () => void = () => {};
    const arrived = new Promise<void>((resolve) => {
      asked = resolve;
    });
    let allow: (answer: boolean) => void = () => {};
    const server = await serve('Express 5', {
      canListen: {
        Order: {
          one: () =>
            new Promise<boolean>((resolve) => {
              allow = resolve;
              asked();
            }),
        },
      },
    });
    const answer = server.authorise({ user: 'ann' }, 'Order/42');
    await arrived;
    await server.notifier.revoke('ann');
    allow(true);
    const { grant } = await answer;
    const stream = readEvents(
      await server.stream({ user: 'ann' }, { grants: [grant], channels: { 'Order/42': null } }),
    );
    expect((await stream.next('reauthorise')).data.channels).toEqual(['Order/42']);
  });

  test('logout: when user() returns nobody, delivery ends within the life of a grant, own channels included', async () => {
    let loggedIn = true;
    const server = await serve('Express 5', { grantLife: 2_000, user: () => (loggedIn ? 'ann' : undefined) });
    const post = await server.listen({ user: 'ann' }, ['Order/42']);
    const bare = await server.listen({ user: 'ann' }, []);
    const get = readEvents(await server.send('/stream?object=Order/42', { user: 'ann' }));
    const getBare = readEvents(await server.send('/stream', { user: 'ann' }));
    const all = [post, bare, get, getBare];
    await Promise.all(all.map((stream) => stream.next('ready')));
    const start = performance.now();
    loggedIn = false;
    await Promise.all(all.map((stream) => stream.ended));
    expect(performance.now() - start).toBeLessThan(2_000 + 1_000);
    expect(post.events.map(({ type }) => type)).toEqual(['hello', 'ready', 'reauthorise', 'goodbye']);
    expect((await server.ask('/auth', { body: { protocol: 1, objects: [{ entity: 'Order' }] } })).status).toBe(401);
  });

  test('GET: the node asks again for a standard EventSource, and refuses in band when the right is gone', async () => {
    let allowed = true;
    let asked = 0;
    const server = await serve('Express 5', {
      grantLife: 2_000,
      canListen: {
        Order: {
          one: () => {
            asked += 1;
            return allowed;
          },
          all: () => true,
        },
      },
    });
    const stream = readEvents(await server.send('/stream?object=Order/42&object=Order', { user: 'ann' }));
    await stream.next('ready');
    await vi.waitFor(() => expect(asked).toBeGreaterThan(1));
    await server.notifier.notify('updated', { entity: 'Order', id: 42 });
    expect((await stream.next('notification')).data.id).toBe('42');
    allowed = false;
    expect((await stream.next('refused')).data.channels).toEqual(['Order/42']);
    await server.notifier.notify('updated', { entity: 'Order', id: 42 });
    expect((await stream.next('notification')).data.id).toBeUndefined();
  });
});

describe('who may listen at all', () => {
  test.each(SERVERS)('mayListen says no: 403 on config, auth and stream (row 63): %s', async (kind) => {
    const server = await serve(kind, { mayListen: (user) => user !== 'eve' });
    const object = { entity: 'Order', id: '1' };
    for (const answer of [
      await server.ask('/config', { user: 'eve' }),
      await server.ask('/auth', { user: 'eve', body: { protocol: 1, objects: [object] } }),
      await server.ask('/stream?object=Order/1', { user: 'eve' }),
      await server.ask('/stream', {
        user: 'eve',
        body: { protocol: 1, wait: 'stream', grants: [], channels: {}, own: null },
      }),
    ]) {
      expect(answer.status).toBe(403);
      expect(answer.json()).toMatchObject({ error: { code: 'forbidden' } });
    }
  });

  test('nobody is logged in: 401 everywhere but on /health', async () => {
    const server = await serve('Express 5', { user: (request) => request.headers['x-user'] ?? false });
    for (const path of ['/config', '/stream?object=Order/1']) expect((await server.ask(path)).status).toBe(401);
    expect((await server.ask('/auth', { body: { protocol: 1, objects: [{ entity: 'Order' }] } })).status).toBe(401);
    expect((await server.stream({}, {})).status).toBe(401);
  });

  test('a user whose id is not text or a number is a mistake that is reported, never a shared identity', async () => {
    const server = await serve('Express 5', { user: () => ({ id: { toString: () => 'same' } }) as never });
    expect((await server.ask('/config')).status).toBe(503);
    expect(String(server.errors[0])).toMatch(/user.*id/);
  });

  test.each([
    [
      'user throws',
      {
        user: () => {
          throw new Error('database gone');
        },
      },
    ],
    ['user rejects', { user: async () => Promise.reject(new Error('database gone')) }],
    ['user hangs', { user: () => new Promise<string>(() => {}), accessTimeout: 30 }],
    [
      'session throws',
      {
        session: () => {
          throw new Error('database gone');
        },
      },
    ],
    [
      'mayListen throws',
      {
        mayListen: () => {
          throw new Error('database gone');
        },
      },
    ],
    ['mayListen hangs', { mayListen: () => new Promise<boolean>(() => {}), accessTimeout: 30 }],
  ])('%s: 503 with Retry-After, nothing of the fault in the answer', async (_what, options) => {
    const server = await serve('Express 5', options);
    for (const answer of [
      await server.ask('/config', { user: 'ann' }),
      await server.ask('/stream?object=Order/1', { user: 'ann' }),
      await server.ask('/auth', { user: 'ann', body: { protocol: 1, objects: [{ entity: 'Order' }] } }),
    ]) {
      expect(answer.status).toBe(503);
      expect(answer.headers['retry-after']).toBe('1');
      expect(answer.json()).toMatchObject({ error: { code: 'unavailable' } });
      expect(answer.text).not.toMatch(/database|at .*\.ts/);
    }
    expect(server.errors).toHaveLength(3);
  });

  test.each([
    [
      'throws',
      () => {
        throw new Error('database gone');
      },
    ],
    ['rejects', async () => Promise.reject(new Error('database gone'))],
    ['hangs', () => new Promise<boolean>(() => {})],
  ])('canListen %s: retry, which is no refusal, and other objects are not affected', async (_what, all) => {
    const server = await serve('Express 5', {
      accessTimeout: 30,
      canListen: { Order: { one: () => true, all }, Report: { many: all as never } },
    });
    const { results, grant } = await server.authorise({ user: 'ann' }, 'Order/1', 'Order', 'Report/1', 'Report/2');
    expect(results).toEqual(['granted', 'retry', 'retry', 'retry']);
    expect(grant).toBeTypeOf('string');
    // A standard EventSource comes back by itself; a status would end it for good.
    const stream = readEvents(await server.send('/stream?object=Order', { user: 'ann' }));
    expect((await stream.next('goodbye')).data.within).toBeGreaterThan(0);
    expect(await stream.ended).toBe('ended');
  });
});

describe('addressed notifications', () => {
  test('row 4: to one user; the raw stream of another on the same object shows nothing', async () => {
    const server = await serve('Express 5');
    const ann = await server.listen({ user: 'ann' }, ['Order/42', 'Order/marker']);
    const bob = await server.listen({ user: 'bob' }, ['Order/42', 'Order/marker']);
    await Promise.all([ann.next('ready'), bob.next('ready')]);
    const before = bob.raw();
    await server.notifier.notify('shipped', { entity: 'Order', id: 42 }, { to: { users: ['ann'] } });
    await server.notifier.notify('marker', { entity: 'Order', id: 'marker' });
    expect((await ann.next('notification')).data).toMatchObject({ id: '42', action: 'shipped', to: true });
    await bob.until(({ data }) => data.action === 'marker');
    expect(heard(bob)).toEqual(['Order/marker']);
    expect(bob.raw().slice(before.length)).not.toMatch(/shipped|42"/);
  });

  test('row 5: to one login session; the other tab of the same user shows nothing', async () => {
    const server = await serve('Express 5');
    const one = await server.listen({ user: 'ann', session: 's1' }, ['Order/marker']);
    const two = await server.listen({ user: 'ann', session: 's2' }, ['Order/marker']);
    await Promise.all([one.next('ready'), two.next('ready')]);
    await server.notifier.notify('shipped', { entity: 'Order', id: 42 }, { to: { sessions: ['s1'] } });
    await untilMarker(server, one);
    await two.until(({ data }) => data.action === 'marker');
    expect(heard(one)).toEqual(['Order/42', 'Order/marker']);
    expect(heard(two)).toEqual(['Order/marker']);
  });

  test('an addressed notification is replayed to its user from the position of the own channel', async () => {
    const server = await serve('Express 5');
    const before = await server.notifier.position();
    await server.notifier.notify('shipped', { entity: 'Order', id: 42 }, { to: { users: ['ann'] } });
    const ann = await server.listen({ user: 'ann' }, [], { own: before });
    const bob = await server.listen({ user: 'bob' }, [], { own: before });
    await Promise.all([ann.next('ready'), bob.next('ready')]);
    expect(heard(ann)).toEqual(['Order/42']);
    expect(heard(bob)).toEqual([]);
  });

  test('row 6: except travels as a hint with the hashes that /config told, and everybody gets it', async () => {
    const server = await serve('Express 5');
    const { session } = (await server.ask('/config', { user: 'ann', session: 's1' })).json<{ session: string }>();
    const { user } = (await server.ask('/config', { user: 'bob' })).json<{ user: string }>();
    const stream = await server.listen({ user: 'ann', session: 's1' }, ['Order/42']);
    await stream.next('ready');
    await server.notifier.notify(
      'shipped',
      { entity: 'Order', id: 42 },
      { except: { users: ['bob'], sessions: ['s1'] } },
    );
    const { data } = await stream.next('notification');
    expect(data.except).toEqual([user, session]);
    expect(stream.raw()).not.toMatch(/bob|"s1"/);
  });

  test('row 7: a notification on the entity wakes list and object listeners; the list is told no more than it may', async () => {
    const server = await serve('Express 5');
    const both = await server.listen({ user: 'ann' }, ['Order', 'Order/42']);
    const object = await server.listen({ user: 'ann' }, ['Order/42']);
    const list = await server.listen({ user: 'ann' }, ['Order']);
    await Promise.all([both, object, list].map((stream) => stream.next('ready')));
    await server.notifier.notify('imported', { entity: 'Order', changedDate: 3 }, { notifier: 'Bob' });
    const full = { entity: 'Order', action: 'imported', changedDate: 3, notifier: 'Bob', position: expect.any(String) };
    expect((await both.next('notification')).data).toEqual(full);
    expect((await object.next('notification')).data).toEqual(full);
    expect((await list.next('notification')).data).toEqual({
      entity: 'Order',
      action: 'imported',
      position: expect.any(String),
    });
    await server.notifier.notify('shipped', { entity: 'Order', id: 43 }, { notifier: 'Bob' });
    expect((await list.next('notification')).data).toEqual({
      entity: 'Order',
      action: 'shipped',
      position: expect.any(String),
    });
    await server.notifier.notify('marker', { entity: 'Order', id: 42 });
    await object.until(({ data }) => data.action === 'marker');
    expect(heard(object)).toEqual(['Order/undefined', 'Order/42']);
  });
});

test('row 66: two notifiers with one secret and different namespaces: hashes and grants of one mean nothing to the other', async () => {
  const one = await serve('Express 5', { namespace: 'staging' });
  const two = await serve('Express 5', { namespace: 'production' });
  const as = { user: 'ann', session: 's1' };
  const whoIs = async (server: TestServer) =>
    (await server.ask('/config', as)).json<{ user: string; session: string; epoch: string }>();
  const [first, second] = [await whoIs(one), await whoIs(two)];
  expect(first.user).not.toBe(second.user);
  expect(first.session).not.toBe(second.session);
  const { grant } = await one.authorise(as, 'Order/42');
  const crossed = readEvents(await two.stream(as, { grants: [grant], channels: { 'Order/42': null } }));
  expect((await crossed.next('reauthorise')).data.channels).toEqual(['Order/42']);
  const listening = await two.listen(as, ['Order/42']);
  await listening.next('ready');
  await one.notifier.notify('updated', { entity: 'Order', id: 42 });
  await one.notifier.notify('updated', { entity: 'Order', id: 42 }, { to: { users: ['ann'] } });
  await two.notifier.notify('marker', { entity: 'Order', id: 42 });
  expect((await listening.next('notification')).data.action).toBe('marker');
});
