/**
 * Pusher's own clients, with the form-encoded requests that they send by default, against `/auth` of a real Express
 * server and the local server of Pusher's protocol.
 */
import Echo from 'laravel-echo';
import PusherModule from 'pusher-js';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { type PusherEmulator, startPusherEmulator } from '../../adapters/emulators/index.js';
import type { ConfigAnswer } from '../../adapters/protocol.js';
import { SECRET, type ServerKind, serve, type TestServer } from '../kit/server.js';

// The package is CommonJS, and its types say that it is a module.
const PusherJs = PusherModule as unknown as typeof PusherModule.default;
type Client = InstanceType<typeof PusherJs>;
/** pusher-js asks for fields of both kinds of authorisation, where one is enough. */
type Options = ConstructorParameters<typeof PusherJs>[1];

const CSRF = 'token-of-this-session';
const until = (holds: () => unknown): Promise<void> =>
  vi.waitFor(() => expect(holds(), String(holds)).toBeTruthy(), { interval: 5 });

interface Place {
  readonly emulator: PusherEmulator;
  readonly server: TestServer;
  /** What a page would write down for pusher-js or Echo. */
  options(user: string, headers?: Record<string, string>): Options;
}

async function place(kind: ServerKind = 'Express 5', constants: Record<string, string> = {}): Promise<Place> {
  const emulator = await startPusherEmulator();
  const server = await serve(kind, {
    env: {
      ...emulator.env,
      NOTIFY_LISTEN_SECRET: SECRET,
      NOTIFY_LISTEN_NAMESPACE: 'shop',
      PUSHER_FIXED_NAMES: 'true',
      ...constants,
    },
    before: [
      (request, response, next) => {
        if (request.method === 'GET' || request.headers['x-csrf-token'] === CSRF) next();
        else response.status(403).end('csrf');
      },
    ],
  });
  onTestFinished(() => emulator.close());
  await server.notifier.position();
  return {
    emulator,
    server,
    options(user, headers = { 'x-csrf-token': CSRF }) {
      const auth = {
        endpoint: `${server.url}/auth`,
        transport: 'ajax' as const,
        headers: { 'x-user': user, ...headers },
      };
      return {
        cluster: 'local',
        wsHost: '127.0.0.1',
        wsPort: emulator.port,
        forceTLS: false,
        enabledTransports: ['ws'],
        channelAuthorization: auth,
        userAuthentication: auth,
      };
    },
  };
}

function open({ options }: Place, user: string, headers?: Record<string, string>): Client {
  const client = new PusherJs('local-key', options(user, headers));
  onTestFinished(() => client.disconnect());
  return client;
}

/** Subscribes, and resolves with how it ended. */
function fate(client: Client, name: string): Promise<{ status?: number; error?: string } | 'subscribed'> {
  const channel = client.subscribe(name);
  return new Promise((resolve) => {
    channel.bind('pusher:subscription_succeeded', () => resolve('subscribed'));
    channel.bind('pusher:subscription_error', resolve);
  });
}

describe.each<ServerKind>(['Express 5', 'node:http', 'fetch'])('pusher-js behind %s', (kind) => {
  test('hears an object that it may see', async () => {
    // The middleware runs on Express only; the others take the same requests.
    const here = await place(kind);
    const client = open(here, 'ann');
    expect(await fate(client, 'private-shop;Order,42')).toBe('subscribed');
    const heard: unknown[] = [];
    client.channel('private-shop;Order,42').bind('shipped', (data: unknown) => heard.push(data));
    await here.server.notifier.notify('shipped', { entity: 'Order', id: 42 }, { notifier: 'bob' });
    await until(() => heard.length);
    expect(heard).toMatchObject([{ entity: 'Order', id: '42', action: 'shipped', notifier: 'bob' }]);
  });
});

