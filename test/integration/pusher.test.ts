/** Both halves of the Pusher adapter with both of the vendor's SDKs, against the local server of its protocol. */
import type { AddressInfo } from 'node:net';
import PusherModule from 'pusher-js';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { WebSocketServer } from 'ws';
import type { Channel } from '../../adapters/channel.js';
import {
  type PusherEmulator,
  type PusherEmulatorOptions,
  startPusherEmulator,
} from '../../adapters/emulators/index.js';
import { ListenError } from '../../adapters/errors.js';
import type {
  Outgoing,
  ProviderAdapter,
  ProviderAuthorised,
  ProviderConnection,
  ProviderHost,
  ProviderInterest,
} from '../../adapters/provider.js';
import { pusher } from '../../adapters/pusher/client.js';
import type { PusherDetails } from '../../adapters/pusher/details.js';
import { LEAD_MS, PERIOD_MS, SKEW_MS } from '../../adapters/pusher/names.js';
import { createPusherAdapter, type PusherAdapterOptions, readPusherSettings } from '../../adapters/pusher/server.js';
import { createTestWorld, type TestWorld } from '../kit/world.js';

// The package is CommonJS, and its types say that it is a module.
const PusherJs = PusherModule as unknown as typeof PusherModule.default;
/** In the middle of a period: what is not about periods has one name for each channel. */
const MIDDLE = 6_000_000.5 * PERIOD_MS;

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function emulate(options?: PusherEmulatorOptions): Promise<PusherEmulator> {
  const emulator = await startPusherEmulator(options);
  closing.push(() => emulator.close());
  return emulator;
}

function serverHalf(
  { env }: Pick<PusherEmulator, 'env'>,
  options: Partial<PusherAdapterOptions> = {},
  constants: Record<string, string> = {},
): ProviderAdapter {
  const { settings, mistakes } = readPusherSettings({ ...env, ...constants });
  if (!settings) throw new Error(mistakes.join('\n'));
  const adapter = createPusherAdapter({ ...settings, namespace: 'shop', now: () => MIDDLE, ...options });
  closing.push(() => adapter.close());
  return adapter;
}

const offline: TestWorld['fetch'] = async () => {
  throw new Error('the adapter makes no request by itself');
};

interface Page {
  readonly connection: ProviderConnection;
  readonly heard: unknown[];
  readonly attached: ProviderInterest[];
  readonly downs: ListenError[];
  readonly asked: { connection: string; channels: readonly Channel[] }[];
  /** What is asked of the server is answered by this, from now on. */
  authorise: ProviderHost['authorise'];
  listen(...channels: Channel[]): ProviderInterest;
}

/** The client half in the hand of the test: what it tells is kept, what it asks is signed by the server half. */
function page(adapter: ProviderAdapter, world: TestWorld, user = 'user-a', over: Partial<ProviderHost> = {}): Page {
  const sign: ProviderHost['authorise'] = (connection, { channels }) =>
    adapter.authorise({ connection, user, channels: [...channels, '@all'], expires: Number.POSITIVE_INFINITY });
  const kept = { heard: [], attached: [], downs: [], asked: [] } as Pick<
    Page,
    'heard' | 'attached' | 'downs' | 'asked'
  >;
  const it: Page = {
    ...kept,
    authorise: sign,
    connection: pusher().connect({
      config: { settings: adapter.publicSettings } as ProviderHost['config'],
      world,
      authorise(connection, interest) {
        kept.asked.push({ connection, channels: interest.channels });
        return it.authorise(connection, interest);
      },
      attached: (interest) => kept.attached.push(interest),
      missed: () => {
        throw new Error('Pusher has no loss flag');
      },
      message: (data) => kept.heard.push((data as { n?: unknown }).n ?? data),
      down: (error) => kept.downs.push(error),
      ...over,
    }),
    listen(...channels) {
      const interest = { grants: [], channels };
      it.connection.update(interest);
      return interest;
    },
  };
  closing.push(() => it.connection.close());
  return it;
}

/** Waits in real time for what comes over real sockets, and lets no time of the page pass. */
const until = (holds: () => unknown): Promise<void> =>
  vi.waitFor(() => expect(holds(), String(holds)).toBeTruthy(), { interval: 5 });

