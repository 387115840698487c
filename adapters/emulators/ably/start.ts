/** Starts an Ably-protocol server: puts its parts together. */
import { CONTROL_PATH, createControl, nonEmptyText, wholeNumber } from '../control.js';
import type { Emulator, EmulatorCounters, EmulatorOptions } from '../emulator.js';
import { createFaults } from '../faults.js';
import { createHttpServer } from '../http-server.js';
import { REAL_WORLD } from '../world.js';
import { createApps, type Key, parseKey } from './apps.js';
import { createAuthenticate } from './auth.js';
import { type Capability, EVERYTHING, parseCapability } from './capability.js';
import type { Channel } from './channel.js';
import { AblyError, asAblyError } from './errors.js';
import { type AblyLimits, PLANS } from './rates.js';
import { createRealtime, faultError } from './realtime.js';
import { createRest, MAX_BODY, refusal } from './rest.js';
import { channelRoutes } from './rest-channels.js';
import { enforce, keyRoutes } from './rest-keys.js';
import { createRevocations } from './revocations.js';
import { createTokenDesk } from './tokens.js';

export interface AblyEmulatorOptions extends EmulatorOptions {
  /** `appId.keyId:secret`. Default `local0.emulat:emulator-secret`; it may do everything. */
  readonly key?: string;
  /** What the key may do. Default `{ "*": ["*"] }`. */
  readonly capability?: Readonly<Record<string, readonly string[]>>;
  /** Whether tokens of the key can be revoked, and live an hour at most. Default true; in a new app at Ably it is off. */
  readonly revocableTokens?: boolean;
  /** Namespaces whose history is kept for a day. Default: none. */
  readonly persisted?: readonly string[];
  /** Whose account-wide limits hold. Default `standard`. */
  readonly plan?: 'free' | 'standard' | 'pro';
  /** Limits other than the plan's; `Infinity` lifts one. */
  readonly limits?: Partial<AblyLimits>;
}

export interface AblyEmulator extends Emulator {
  /** Cuts every socket without a word; connections can be resumed. Returns how many. */
  cutAll(): number;
  /**
   * What was published is not to be had any more: the next attach or resume has no RESUMED flag, and who is attached is
   * told by an ATTACHED without it. One channel, or all of them.
   */
  loseContinuity(channel?: string): void;
  /** Detaches a channel for everybody; the next `attaches` attempts (default 0) to attach it are answered by DETACHED. */
  suspend(channel: string, attaches?: number): void;
  /** Revokes all tokens of a client that were issued until now, as `revokeTokens` does. Needs a revocable key. */
  revoke(clientId: string): void;
  /** The key is gone: connections end, and nobody comes in with it or its tokens (40101), until it is restored. */
  removeKey(): void;
  restoreKey(): void;
}

/** An option, not what a client sent: what is wrong with it is a TypeError. */
function readCapability(given: AblyEmulatorOptions['capability']): Capability {
  try {
    return given ? parseCapability(given) : EVERYTHING;
  } catch (error) {
    throw new TypeError(asAblyError(error).message);
  }
}

/** The longest stop over the control route, in milliseconds: an hour. */
const MAX_STOP = 3_600_000;
const CODES = { min: 10_000, max: 99_999 } as const;

/**
 * Starts a server that speaks Ably's protocols, WebSocket and REST, on one port, without TLS.
 *
 * @throws TypeError for a wrong option, and what `listen` of Node rejects with (`EADDRINUSE`).
 */
