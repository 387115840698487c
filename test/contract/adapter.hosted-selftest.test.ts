/**
 * The provider's cases of the adapter's suite test themselves: the example adapter with one promise broken fails at the
 * case that names it.
 */
import { describe, expect, test } from 'vitest';
import type { ProviderAdapter, ProviderClientAdapter, ProviderHost } from '../../adapters/provider.js';
import { type AdapterHouse, adapterContract, type HouseProvider, serverHouse } from '../../adapters/testing/index.js';
import { startBroker } from '../docs/example-adapter/broker.js';
import { example } from '../docs/example-adapter/client.js';
import { exampleServer } from '../docs/example-adapter/server.js';

/** What is broken: calls of the server half, what the client half tells or is told, or what the house does. */
interface Break {
  readonly server?: (half: ProviderAdapter) => Partial<ProviderAdapter>;
  readonly capabilities?: ProviderClientAdapter['capabilities'];
  readonly host?: (host: ProviderHost) => Partial<ProviderHost>;
  readonly update?: (update: Update) => Update;
  readonly namespace?: string;
  readonly house?: (house: AdapterHouse) => Partial<AdapterHouse>;
  readonly provider?: Partial<HouseProvider>;
}

type Mutant = readonly [name: string, expected: string, sentence: string, broken: () => Break];

type Update = ReturnType<ProviderClientAdapter['connect']>['update'];

function brokenHouse(
  broken: Break,
  patience: number,
): (...given: Parameters<ReturnType<typeof serverHouse>>) => Promise<AdapterHouse> {
  const make = serverHouse(async () => {
    const key = 'the key of the account';
    const broker = await startBroker(key);
    return {
      adapter({ namespace }) {
        const half = exampleServer({ url: broker.url, key, namespace: broken.namespace ?? namespace });
        return { ...half, ...broken.server?.(half) };
      },
      client() {
        const half = example();
        return {
          ...half,
          ...(broken.capabilities && { capabilities: broken.capabilities }),
          connect(host) {
            const connection = half.connect({ ...host, ...broken.host?.(host) });
            return { ...connection, update: broken.update?.(connection.update) ?? connection.update };
          },
        };
      },
      faults: {
        down: () => broker.become('down'),
        refuse: () => broker.become('refusing'),
        up: () => broker.become('up'),
        lose: () => broker.admitLoss(),
      },
      close: () => broker.close(),
      patience,
    };
  });
  return async (ask) => {
    const house = await make(ask);
    return {
      ...house,
      ...broken.house?.(house),
      ...(house.provider && { provider: { ...house.provider, ...broken.provider } }),
    };
  };
}

/**
 * Each case that fails waits as long, in milliseconds. On a busy machine the least may be too little for what works, so
 * that the case fails too early, with another sentence: then it is tried again with more.
 */
const PATIENCES = [2_000, 6_000, 20_000];