let serial = 0;
const item = (channels: readonly Channel[], n: unknown = ++serial, action = 'shipped'): Outgoing => ({
  channels,
  position: 'e:1',
  action,
  json: JSON.stringify({ n }),
});
const kinds = async (adapter: ProviderAdapter, ...items: Outgoing[]) =>
  (await adapter.publish(items)).map(({ kind }) => kind);

/** Keeps what is waited for, limits of 10 s aside: right after `down`, the last one is the wait for the next socket. */
function recording(world: TestWorld): TestWorld & { readonly waits: number[] } {
  const { setTimeout } = world;
  const waits: number[] = [];
  return Object.assign(world, {
    waits,
    setTimeout(run: () => void, ms: number) {
      if (ms !== 10_000) waits.push(ms);
      return setTimeout(run, ms);
    },
  });
}

async function pair(options?: PusherEmulatorOptions) {
  const emulator = await emulate(options);
  const adapter = serverHalf(emulator);
  const world = recording(createTestWorld(offline));
  return { emulator, adapter, world, it: page(adapter, world) };
}

describe('publishing', () => {
  test('items arrive in order, in full and on every channel that carries them', async () => {
    const { adapter, it, emulator } = await pair();
    it.listen('Order/1', 'Order/2', 'Order');
    await until(() => it.attached.length);
    const items = Array.from({ length: 25 }, (_, n) => item([`Order/${(n % 2) + 1}`], n));
    const before = emulator.counters.requests;
    expect(await kinds(adapter, ...items, item(['Order', 'Order/1', 'Order/3'], 'last'))).not.toContain('later');
    await until(() => it.heard.filter((n) => n === 'last').length === 2);
    expect(it.heard.filter((n) => n !== 'last')).toEqual(items.map((_, n) => n));
    // 10 + 10 + 5 and the three names of the last one.
    expect(emulator.counters.requests - before).toBe(3);
  });

  test('an action that Pusher keeps to itself arrives all the same', async () => {
    const { adapter, it } = await pair();
    it.listen('Order/1');
    await until(() => it.attached.length);
    for (const action of ['pusher:x', 'pusher_internal:x', 'client-x', 'x'.repeat(100)])
      expect(await kinds(adapter, item(['Order/1'], action, action))).toEqual(['accepted']);
    await until(() => it.heard.length === 4);
  });

  test('a name that is too long works like any other', async () => {
    const { adapter, it } = await pair();
    const long = `Order/${'x'.repeat(300)}`;
    it.listen(long);
    await until(() => it.attached.length);
    expect(await kinds(adapter, item([long], 'long'))).toEqual(['accepted']);
    await until(() => it.heard.includes('long'));
  });

  test('wrong keys, a used-up quota and faults wait, and say why', async () => {
    const emulator = await emulate();
    const wrong = serverHalf(emulator, {}, { PUSHER_SECRET: 'another' });
    const adapter = serverHalf(emulator);
    const [first] = await wrong.publish([item(['Order'])]);
    expect(first).toMatchObject({ kind: 'later', retryAfterMs: 60_000 });
    expect(String(first?.kind === 'later' && first.error)).toContain('PUSHER_SECRET is wrong');
    emulator.faults.set({ quota: true });
    const [second] = await adapter.publish([item(['Order'])]);
    expect(second).toMatchObject({ kind: 'later', retryAfterMs: 60_000 });
    expect(String(second?.kind === 'later' && second.error)).toContain('quota');
    for (const requests of [{ status: 429, retryAfter: 1 }, { status: 503 }, 'reset' as const]) {
      emulator.faults.clear();
      emulator.faults.set({ requests });
      expect(await kinds(adapter, item(['Order']), item(['Order']))).toEqual(['later', 'later']);
    }
    emulator.faults.clear();
    expect(await kinds(adapter, item(['Order']))).toEqual(['accepted']);
  });

  test('an API that does not answer is given up in time', async () => {
    const emulator = await emulate({ faults: { requests: 'silent' } });
    expect(await kinds(serverHalf(emulator, { timeout: 100 }), item(['Order']))).toEqual(['later']);
  });

  test('what Pusher rejects is skipped alone', async () => {
    const emulator = await emulate();
    const adapter = serverHalf(emulator);
    const large = { ...item(['Order']), json: JSON.stringify({ text: 'x'.repeat(10_300) }) };
    expect(await kinds(adapter, item(['Order']), large, item(['Order']))).toEqual([
      'accepted',
      'impossible',
      'accepted',
    ]);
    expect(emulator.counters.published).toBe(2);
  });
});

