/** Environment constants -> a hosted provider's adapter; the missing package is told at the start. */
import { describe, expect, test } from 'vitest';
import { createNotifier } from '../../../server/index.js';
import { chooseProvider } from '../../../server/providers.js';
import type { LogLine } from '../../../server/types.js';
import { scriptedProvider } from '../../kit/provider.js';

const SECRET = 'a-secret-that-is-long-enough';
const PUSHER = {
  NOTIFY_LISTEN_PROVIDER: 'pusher',
  PUSHER_APP_ID: '12345',
  PUSHER_KEY: 'the-public-key',
  PUSHER_SECRET: 'the-pusher-secret',
  PUSHER_CLUSTER: 'eu',
};
const ABLY = { NOTIFY_LISTEN_PROVIDER: 'ably', ABLY_API_KEY: 'app.key:the-ably-secret' };

describe('chooseProvider', () => {
  test.each([{}, { NOTIFY_LISTEN_PROVIDER: 'sse' }, { NOTIFY_LISTEN_PROVIDER: 'pigeon' }])(
    'no hosted provider: %j',
    (env) => {
      const { mistakes, create } = chooseProvider(env, () => false);
      expect([mistakes, create('shop', () => {})]).toEqual([[], undefined]);
    },
  );

  test.each([PUSHER, ABLY])('$NOTIFY_LISTEN_PROVIDER', async (env) => {
    const { mistakes, create } = chooseProvider(env);
    expect(mistakes).toEqual([]);
    const adapter = create('shop', () => {});
    expect(adapter).toMatchObject({ name: env.NOTIFY_LISTEN_PROVIDER, capabilities: { fansOut: 'provider' } });
    expect(JSON.stringify(adapter?.publicSettings)).not.toContain('secret');
    await adapter?.close();
  });

  test.each(['pusher', 'ably'])('the package of %s is missing: the command to install it', (name) => {
    const { mistakes } = chooseProvider({ ...PUSHER, ...ABLY, NOTIFY_LISTEN_PROVIDER: name }, () => false);
    expect(mistakes).toEqual([
      `NOTIFY_LISTEN_PROVIDER is "${name}", but its package is not installed; run: npm install ${name}`,
    ]);
  });
});

describe('createNotifier with a hosted provider', () => {
  const rest = { user: () => 'ann', canListen: { Order: { one: () => true } } };

  test('the mistakes of the provider’s constants are told with all others', () => {
    const make = () =>
      createNotifier({
        ...rest,
        heartbeat: -1,
        logger: () => {},
        env: { NODE_ENV: 'production', NOTIFY_LISTEN_PROVIDER: 'pusher' },
      });
    expect(make).toThrow(/heartbeat: .*PUSHER_APP_ID .*PUSHER_SECRET .*NOTIFY_LISTEN_SECRET is required/s);
    expect(make).toThrow(/NOTIFY_LISTEN_NAMESPACE is required in production/);
  });

  test('row 61: one line at the start has the effective public settings, and no line a secret', async () => {
    const lines: LogLine[] = [];
    const notifier = createNotifier({
      ...rest,
      logger: (line) => lines.push(line),
      // A port on which nobody listens: nothing is published before it is closed.
      env: {
        ...PUSHER,
        PUSHER_HOST: '127.0.0.1',
        PUSHER_PORT: '1',
        PUSHER_SCHEME: 'http',
        NOTIFY_LISTEN_SECRET: SECRET,
      },
    });
    await notifier.close({ within: 0 });
    const starts = lines.filter(({ message }) => message === 'notify-listen starts');
    expect(starts).toMatchObject([
      { provider: 'pusher', providerSettings: { key: 'the-public-key', host: '127.0.0.1' } },
    ]);
    expect(JSON.stringify(lines)).not.toMatch(/the-pusher-secret|a-secret-that/);
  });

  test('an adapter of the application’s own wins over the constants, and is closed with the notifier', async () => {
    const provider = scriptedProvider();
    const notifier = createNotifier({
      ...rest,
      adapter: provider.adapter,
      logger: () => {},
      env: { NOTIFY_LISTEN_PROVIDER: 'pusher', NOTIFY_LISTEN_SECRET: SECRET },
    });
    await notifier.notify('updated', { entity: 'Order', id: 1 });
    expect(notifier.metrics().relay).toMatchObject({ skipped: 0 });
    await notifier.close({ within: 0 });
    expect(provider.closed).toBe(true);
    expect(notifier.metrics().relay).toMatchObject({ holds: false, waiting: 0 });
  });

  test('without one there is no relay', async () => {
    const notifier = createNotifier({ ...rest, logger: () => {}, env: { NOTIFY_LISTEN_SECRET: SECRET } });
    expect(notifier.metrics()).not.toHaveProperty('relay');
    await notifier.close({ within: 0 });
  });
});