export async function startAblyEmulator(options: AblyEmulatorOptions = {}): Promise<AblyEmulator> {
  const { host = '127.0.0.1', world = REAL_WORLD, plan = 'standard', revocableTokens = true } = options;
  const { key: keyText = 'local0.emulat:emulator-secret' } = options;
  const { appId, name, secret } = parseKey(keyText);
  const faults = createFaults(options.faults ?? {}, { codes: CODES });
  const limits = { ...PLANS[plan], ...options.limits };
  const capability = readCapability(options.capability);
  const key: Key = { name, secret, capability, revocable: revocableTokens };
  const apps = createApps(world, limits);
  const app = apps.add(appId, [key], options.persisted ?? [], limits);
  const count = { connected: 0, published: 0, delivered: 0, requests: 0 };
  const revocations = createRevocations(world.now);
  const authenticate = createAuthenticate(apps, revocations, world.now);
  const realtime = createRealtime({ world, faults, authenticate, count });
  const { sessions } = realtime;
  const timers = new Set<unknown>();
  const reached = host === '0.0.0.0' ? '127.0.0.1' : host;
  let ended = false;

  const setTimeout = (run: () => void, ms: number): void => {
    const timer = world.setTimeout(() => {
      timers.delete(timer);
      run();
    }, ms);
    timers.add(timer);
  };
  const keys = {
    apps,
    desk: createTokenDesk(world.now),
    revocations,
    sessions,
    now: world.now,
    setTimeout,
    address: () => ({ endpoint: reached, port: server.port, tls: false }),
  };
  const rest = createRest(
    [
      ...channelRoutes({ connectionOf: realtime.connectionOf, count, quota: () => faults.now.quota }),
      ...keyRoutes(keys),
    ],
    authenticate,
  );

  const live = () => [...sessions.values()].filter((session) => session.live);
  const channels = (only: string | undefined): readonly Channel[] =>
    only === undefined ? [...app.channels.values()] : [app.channel(only)];

  const actions = {
    closeAll(code: number): number {
      const closed = live();
      for (const session of closed) session.refuse(faultError(code));
      return closed.length;
    },
    cutAll(): number {
      const cut = live();
      for (const session of cut) session.cut();
      return cut.length;
    },
    loseContinuity(channel?: string): void {
      for (const each of channels(channel)) each.forget();
    },
    suspend(channel: string, attaches = 0): void {
      const [found] = channels(channel);
      if (!found) return;
      found.refusals = attaches;
      for (const subscriber of [...found.subscribers]) subscriber.suspended();
    },
    revoke(clientId: string): void {
      const { made } = revocations.take(key, { targets: [`clientId:${clientId}`] });
      for (const revocation of made) enforce(revocation, keys);
    },
    removeKey(): void {
      app.keys.delete(name);
      for (const session of live()) session.refuse(new AblyError(40101, 'the key has been removed', 401).info);
    },
    restoreKey: () => void app.keys.set(name, key),
  };
  const control = createControl({
    faults,
    counters,
    actions: {
      close: (value) => void actions.closeAll(wholeNumber('close', value, CODES.min, CODES.max)),
      cut: () => void actions.cutAll(),
      loseContinuity: (value) => actions.loseContinuity(typeof value === 'string' ? value : undefined) as undefined,
      suspend: (value) => actions.suspend(nonEmptyText('suspend', value)) as undefined,
      revoke: (value) => actions.revoke(nonEmptyText('revoke', value)) as undefined,
      removeKey: (value) => (value === false ? actions.restoreKey() : actions.removeKey()) as undefined,
      stopFor(value) {
        const ms = wholeNumber('stopFor', value, 0, MAX_STOP);
        return () => void stop().then(() => setTimeout(() => void start(), ms));
      },
    },
  });
  const server = createHttpServer({
    host,
    port: options.port ?? 0,
    bodyLimit: MAX_BODY,
    world,
    faults,
    isControl: (path) => path === CONTROL_PATH,
    handle: (request) => (request.path === CONTROL_PATH ? control(request) : rest(request)),
    tooLarge: refusal(new AblyError(40009, `a request has at most ${MAX_BODY} bytes`, 413).info),
    refusal: (status) => refusal(new AblyError(status * 100, 'refused by a fault switch', status).info),
    upgrade: realtime.upgrade,
  });

  function counters(): EmulatorCounters {
    return {
      connections: live().length,
      connected: count.connected,
      subscriptions: live().reduce((sum, session) => sum + session.attachments.size, 0),
      published: count.published,
      delivered: count.delivered,
      dropped: faults.dropped,
      requests: server.requests,
    };
  }
  async function stop(): Promise<void> {
    realtime.clear();
    for (const each of apps.all()) each.channels.clear();
    await server.stop();
  }
  async function start(): Promise<void> {
    if (!ended) await server.start();
  }

  await start();
  return {
    get port() {
      return server.port;
    },
    get url() {
      return `http://${reached.includes(':') ? `[${reached}]` : reached}:${server.port}`;
    },
    env: {
      NOTIFY_LISTEN_PROVIDER: 'ably',
      ABLY_API_KEY: keyText,
      ABLY_HOST: reached,
      ABLY_PORT: String(server.port),
      ABLY_TLS: 'false',
    },
    faults,
    get counters() {
      return counters();
    },
    ...actions,
    stop,
    start,
    async close() {
      ended = true;
      for (const timer of timers) world.clearTimeout(timer);
      await stop();
    },
  };
}