describe('the connection of a page', () => {
  test('all channels of one tick are authorised in one request, and the newest set wins', async () => {
    const { it } = await pair();
    it.listen('Order/1');
    it.listen('Order/1', 'Order/2');
    const newest = it.listen('Order/2', 'Order/3');
    await until(() => it.attached.length);
    expect(it.asked.map(({ channels }) => channels)).toEqual([['Order/2', 'Order/3']]);
    expect(it.attached).toEqual([newest]);
  });

  test('a set that comes while another is being authorised is told, and only it', async () => {
    const { it, adapter, emulator } = await pair();
    let release = (): void => {};
    const { authorise } = it;
    it.authorise = async (...asked) => {
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      return authorise(...asked);
    };
    it.listen('Order/1');
    await until(() => it.asked.length === 1);
    const newest = it.listen('Order/2');
    it.authorise = authorise;
    release();
    await until(() => it.attached.length);
    expect(it.attached).toEqual([newest]);
    // What is not listened to any more is left: Order/2, @all, and the channel of the signed-in user.
    await until(() => emulator.counters.subscriptions === 3);
    await adapter.publish([item(['Order/1'], 'old'), item(['Order/2'], 'new')]);
    await until(() => it.heard.length);
    expect(it.heard).toEqual(['new']);
  });

  test('a failed authorisation is tried again, after a wait that grows', async () => {
    const { it, world } = await pair();
    const { authorise } = it;
    const waits: number[] = [];
    let last = world.monotonic();
    it.authorise = async () => {
      waits.push(world.monotonic() - last);
      last = world.monotonic();
      throw new ListenError('unavailable', 'no');
    };
    it.listen('Order/1');
    await until(() => it.asked.length === 1);
    for (let n = 2; n < 9; n++) await world.until(() => it.asked.length === n);
    // Half of 1, 2, 4, … 30 s, since the test's chance is a half; in steps of 10 ms.
    expect(waits.slice(1).map((wait) => Math.round(wait / 100) / 10)).toEqual([0.5, 1, 2, 4, 8, 15, 15]);
    expect(it.downs.map(({ code }) => code)).toContain('unavailable');
    it.authorise = authorise;
    await world.until(() => it.asked.length === 9);
    await until(() => it.attached.length);
  });

  test.each([4200, 4201, 1001, 1006, 4009])(
    'closed with %d: authorised and told again on a new socket',
    async (code) => {
      const { it, world, emulator, adapter } = await pair();
      const set = it.listen('Order/1');
      await until(() => it.attached.length);
      if (code < 4000) await emulator.stop().then(() => emulator.start());
      else emulator.closeAll(code);
      await until(() => it.downs.length);
      expect(it.downs.map((error) => error.code)).toEqual(['network']);
      await world.advance(1_000);
      await until(() => it.attached.length === 2);
      expect(it.attached).toEqual([set, set]);
      const [first, second] = it.asked;
      expect(second?.connection).not.toBe(first?.connection);
      await adapter.publish([item(['Order/1'], 'again')]);
      await until(() => it.heard.includes('again'));
      expect(emulator.counters.connections).toBe(1);
    },
  );

  test.each([
    [4004, 'limit', 'used up'],
    [4100, 'limit', 'capacity'],
    [4001, 'unavailable', 'PUSHER_KEY'],
    [4003, 'unavailable', 'disabled'],
    [4007, 'unavailable', '4007'],
  ])('refused with %d: told, and tried again for ever with growing waits', async (code, told, sentence) => {
    const emulator = await emulate({ faults: { connections: code } });
    const world = recording(createTestWorld(offline));
    const it = page(serverHalf(emulator), world);
    it.listen('Order/1');
    for (let n = 1; n <= 9; n++) {
      await until(() => it.downs.length === n);
      // Up to the next try, and no further: that one is real.
      if (n < 9) await world.advance(world.waits.at(-1) ?? 0);
    }
    // Three quarters of 2, 4, 8, … 300 s, since the test's chance is a half.
    expect(world.waits).toEqual([1_500, 3_000, 6_000, 12_000, 24_000, 48_000, 96_000, 192_000, 225_000]);
    for (const error of it.downs) {
      expect(error.code).toBe(told);
      expect(error.retryable).toBe(true);
      expect(error.message).toContain(sentence);
    }
    emulator.faults.clear();
    await world.advance(world.waits.at(-1) ?? 0);
    await until(() => it.attached.length);
  });

  test('nobody there: told at once, not after the limit, and it returns', async () => {
    const { it, world, emulator } = await pair();
    it.listen('Order/1');
    await until(() => it.attached.length);
    await emulator.stop();
    await until(() => it.downs.length === 1);
    await world.advance(1_000);
    await until(() => it.downs.length === 2);
    expect(it.downs.map(({ code }) => code)).toEqual(['network', 'network']);
    await emulator.start();
    await world.advance(world.waits.at(-1) ?? 0);
    await until(() => it.attached.length === 2);
  });

  test('however long nobody was there: tried again within 15 s', async () => {
    const emulator = await emulate();
    const world = recording(createTestWorld(offline));
    const it = page(serverHalf(emulator), world);
    await emulator.stop();
    it.listen('Order/1');
    for (let n = 1; n <= 7; n++) {
      await until(() => it.downs.length === n);
      if (n < 7) await world.advance(world.waits.at(-1) ?? 0);
    }
    // Half of 1, 2, 4, 8, 15, … s, since the test's chance is a half.
    expect(world.waits).toEqual([500, 1_000, 2_000, 4_000, 7_500, 7_500, 7_500]);
    await emulator.start();
    await world.advance(7_500);
    await until(() => it.attached.length);
  });

  test('a server that takes the connection and says nothing is given up', async () => {
    const emulator = await emulate({ faults: { connections: 'silent' } });
    const world = createTestWorld(offline);
    const it = page(serverHalf(emulator), world);
    it.listen('Order/1');
    await until(() => world.timers === 1);
    await world.advance(9_999);
    expect(it.downs).toEqual([]);
    await world.advance(1);
    expect(it.downs.map(({ code }) => code)).toEqual(['network']);
  });

  test('signatures of another secret: the socket is given up, and another one is tried', async () => {
    const emulator = await emulate();
    const world = createTestWorld(offline);
    const it = page(serverHalf(emulator, {}, { PUSHER_SECRET: 'another' }), world);
    it.listen('Order/1');
    await until(() => it.asked.length);
    await world.until(() => it.downs.length > 0);
    expect(it.attached).toEqual([]);
    expect(it.downs[0]?.retryable).toBe(true);
    await world.until(() => it.asked.length > 1);
  });

  test('what the core throws never reaches pusher-js, and is not lost', async () => {
    const emulator = await emulate();
    const adapter = serverHalf(emulator);
    const world = createTestWorld(offline);
    const heard: unknown[] = [];
    const it = page(adapter, world, 'user-a', {
      message(data) {
        heard.push(data);
        throw new Error('the core is broken');
      },
      attached(interest) {
        it.attached.push(interest);
        throw new Error('the core is broken');
      },
    });
    it.listen('Order/1');
    await until(() => it.attached.length);
    await adapter.publish([item(['Order/1'], 1), item(['Order/1'], 2)]);
    await until(() => heard.length === 2);
    expect(it.downs).toEqual([]);
    await expect(world.advance(0)).rejects.toThrow('the core is broken');
  });

  test('closing leaves nothing behind: no socket, no timer, no instance, no listener', async () => {
    const { it, world, emulator } = await pair();
    const network = PusherJs.Runtime.getNetwork().callbacks;
    const instances = () => (PusherJs as unknown as { instances: unknown[] }).instances.length;
    it.listen('Order/1');
    await until(() => it.attached.length);
    expect(instances()).toBe(1);
    it.connection.close();
    it.connection.close();
    await until(() => emulator.counters.connections === 0);
    expect(instances()).toBe(0);
    expect(world.timers).toBe(0);
    expect([network.get('online') ?? [], network.get('offline') ?? []]).toEqual([[], []]);
    expect(it.downs).toEqual([]);
    it.listen('Order/2');
    expect(it.asked).toHaveLength(1);
  });

  test('closed before it began: nothing is opened', async () => {
    const { it, world, emulator } = await pair();
    it.connection.close();
    await world.settle();
    expect(world.timers).toBe(0);
    expect(emulator.counters.connected).toBe(0);
  });

  test('a socket that falls silent after it was confirmed is as good as cut: the keys are not to blame', async () => {
    const { it, emulator, world } = await pair();
    it.listen('Order/1');
    await until(() => it.attached.length);
    emulator.faults.set({ silent: true });
    it.listen('Order/1', 'Order/2');
    await until(() => it.asked.length === 2);
    await world.settle();
    await world.advance(10_000);
    await until(() => it.downs.length);
    expect(it.downs.map(({ code }) => code)).toEqual(['network']);
    expect(it.downs[0]?.message).toContain('nothing was heard');
    expect(it.downs[0]?.message).not.toContain('PUSHER_');
  });

  test('closed by the core from inside a call: nothing comes back', async () => {
    const { it, emulator, world } = await pair();
    it.listen('Order/1');
    await until(() => it.attached.length);
    const { connection, downs } = it;
    const push = downs.push.bind(downs);
    downs.push = (error) => {
      connection.close();
      return push(error);
    };
    emulator.closeAll(4200);
    await until(() => downs.length);
    await until(() => emulator.counters.connections === 0);
    expect(world.timers).toBe(0);
    await world.advance(60_000);
    expect(emulator.counters.connected).toBe(1);
  });
});

