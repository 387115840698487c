/** The adapter's suite tests itself: an adapter, or a server, that breaks one promise fails at the case that names it. */
import { describe, expect, test } from 'vitest';
import type { ClientAdapter, Interest, LinkHost, ObjectRef } from '../../adapters/contract.js';
import { epochOf, makePosition } from '../../adapters/position.js';
import type { ServerEvent } from '../../adapters/protocol.js';
import { type AdapterHouse, adapterContract, createTestServer, type TestServer } from '../../adapters/testing/index.js';
import { createListenClient } from '../../widget/client/index.js';

type MayListen = (user: string, object: ObjectRef) => boolean;

/** What a broken house does differently. */
interface Break {
  readonly mayListen?: (ask: MayListen) => MayListen;
  /** What a page's link is asked for, and what it makes of an event: nothing, it, or several. */
  readonly interest?: (interest: Interest) => Interest;
  readonly event?: (event: ServerEvent) => readonly ServerEvent[];
  readonly house?: (server: TestServer) => Partial<AdapterHouse>;
}

function brokenHouse({ mayListen = (ask) => ask, interest = (it) => it, event = (it) => [it], house }: Break) {
  return (ask: MayListen): AdapterHouse => {
    const server = createTestServer({ adapter: 'memory', mayListen: mayListen(ask) });
    const broken = (adapter: ClientAdapter): ClientAdapter => ({
      ...adapter,
      open: (wanted, host) =>
        adapter.open(interest(wanted), {
          ...(host as LinkHost),
          event(given, id) {
            for (const each of event(given)) host.event(each, id);
          },
        }),
    });
    return {
      notify: server.notify,
      revoke: (user, object) => server.revoke(object, user),
      position: server.position,
      createClient(page, hooks) {
        const { adapters = [], ...options } = server.options(page);
        return createListenClient({
          ...options,
          adapters: adapters.map((adapter) => ('open' in adapter ? broken(adapter) : adapter)),
          ...hooks,
        });
      },
      disconnect: server.disconnect,
      connect: server.connect,
      gap: () => server.gap(),
      restart: server.restart,
      requests: () => ({
        auth: server.requests.filter(({ route }) => route === 'auth').length,
        links: server.requests.filter(({ route }) => route === 'stream').length,
      }),
      close: server.close,
      ...house?.(server),
    };
  };
}

const isMarker = (event: ServerEvent): boolean =>
  event.type === 'notification' && event.notification.entity === 'Marker';

const mutants: readonly (readonly [name: string, expected: string, broken: () => Break])[] = [
  [
    'loses every second notification',
    '[1]',
    () => {
      let count = 0;
      return {
        event: (event) => (event.type === 'notification' && !isMarker(event) && ++count % 2 === 0 ? [] : [event]),
      };
    },
  ],
  [
    'gives a notification under another object',
    '[1]',
    () => ({
      event: (event) =>
        event.type === 'notification' && event.notification.entity === 'Order' && event.notification.id === '42'
          ? [{ ...event, notification: { ...event.notification, id: '43' } }]
          : [event],
    }),
  ],
  [
    'forgets who notified',
    '[26]',
    () => ({
      event(event) {
        if (event.type !== 'notification') return [event];
        const { notifier: _, ...rest } = event.notification;
        return [{ ...event, notification: rest }];
      },
    }),
  ],
  [
    'tells everybody what is for one',
    '[4]',
    () => ({
      house: (server) => ({
        notify(action, object, options = {}) {
          const { to: _, ...rest } = options;
          return server.notify(action, object, rest);
        },
      }),
    }),
  ],
  [
    'leaves nobody out',
    '[6]',
    () => ({
      house: (server) => ({
        notify(action, object, options = {}) {
          const { except: _, ...rest } = options;
          return server.notify(action, object, rest);
        },
      }),
    }),
  ],
  [
    'asks for access again and again',
    '[17]',
    () => ({
      house: (server) => ({ requests: () => ({ auth: server.requests.length, links: server.requests.length }) }),
    }),
  ],
  [
    'says ready too early',
    '[18]',
    () => {
      let readyAt = 0;
      return {
        event(event) {
          if (event.type === 'ready') readyAt = performance.now();
          return event.type === 'notification' && !isMarker(event) && performance.now() - readyAt < 3 ? [] : [event];
        },
      };
    },
  ],
  [
    'tells a position of long ago',
    '[18] two listeners',
    () => ({
      house: (server) => ({ position: async () => makePosition(epochOf(await server.position()), 0) }),
    }),
  ],
  ['allows everything', '[59]', () => ({ mayListen: () => () => true })],
  [
    'refuses a whole question for one object',
    '[19]',
    () => {
      let refused = false;
      return {
        mayListen: (ask) => (user, object) => {
          refused ||= !ask(user, object);
          return !refused && ask(user, object);
        },
      };
    },
  ],
  [
    'replays nothing after a cut',
    '[30]',
    () => ({
      interest: (interest) => ({
        ...interest,
        channels: Object.fromEntries(Object.keys(interest.channels).map((channel) => [channel, null])),
      }),
    }),
  ],
  ['keeps quiet about what it lost', '[36]', () => ({ event: (event) => (event.type === 'resync' ? [] : [event]) })],
  [
    'says everything is lost at every opening',
    '[30] what was notified',
    () => ({
      event: (event) => (event.type === 'ready' ? [{ type: 'resync', channels: null }, event] : [event]),
    }),
  ],
  ['goes on after a revocation', '[65]', () => ({ house: () => ({ revoke: async () => undefined }) })],
  [
    'never takes a user again after a revocation',
    '[65] revoking everything',
    () => {
      let revoked = false;
      return {
        mayListen: (ask) => (user, object) => !revoked && ask(user, object),
        house: (server) => ({
          revoke(user, object) {
            revoked = object === undefined;
            return server.revoke(object, user);
          },
        }),
      };
    },
  ],
];

describe('an adapter that', () => {
  test.each(mutants)('%s fails at "%s"', async (_name, expected, broken) => {
    // Only the cases of the row: each failing one waits as long as its patience lasts.
    const cases = adapterContract((ask) => brokenHouse(broken())(ask), { patience: 700, rounds: 10 });
    const named = cases.filter(({ name }) => name.includes(expected));
    expect(named.length).toBeGreaterThan(0);
    const ends = await Promise.allSettled(named.map(({ run }) => run()));
    expect(ends.filter(({ status }) => status === 'rejected')).not.toEqual([]);
  });

  test('breaks nothing fails nowhere', async () => {
    const cases = adapterContract(brokenHouse({}), { patience: 20_000, rounds: 10 });
    const ends = await Promise.allSettled(cases.map(({ run }) => run()));
    expect(cases.filter((_, index) => ends[index]?.status === 'rejected').map(({ name }) => name)).toEqual([]);
  });
});
