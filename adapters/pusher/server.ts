/**
 * The server half of the Pusher adapter: publishes through Pusher's HTTP API, signs what pages may hear, and ends the
 * connections of users whose right has ended. The official SDK `pusher` is loaded with the first use.
 */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type PusherSdk from 'pusher';
import type { Channel } from '../channel.js';
import type { Outgoing, ProviderAdapter, ProviderAuthorisation, ProviderAuthorised } from '../provider.js';
import { bounded } from './bounded.js';
import type { PusherDetails } from './details.js';
import { checkSocketId, readForm } from './forms.js';
import { fixedName, isHashed, LEAD_MS, periodAt, periodName, periodsAt, SKEW_MS } from './names.js';
import { judge, publish } from './publish.js';
import { type PusherSettings, publicSettingsOf } from './settings.js';

export { type PusherSettings, readPusherSettings } from './settings.js';

/**
 * A call that takes longer is given up and made again. Together with the difference of two nodes' clocks it must stay
 * below `SKEW_MS`, since the name was chosen when the call began.
 */
const TIMEOUT_MS = 5_000;
/** Pages ask for the next names spread over this part of the lead; the rest is for an answer that must be asked for twice. */
const RENEWAL_SPREAD_MS = 20_000;
/** Connections to the API that are kept: calls are made one after the other, and ending connections goes beside them. */
const KEPT_SOCKETS = 2;

export interface PusherAdapterOptions extends PusherSettings {
  /** Goes into every name: environments with the same keys do not hear each other. */
  readonly namespace: string;
  /** Wall clock, milliseconds since 1970. Default: `Date.now`. */
  readonly now?: () => number;
  /** From 0 up to, not including, 1. Default: `Math.random`. */
  readonly random?: () => number;
  /** How long one call of Pusher's API may take, in milliseconds. Default 5,000. */
  readonly timeout?: number;
}

/** The server half. Nothing is loaded and nobody is asked before it is used. */
export function createPusherAdapter(options: PusherAdapterOptions): ProviderAdapter {
  const { namespace, fixedNames, now = Date.now, random = Math.random, timeout = TIMEOUT_MS } = options;
  const kept = { keepAlive: true, maxFreeSockets: KEPT_SOCKETS };
  const agent = bounded(options.scheme === 'https' ? new HttpsAgent(kept) : new HttpAgent(kept), timeout);
  let sdk: Promise<PusherSdk> | undefined;

  function load(): Promise<PusherSdk> {
    sdk ??= create();
    return sdk;
  }

  async function create(): Promise<PusherSdk> {
    let Pusher: typeof PusherSdk;
    try {
      ({ default: Pusher } = await import('pusher'));
    } catch (cause) {
      sdk = undefined;
      throw new Error('NOTIFY_LISTEN_PROVIDER=pusher needs the package "pusher": npm install pusher', { cause });
    }
    const { appId, key, secret, cluster, host, port, scheme } = options;
    const account = { appId, key, secret, useTLS: scheme === 'https', timeout, agent };
    return new Pusher(
      host !== undefined
        ? { ...account, host, ...(port !== undefined && { port: String(port) }) }
        : { ...account, cluster: cluster ?? '' },
    );
  }

  function namesOf(item: Outgoing): readonly string[] {
    const period = periodAt(now());
    return item.channels.flatMap((channel) => {
      const name = periodName(namespace, channel, period);
      // A client that knows only fixed names cannot ask for a hashed one.
      return fixedNames && !isHashed(namespace, channel) ? [name, fixedName(namespace, channel)] : [name];
    });
  }

  async function authorise({ connection, user, channels }: ProviderAuthorisation): Promise<ProviderAuthorised> {
    const socketId = checkSocketId(connection, 'connection');
    const pusher = await load();
    const periods = periodsAt(now());
    const details: PusherDetails = {
      user: signUser(pusher, socketId, user),
      periods: periods.map(({ period, endsIn }) => ({
        endsIn,
        keep: SKEW_MS,
        names: Object.fromEntries(
          channels.map((channel) => {
            const name = periodName(namespace, channel, period);
            return [name, pusher.authorizeChannel(socketId, name).auth];
          }),
        ),
      })),
    };
    const last = periods.at(-1)?.endsIn ?? 0;
    return { details, renewIn: Math.ceil(last - LEAD_MS + random() * RENEWAL_SPREAD_MS) };
  }

  async function revoke(users: readonly string[], _channels: readonly Channel[] | undefined): Promise<void> {
    const pusher = await load();
    // Pusher can end connections only as a whole; the pages come back by themselves and are granted what is left.
    for (const user of users) {
      try {
        const answer = await pusher.terminateUserConnections(user);
        // Read, so that its socket is free again; the status has said everything.
        answer.text().catch(() => {});
      } catch (thrown) {
        // Nobody of that name is there.
        if ((thrown as { status?: number }).status === 404) continue;
        throw judge(thrown).error;
      }
    }
  }

  return {
    name: 'pusher',
    capabilities: { fansOut: 'provider' },
    publicSettings: { ...publicSettingsOf(options) },
    publish: async (batch) => publish(await load(), batch, namesOf),
    authorise,
    revoke,
    ...(fixedNames && {
      forms: {
        read: (fields: URLSearchParams) => readForm(namespace, fields),
        async answer(fields: URLSearchParams, granted: ProviderAuthorisation): Promise<unknown> {
          const pusher = await load();
          const socketId = checkSocketId(fields.get('socket_id') ?? '', 'socket_id');
          const [channel] = granted.channels;
          return fields.has('channel_name') && channel !== undefined
            ? pusher.authorizeChannel(socketId, fixedName(namespace, channel))
            : signUser(pusher, socketId, granted.user);
        },
      },
    }),
    async close() {
      agent.destroy();
    },
  };
}

function signUser(pusher: PusherSdk, socketId: string, user: string): PusherDetails['user'] {
  const { auth, user_data } = pusher.authenticateUser(socketId, { id: user });
  return { auth, user_data };
}
