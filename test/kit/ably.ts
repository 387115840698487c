/** Both halves of the Ably adapter around an Ably-protocol server, without the rest of the product: for its own tests. */
import { Realtime, type RealtimeChannel } from 'ably';
import { ably } from '../../adapters/ably/client.js';
import { createAblyAdapter, readAblySettings } from '../../adapters/ably/server.js';
import type { Channel } from '../../adapters/channel.js';
import { type AblyEmulator, type AblyEmulatorOptions, startAblyEmulator } from '../../adapters/emulators/index.js';
import type { ListenError } from '../../adapters/errors.js';
import type {
  Outgoing,
  ProviderAdapter,
  ProviderConnection,
  ProviderHost,
  ProviderInterest,
} from '../../adapters/provider.js';
import { EVERYBODY } from '../../adapters/provider.js';
import { everyOf } from '../../adapters/route.js';
import { createTestWorld, type TestWorld } from './world.js';

export const NAMESPACE = 'test';
/** How long anything may take before a test says that it did not come. */
const PATIENCE = 20_000;

/** Resolves once the condition holds. It is looked at after everything that Node's loop brings. */
export async function until(condition: () => boolean, what: string = String(condition)): Promise<void> {
  const end = Date.now() + PATIENCE;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`did not come: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

let offset = 0;
export const outgoing = (channels: readonly Channel[], action = 'updated'): Outgoing => {
  const position = `log:${++offset}` as const;
  return { channels, position, action, json: JSON.stringify({ entity: 'Order', action, position }) };
};

/** What a server says of a page's authorisation: which of the channels it covers, and for how long. */
export interface Rights {
  user: string;
  /** Milliseconds from now. */
  life: number;
  refused: Set<Channel>;
  /** What the server answers instead. */
  error: ListenError | undefined;
  /** Set: answers wait for it. */
  gate: Promise<void> | undefined;
}

export interface Page {
  readonly connection: ProviderConnection;
  readonly world: TestWorld;
  readonly rights: Rights;
  /** What the server was asked for, in order. */
  readonly asked: ProviderInterest[];
  /** What the connection told, in order. */
  readonly told: (['attached', ProviderInterest] | ['missed'] | ['down', ListenError])[];
  /** The actions of what arrived, in order. */
  readonly heard: string[];
  readonly attached: ProviderInterest | undefined;
  count(what: 'attached' | 'missed' | 'down'): number;
  update(channels: readonly Channel[], grants?: readonly string[]): ProviderInterest;
  /** Lets time pass on the page's own clock until the condition holds: for what is tried again after a wait. */
  wait(condition: () => boolean, stepMs?: number): Promise<void>;
  /** Updates, and waits until that very set is attached. */
  hold(channels: readonly Channel[], grants?: readonly string[]): Promise<void>;
}

export interface AblyBench extends AsyncDisposable {
  readonly emulator: AblyEmulator;
  readonly adapter: ProviderAdapter;
  readonly warnings: string[];
  publish(...items: Outgoing[]): ReturnType<ProviderAdapter['publish']>;
  page(): Page;
  /** Ably's own client, with the key: it may do everything. */
  vanilla(
    channels: readonly string[],
  ): Promise<{ client: Realtime; heard: { name: string; data: unknown; channel: string }[] }>;
  /** A token for these channels, as a page gets it, and a client of Ably's own that uses it and nothing else. */
  withToken(user: string, channels: readonly Channel[], life?: number): Promise<Realtime>;
}

export async function startAbly(options: AblyEmulatorOptions = {}): Promise<AblyBench> {
  const emulator = await startAblyEmulator(options);
  const { settings } = readAblySettings(emulator.env);
  if (!settings) throw new Error('the constants of the emulator cannot be read');
  const warnings: string[] = [];
  const adapter = createAblyAdapter({ ...settings, namespace: NAMESPACE, warn: (message) => warnings.push(message) });
  const ends: (() => void)[] = [];
  const reach = {
    endpoint: '127.0.0.1',
    port: emulator.port,
    tls: false,
    logLevel: 0,
    disableConnectivityCheck: true,
  } as const;

  const internal = (channels: readonly Channel[], user: string): Channel[] => [
    ...new Set([...channels, ...channels.flatMap((channel) => everyOf(channel) ?? []), `@user/${user}`, EVERYBODY]),
  ];

  function page(): Page {
    const world = createTestWorld(fetch);
    const rights: Rights = { user: 'ann', life: 300_000, refused: new Set(), error: undefined, gate: undefined };
    const told: Page['told'] = [];
    const heard: string[] = [];
    const asked: ProviderInterest[] = [];
    const host: ProviderHost = {
      config: { settings: adapter.publicSettings } as ProviderHost['config'],
      world,
      async authorise(connection, interest) {
        asked.push(interest);
        await rights.gate;
        if (rights.error) throw rights.error;
        const granted = interest.channels.filter((channel) => !rights.refused.has(channel));
        return adapter.authorise({
          connection,
          user: rights.user,
          channels: internal(granted, rights.user),
          expires: Date.now() + rights.life,
        });
      },
      attached: (interest) => void told.push(['attached', interest]),
      missed: () => void told.push(['missed']),
      message: (data) => void heard.push((JSON.parse(data as string) as { action: string }).action),
      down: (error) => void told.push(['down', error]),
    };
    const connection = ably().connect(host);
    ends.push(connection.close);
    const made: Page = {
      connection,
      world,
      rights,
      asked,
      told,
      heard,
      get attached() {
        const last = told.findLast(([what]) => what !== 'missed');
        return last?.[0] === 'attached' ? last[1] : undefined;
      },
      count: (what) => told.filter(([name]) => name === what).length,
      update(channels, grants = ['grant']) {
        const interest = { channels, grants };
        connection.update(interest);
        return interest;
      },
      async wait(condition, stepMs = 100) {
        const end = Date.now() + PATIENCE;
        while (!condition()) {
          if (Date.now() > end) throw new Error(`did not come: ${condition}`);
          await world.advance(stepMs);
        }
      },
      async hold(channels, grants) {
        const interest = made.update(channels, grants);
        await until(() => made.attached === interest, 'the set attached');
      },
    };
    return made;
  }

  function open(client: Realtime): Realtime {
    ends.push(() => client.close());
    return client;
  }

  return {
    emulator,
    adapter,
    warnings,
    publish: (...items) => adapter.publish(items),
    page,
    async vanilla(channels) {
      const client = open(new Realtime({ ...reach, key: settings.key }));
      const heard: { name: string; data: unknown; channel: string }[] = [];
      for (const channel of channels)
        await client.channels.get(channel).subscribe(({ name = '', data }) => heard.push({ name, data, channel }));
      return { client, heard };
    },
    async withToken(user, channels, life = 300_000) {
      const { details } = await adapter.authorise({ connection: 'x', user, channels, expires: Date.now() + life });
      const { tokenRequest } = details as { tokenRequest: import('ably').TokenRequest };
      return open(new Realtime({ ...reach, authCallback: (_params, callback) => callback(null, tokenRequest) }));
    },
    async [Symbol.asyncDispose]() {
      for (const end of ends) end();
      await adapter.close();
      await emulator.close();
    },
  };
}

/** How an attach ends: `attached`, or the code of Ably's refusal. */
export async function attaching(channel: RealtimeChannel): Promise<string | number> {
  return channel.attach().then(
    () => 'attached',
    (error: { code: number }) => error.code,
  );
}