const mutants: readonly Mutant[] = [
  [
    'accepts and publishes nothing',
    '[52] the provider carries',
    'in vain for the marker',
    () => ({ server: () => ({ publish: async (batch) => batch.map(() => ({ kind: 'accepted' as const })) }) }),
  ],
  [
    'loses every second message',
    '[1] only',
    'in vain for the marker',
    () => {
      let count = 0;
      return {
        host: (host) => ({
          message(data) {
            if (++count % 2 === 0) host.message(data);
          },
        }),
      };
    },
  ],
  [
    'asks our server about each message',
    '[52] the provider carries',
    'requests of the page',
    () => ({
      host: (host) => ({
        message(data) {
          host.missed();
          host.message(data);
        },
      }),
    }),
  ],
  [
    'does not tell that it is cut off',
    '[52] the provider goes down',
    'in vain for the page to notice',
    () => ({ host: () => ({ down: () => {} }) }),
  ],
  [
    'does not come back',
    '[52] the provider goes down',
    'in vain for via example again',
    () => {
      let down = false;
      return {
        host: (host) => ({
          down(error) {
            down = true;
            host.down(error);
          },
          attached: (interest) => down || host.attached(interest),
        }),
      };
    },
  ],
  [
    'does not tell a refusal',
    '[52] the provider refuses',
    'in vain for ready',
    () => ({ host: () => ({ down: () => {} }) }),
  ],
  [
    'hides a loss',
    '[36] a loss that the provider admits',
    'in vain for what was lost',
    () => ({ host: () => ({ missed: () => {} }) }),
  ],
  [
    'never subscribes when only the grants are new',
    '[46]',
    'in vain for',
    () => ({
      update(update) {
        let known = '';
        return (interest) => {
          if (known !== String(interest.channels)) update(interest);
          known = String(interest.channels);
        };
      },
    }),
  ],
  [
    'says that it holds more channels than it does',
    '[41] 250',
    'in vain for the runs',
    () => ({
      capabilities: { fansOut: 'provider', channels: 1_000 },
      host: (host) => ({
        authorise: (id, interest) => host.authorise(id, { ...interest, channels: interest.channels.slice(0, 100) }),
      }),
    }),
  ],
  [
    'signs more than it was asked for',
    '[59] a connection hears only',
    'what it heard',
    () => ({
      server: (half) => ({
        authorise: (request) => half.authorise({ ...request, channels: [...request.channels, 'Order/42'] }),
      }),
    }),
  ],
  [
    'has one channel for all users',
    '[4] [5] at the provider',
    'what it heard',
    () => {
      const common = (channels: readonly string[]): string[] =>
        channels.map((channel) => channel.replace(/^@user\/.*/, '@user/any'));
      return {
        server: (half) => ({
          authorise: (request) => half.authorise({ ...request, channels: common(request.channels) }),
          publish: (batch) => half.publish(batch.map((item) => ({ ...item, channels: common(item.channels) }))),
        }),
      };
    },
  ],
  [
    'revokes nothing',
    '[65] a right that is revoked ends at the provider',
    'in vain for the answer that one channel is not covered any more',
    () => ({ server: () => ({ revoke: async () => {} }) }),
  ],
  ['has one namespace for all', '[66]', 'what home heard', () => ({ namespace: 'one' })],
];

/** Houses whose faults are none, and servers that are not what they say: what a case checks must be able to fail. */
const houses: readonly Mutant[] = [
  [
    'loses nothing',
    '[30] what the provider loses in silence',
    'what was lost',
    () => ({ provider: { drop: () => {} } }),
  ],
  [
    'is never down',
    '[52] the provider goes down',
    'in vain for the page to notice',
    () => ({ provider: { down: () => {} } }),
  ],
  [
    'refuses nobody',
    '[52] the provider refuses',
    'a new page is not on the built-in SSE',
    () => ({ provider: { refuse: () => {} } }),
  ],
  ['loses what it held', '[32] [33]', 'in vain for the marker', () => ({ provider: { release: () => {} } })],
  [
    'tells other nodes nothing',
    '[68]',
    'in vain for what the other node was told',
    () => ({
      house: (house) => {
        let alone = false;
        return {
          notify: (action, object, options) =>
            alone ? house.position().then((position) => [position]) : house.notify(action, object, options),
          nodes: {
            async add() {
              alone = true;
            },
            leave: async () => {},
          },
        };
      },
    }),
  ],
  [
    'loses what is notified while a node leaves',
    '[38]',
    'objects that heard each: expected [3,3,3], but got [3,0,3]',
    () => ({
      house: (house) => ({
        notify: (action, object, options) =>
          action === 'during' ? house.position().then((position) => [position]) : house.notify(action, object, options),
      }),
    }),
  ],
];

describe.each([
  ['an adapter that', mutants],
  ['a house that', houses],
] as const)('%s', (_what, broken) => {
  test.concurrent.each(broken)('%s fails at "%s"', async (_name, expected, sentence, make) => {
    let told = '';
    for (const patience of PATIENCES) {
      const house = brokenHouse(make(), patience);
      const cases = adapterContract(house, { hosted: 'example', nodes: true, patience, rounds: 3 });
      const named = cases.filter(({ name }) => name.includes(expected));
      expect(named.length).toBe(1);
      told = await (named[0] as (typeof cases)[number]).run().then(() => 'nothing failed', String);
      if (told.includes(sentence)) return;
    }
    expect(told).toContain(sentence);
  });
});