describe('names by period', () => {
  /** A clock for nodes that goes with the page's. */
  function clocks() {
    const world = createTestWorld(offline);
    // The test's wall clock begins at a boundary of periods.
    const offset = Math.ceil(world.now() / PERIOD_MS) * PERIOD_MS - world.now();
    return { world, at: (skew: number) => () => world.now() + offset + skew, random: () => world.random() };
  }

  test.each([-24_000, 0, 24_000])(
    'over three periods nothing is lost, doubled or interrupted, when the clock of the relay differs by %d ms',
    async (skew) => {
      const emulator = await emulate();
      const { world, at, random } = clocks();
      const signing = serverHalf(emulator, { now: at(0), random });
      const relay = serverHalf(emulator, { now: at(skew), random });
      const it = page(signing, world);
      it.listen('Order/1');
      await until(() => it.attached.length);
      const sent: number[] = [];
      for (let time = 0; time < 3 * PERIOD_MS; time += 6_000) {
        await relay.publish([item(['Order/1'], time)]);
        sent.push(time);
        await until(() => it.heard.length === sent.length);
        const asked = it.asked.length;
        await world.advance(6_000);
        if (it.asked.length > asked) await until(() => it.attached.length === it.asked.length);
      }
      expect(it.heard).toEqual(sent);
      expect(it.downs).toEqual([]);
      // Nothing is published twice, and one request a period is enough.
      expect(emulator.counters.published).toBe(sent.length);
      expect(it.asked.length).toBeLessThanOrEqual(4);
      expect(emulator.counters.connected).toBe(1);
    },
    20_000,
  );

  test('the former names are left half a minute after their end', async () => {
    const emulator = await emulate();
    const { world, at, random } = clocks();
    const it = page(serverHalf(emulator, { now: at(0), random }), world);
    it.listen('Order/1');
    // Two names of the period that is over for no time, two of the present one, and the user's channel.
    await until(() => emulator.counters.subscriptions === 5);
    await world.advance(SKEW_MS);
    await until(() => emulator.counters.subscriptions === 3);
    await world.until(() => it.asked.length === 2, PERIOD_MS);
    await until(() => emulator.counters.subscriptions === 5);
    const now = at(0)();
    expect(PERIOD_MS - (now % PERIOD_MS)).toBeGreaterThan(LEAD_MS / 2);
    await world.advance(PERIOD_MS - (now % PERIOD_MS) + SKEW_MS);
    await until(() => emulator.counters.subscriptions === 3);
    expect(it.downs).toEqual([]);
  });

  test('a page that is not authorised any more says so when its names end', async () => {
    const emulator = await emulate();
    const { world, at, random } = clocks();
    const it = page(serverHalf(emulator, { now: at(60_000), random }), world);
    it.listen('Order/1');
    await until(() => it.attached.length);
    it.authorise = async () => {
      throw new ListenError('unavailable', 'no');
    };
    await world.advance(PERIOD_MS - 60_000 + SKEW_MS - 1);
    expect(it.asked.length).toBeGreaterThan(1);
    expect(it.downs).toEqual([]);
    await world.advance(1);
    expect(it.downs.map(({ code }) => code)).toEqual(['unavailable']);
  });

  test('a page that keeps its socket and asks nobody hears nothing after period and lead', async () => {
    const emulator = await emulate();
    const { world, at, random } = clocks();
    const adapter = serverHalf(emulator, { now: at(-LEAD_MS), random });
    const honest = page(adapter, world);
    // It has all that was ever signed for it, and signs in with nothing.
    const raw = new PusherJs('local-key', {
      cluster: '',
      wsHost: '127.0.0.1',
      wsPort: emulator.port,
      forceTLS: false,
      enabledTransports: ['ws'],
      channelAuthorization: {
        customHandler: ({ channelName }, answer) => answer(null, { auth: signed.get(channelName) ?? '' }),
      },
    } as ConstructorParameters<typeof PusherJs>[1]);
    closing.push(() => raw.disconnect());
    const began = world.now();
    const signed = new Map<string, string>();
    const stolen: unknown[] = [];
    await until(() => raw.connection.state === 'connected');
    const { details } = await adapter.authorise({
      connection: raw.connection.socket_id,
      user: 'user-a',
      channels: ['Order/1'],
      expires: 0,
    });
    let subscribed = 0;
    for (const { names } of (details as PusherDetails).periods) {
      for (const [name, auth] of Object.entries(names)) {
        signed.set(name, auth);
        raw.subscribe(name).bind_global((event: string, data: unknown) => {
          if (event === 'pusher:subscription_succeeded') subscribed++;
          else stolen.push((data as { n: unknown }).n);
        });
      }
    }
    // In the lead: the present period and the next one.
    await until(() => subscribed === 2);
    honest.listen('Order/1');
    await until(() => honest.attached.length);
    await adapter.publish([item(['Order/1'], 'before')]);
    await until(() => stolen.length === 1 && honest.heard.length === 1);

    for (let passed = 0; passed < LEAD_MS + PERIOD_MS - 10_000; passed += 5_000) {
      await world.advance(5_000);
      await until(() => honest.attached.length === honest.asked.length);
    }
    await world.advance(LEAD_MS + PERIOD_MS - 1 - (world.now() - began));
    await adapter.publish([item(['Order/1'], 'in the last moment')]);
    await until(() => stolen.length === 2 && honest.heard.length === 2);
    await world.advance(1);
    await adapter.publish([item(['Order/1'], 'after')]);
    await until(() => honest.heard.length === 3);
    // A marker on the same socket shows that nothing else was on its way.
    const marker = new Promise((resolve) => raw.connection.bind('pong', resolve));
    raw.connection.bind(
      'message',
      ({ event }: { event: string }) => event === 'pusher:pong' && raw.connection.emit('pong'),
    );
    raw.send_event('pusher:ping', {});
    await marker;
    expect(stolen).toEqual(['before', 'in the last moment']);
  });
});

