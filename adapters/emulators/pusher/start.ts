/** Starts a Pusher-protocol server: puts its parts together. */
import { CONTROL_PATH, createControl, nonEmptyText, wholeNumber } from '../control.js';
import type { Emulator, EmulatorCounters, EmulatorOptions } from '../emulator.js';
import { createFaults } from '../faults.js';
import { createHttpServer } from '../http-server.js';
import { REAL_WORLD } from '../world.js';
import { createAcceptor } from './accept.js';
import type { PusherApp } from './app.js';
import { createHouse } from './house.js';
import { ACTIVITY_TIMEOUT, MAX_BODY, PONG_TIMEOUT } from './limits.js';
import { createMessageQuota } from './quota.js';
import { answerRest, plain } from './rest.js';

export interface PusherQuotas {
  /** Connections at the same time; a further one is closed with 4004. Default: none. */
  readonly connections?: number;
  /** Messages a day (UTC), each publish and each delivery; above it publishing is answered by 403. Default: none. */
  readonly messagesPerDay?: number;
}

export interface PusherEmulatorOptions extends EmulatorOptions {
  /** Default `1`. `Pusher.forURL` of the server library reads only a number here. */
  readonly appId?: string;
  /** Default `local-key`. Letters, digits, `-` and `_`. */
  readonly key?: string;
  /** Default `local-secret`. */
  readonly secret?: string;
  /** Default: none, which is more than any plan allows. See {@link SANDBOX_QUOTAS}. */
  readonly quotas?: PusherQuotas;
  /** Clients may trigger events of their own. Default true; in a new app at Pusher it is off. */
  readonly clientEvents?: boolean;
  /** Subscribers are told how many they are. Default false, as in a new app at Pusher. */
  readonly subscriptionCount?: boolean;
  /** Silence after which either side pings, in milliseconds. Default 120,000. */
  readonly activityTimeout?: number;
  /** How long a client may take to answer a ping, in milliseconds. Default 30,000. */
  readonly pongTimeout?: number;
}

export interface PusherEmulator extends Emulator {
  /** Closes the connections of a signed-in user with 4009, as the API's terminate_connections does. Returns how many. */
  terminateUser(id: string): number;
}

/** The longest stop over the control route, in milliseconds: an hour. */
const MAX_STOP = 3_600_000;
/** What can be told to a WebSocket client: Pusher's own are 4000 to 4399. */
const CODES = { min: 3000, max: 4999 } as const;

function appOf(options: PusherEmulatorOptions): PusherApp {
  const { appId: id = '1', key = 'local-key', secret = 'local-secret' } = options;
  for (const [name, value] of Object.entries({ appId: id, key })) {
    if (!/^[\w-]+$/.test(value)) throw new TypeError(`${name} is letters, digits, "-" and "_", not "${value}".`);
  }
  if (secret === '') throw new TypeError('secret is empty.');
  const { clientEvents = true, subscriptionCount = false } = options;
  return { id, key, secret, clientEvents, subscriptionCount };
}

/**
 * Starts a server that speaks Pusher's protocols, WebSocket and HTTP, on one port.
 *
 * @throws TypeError for a wrong option, and what `listen` of Node rejects with (`EADDRINUSE`).
 */
export async function startPusherEmulator(options: PusherEmulatorOptions = {}): Promise<PusherEmulator> {
  const { host = '127.0.0.1', world = REAL_WORLD, quotas = {} } = options;
  const app = appOf(options);
  const faults = createFaults(options.faults ?? {}, { codes: CODES });
  const quota = createMessageQuota(quotas.messagesPerDay ?? Number.POSITIVE_INFINITY, world);
  const house = createHouse({ app, world, faults, quota });
  const acceptor = createAcceptor(house, {
    most: quotas.connections ?? Number.POSITIVE_INFINITY,
    activityTimeout: options.activityTimeout ?? ACTIVITY_TIMEOUT,
    pongTimeout: options.pongTimeout ?? PONG_TIMEOUT,
  });
  let ended = false;
  let comeback: unknown;

  const control = createControl({
    faults,
    counters,
    actions: {
      close(value) {
        acceptor.closeAll(wholeNumber('close', value, CODES.min, CODES.max));
        return undefined;
      },
      terminate(value) {
        house.users.terminate(nonEmptyText('terminate', value));
        return undefined;
      },
      stopFor(value) {
        const ms = wholeNumber('stopFor', value, 0, MAX_STOP);
        return () =>
          void stop().then(() => {
            comeback = world.setTimeout(() => void start(), ms);
          });
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
    handle: (request) => (request.path === CONTROL_PATH ? control(request) : answerRest(house, request)),
    tooLarge: plain(413, 'The body is too large'),
    refusal: (status) => plain(status, 'Refused by a fault switch'),
    upgrade: acceptor.upgrade,
  });

  function counters(): EmulatorCounters {
    return {
      connections: acceptor.open,
      connected: acceptor.taken,
      subscriptions: house.channels.subscriptions,
      published: house.published,
      delivered: house.delivered,
      dropped: faults.dropped,
      requests: server.requests,
    };
  }
  async function stop(): Promise<void> {
    acceptor.cutAll();
    house.cache.clear();
    await server.stop();
  }
  async function start(): Promise<void> {
    if (!ended) await server.start();
  }

  await start();
  const reached = host === '0.0.0.0' ? '127.0.0.1' : host;
  const env = {
    NOTIFY_LISTEN_PROVIDER: 'pusher',
    PUSHER_APP_ID: app.id,
    PUSHER_KEY: app.key,
    PUSHER_SECRET: app.secret,
    PUSHER_CLUSTER: 'local',
    PUSHER_HOST: reached,
    PUSHER_PORT: String(server.port),
    PUSHER_SCHEME: 'http',
  };
  return {
    get port() {
      return server.port;
    },
    get url() {
      return `http://${reached.includes(':') ? `[${reached}]` : reached}:${server.port}`;
    },
    env,
    faults,
    get counters() {
      return counters();
    },
    closeAll: acceptor.closeAll,
    terminateUser: house.users.terminate,
    stop,
    start,
    async close() {
      ended = true;
      world.clearTimeout(comeback);
      await stop();
    },
  };
}