describe('pusher-js', () => {
  test('is refused what it may not see, like what does not exist', async () => {
    const here = await place();
    const client = open(here, 'guest');
    for (const name of ['Order,hidden-1', 'Invoice,1', 'Order', '@user,somebody', '@session,somebody'])
      expect(await fate(client, `private-shop;${name}`)).toMatchObject({ status: 403 });
    expect(await fate(open(here, ''), 'private-shop;Order,42')).toMatchObject({ status: 401 });
  });

  test('without the token of the application it does not come through', async () => {
    const here = await place();
    expect(await fate(open(here, 'ann', {}), 'private-shop;Order,42')).toMatchObject({
      status: 403,
      error: expect.stringContaining('403'),
    });
  });

  test.each([
    [`private-shop;Order,${'x'.repeat(140)}`, 'too long'],
    ['private-shop;;abc', 'too long'],
    ['private-shop;Order,42;3lxe6', 'one period'],
    ['private-other;Order,42', 'private-shop;'],
  ])('asking for %s it is told what is wrong', async (channel_name, sentence) => {
    const { server } = await place();
    const answer = await server.ask('/auth', {
      method: 'POST',
      user: 'ann',
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'x-csrf-token': CSRF },
      body: new URLSearchParams({ socket_id: '1.2', channel_name }).toString(),
    } as never);
    expect([answer.status, answer.text]).toEqual([400, expect.stringContaining(sentence)]);
  });

  test('hears the list, and what concerns every object; each notification costs both names', async () => {
    const here = await place();
    const client = open(here, 'ann');
    const heard: string[] = [];
    for (const name of ['Order', 'Order,@', 'Order,42']) {
      expect(await fate(client, `private-shop;${name}`)).toBe('subscribed');
      client.channel(`private-shop;${name}`).bind_global((event: string) => heard.push(`${name} ${event}`));
    }
    // The relay's first word: everybody reads.
    await until(() => here.emulator.counters.published === 2);
    const before = here.emulator.counters.published;
    await here.server.notifier.notify('shipped', { entity: 'Order', id: 42 });
    await until(() => heard.length === 2);
    await here.server.notifier.notify('imported', { entity: 'Order' });
    await until(() => heard.length === 4);
    expect(heard.sort()).toEqual(['Order imported', 'Order shipped', 'Order,42 shipped', 'Order,@ imported']);
    // Two renderings each, and two names for each of them.
    expect(here.emulator.counters.published - before).toBe(8);
  });

  test('signs in as the keyed hash of its user, hears what is addressed to it, and is ended by a revocation', async () => {
    const here = await place();
    const config = (await here.server.ask('/config', { user: 'ann' })).json<ConfigAnswer>();
    const [client, other] = [open(here, 'ann'), open(here, 'bob')];
    for (const each of [client, other]) each.signin();
    expect(await fate(client, 'private-shop;Order,42')).toBe('subscribed');
    expect(await fate(other, 'private-shop;Order,42')).toBe('subscribed');
    expect(await fate(client, `private-shop;@user,${config.user}`)).toBe('subscribed');
    const own: unknown[] = [];
    client.channel(`private-shop;@user,${config.user}`).bind('assigned', (data: unknown) => own.push(data));
    await here.server.notifier.notify('assigned', { entity: 'Order', id: 42 }, { to: { users: ['ann'] } });
    await until(() => own.length);
    await until(() => (client.user.user_data as { id?: string } | null)?.id === config.user && other.user.user_data);

    const heard: string[] = [];
    other.channel('private-shop;Order,42').bind_global((event: string) => heard.push(event));
    const stolen: string[] = [];
    client.channel('private-shop;Order,42').bind_global((event: string) => stolen.push(event));
    await here.server.notifier.revoke('ann', { entity: 'Order', id: 42 });
    // Pusher's own client takes the code of an ended connection for good.
    await until(() => client.connection.state === 'disconnected');
    await here.server.notifier.notify('shipped', { entity: 'Order', id: 42 });
    await until(() => heard.includes('shipped'));
    expect(stolen).not.toContain('shipped');
  });

  test('is not served unless the constant says so, and then names are not doubled', async () => {
    const here = await place('Express 5', { PUSHER_FIXED_NAMES: 'false' });
    expect(await fate(open(here, 'ann'), 'private-shop;Order,42')).toMatchObject({ status: 415 });
    await until(() => here.emulator.counters.published === 1);
    await here.server.notifier.notify('shipped', { entity: 'Order', id: 42 });
    await until(() => here.emulator.counters.published === 1 + 2);
  });
});

test('laravel-echo hears an object, with the leading dot for a name that is no class of Laravel', async () => {
  const here = await place();
  const { channelAuthorization: auth, ...options } = here.options('ann', {}) as {
    channelAuthorization: { endpoint: string };
  };
  const echo: Echo<'pusher'> = new Echo({
    broadcaster: 'pusher',
    key: 'local-key',
    Pusher: PusherJs,
    ...options,
    authEndpoint: auth.endpoint,
    csrfToken: CSRF,
    auth: { headers: { 'x-user': 'ann' } },
  } as unknown as ConstructorParameters<typeof Echo>[0]) as Echo<'pusher'>;
  onTestFinished(() => echo.disconnect());
  const heard: unknown[] = [];
  await new Promise<void>((resolve, reject) => {
    echo
      .private('shop;Order,42')
      .listen('.shipped', (data: unknown) => heard.push(data))
      .subscribed(resolve)
      .error(reject);
  });
  await here.server.notifier.notify('shipped', { entity: 'Order', id: 42 });
  await until(() => heard.length);
  expect(heard).toMatchObject([{ entity: 'Order', id: '42', action: 'shipped' }]);
});