describe('revocation', () => {
  test('ends the sockets of the user, who comes back with what is left; nobody else notices', async () => {
    const emulator = await emulate();
    const adapter = serverHalf(emulator);
    const world = createTestWorld(offline);
    const [mine, other] = [page(adapter, world, 'user-a'), page(adapter, world, 'user-b')];
    mine.listen('Order/1', 'Order/2');
    other.listen('Order/1');
    await until(() => mine.attached.length && other.attached.length);
    const { authorise } = mine;
    mine.authorise = (connection, { grants, channels }) =>
      authorise(connection, { grants, channels: channels.filter((channel) => channel !== 'Order/1') });
    // Signing in goes beside subscribing: only who has signed in can be ended.
    await until(() => emulator.counters.subscriptions === 3 + 1 + 2 + 1);
    await adapter.revoke(['user-a', 'user-a-by-the-older-secret'], ['Order/1']);
    await until(() => mine.downs.length);
    await world.advance(1_000);
    await until(() => mine.attached.length === 2);
    await adapter.publish([item(['Order/1'], 'secret'), item(['Order/2'], 'mine')]);
    await until(() => mine.heard.length && other.heard.length);
    expect(mine.heard).toEqual(['mine']);
    expect(other.heard).toEqual(['secret']);
    expect(other.downs).toEqual([]);
  });

  test('a user who is not there is no failure; a provider that cannot be asked is', async () => {
    const emulator = await emulate();
    const adapter = serverHalf(emulator);
    await adapter.revoke(['nobody'], undefined);
    emulator.faults.set({ requests: { status: 404 } });
    await adapter.revoke(['nobody'], undefined);
    emulator.faults.set({ requests: { status: 500 } });
    await expect(adapter.revoke(['nobody'], undefined)).rejects.toThrow('Pusher answered 500');
  });
});

describe('a compatible server', () => {
  /** Only the words in which such servers differ; \`answer\` says what each message of a client gets. */
  async function speaking(
    answer: (event: string, channel: string) => { event: string; data: string; channel?: string },
  ) {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await new Promise((resolve) => server.on('listening', resolve));
    let opened = 0;
    server.on('connection', (socket) => {
      const established = { socket_id: `1.${++opened}`, activity_timeout: 30 };
      socket.send(JSON.stringify({ event: 'pusher:connection_established', data: JSON.stringify(established) }));
      socket.on('message', (message) => {
        const { event, data } = JSON.parse(String(message)) as { event: string; data: { channel: string } };
        socket.send(JSON.stringify(answer(event, data.channel)));
      });
    });
    closing.push(() => {
      for (const socket of server.clients) socket.terminate();
      server.close();
    });
    const PUSHER_PORT = String((server.address() as AddressInfo).port);
    const env = { PUSHER_APP_ID: '1', PUSHER_KEY: 'k', PUSHER_SECRET: 's', PUSHER_HOST: '127.0.0.1', PUSHER_PORT };
    return { env: { ...env, PUSHER_SCHEME: 'http' }, opened: () => opened };
  }

  const subscribed = (channel: string) => ({ event: 'pusher_internal:subscription_succeeded', data: '{}', channel });

  test('that does not know signing in, and says so, carries all the same (Reverb, Sockudo)', async () => {
    const unknown = { event: 'pusher:error', data: JSON.stringify({ code: 4200, message: 'Invalid message format' }) };
    const server = await speaking((event, channel) => (event === 'pusher:signin' ? unknown : subscribed(channel)));
    const world = createTestWorld(offline);
    const it = page(serverHalf(server), world);
    const set = it.listen('Order/1');
    await until(() => it.attached.length);
    // What it says to signing in comes before what it says to a later set.
    it.listen('Order/1', 'Order/2');
    await until(() => it.attached.length === 2);
    expect(it.attached[0]).toBe(set);
    expect(it.downs).toEqual([]);
    expect(server.opened()).toBe(1);
  });

  test('that refuses a subscription by a message is left, and tried again (Soketi)', async () => {
    const server = await speaking((_event, channel) => ({
      event: 'pusher:subscription_error',
      data: JSON.stringify({ type: 'AuthError', status: 401 }),
      channel,
    }));
    const world = recording(createTestWorld(offline));
    const it = page(serverHalf(server), world);
    it.listen('Order/1');
    await until(() => it.downs.length);
    expect(it.downs.map(({ code, retryable }) => [code, retryable])).toEqual([['unavailable', true]]);
    expect(it.downs[0]?.message).toContain('compare PUSHER_SECRET on the server');
    await world.advance(world.waits.at(-1) ?? 0);
    await until(() => server.opened() === 2);
  });
});

test('a connection that is no socket id is not signed', async () => {
  const adapter = serverHalf(await emulate());
  for (const connection of ['', '1', '1.2:private-x', '1.2\n', 'a.b']) {
    const asked: Promise<ProviderAuthorised> = adapter.authorise({ connection, user: 'u', channels: [], expires: 0 });
    await expect(asked).rejects.toThrow(TypeError);
  }
});
