/**
 * The server half of the Ably adapter: publishes through Ably's REST SDK, signs token requests, revokes tokens. Set-up,
 * limits and bounds are in docs/ably.md.
 */
import type { ErrorInfo, Rest } from 'ably';
import type { Channel } from '../channel.js';
import type { ProviderAdapter, ProviderAuthorisation } from '../provider.js';
import { readForm } from './forms.js';
import { ablyName } from './names.js';
import { createPace } from './pace.js';
import { type Answer, createPublisher, type Spec } from './publish.js';
import type { AblySettings } from './settings.js';

export { type AblySettings, readAblySettings } from './settings.js';

export interface AblyAdapterOptions extends AblySettings {
  /** Prefixes every channel, so that two environments with one key never hear each other. */
  readonly namespace: string;
  /** Where it is said, once, that the key's tokens cannot be revoked. Default: a warning of the process. */
  readonly warn?: (message: string) => void;
}

/** What the client half gets from `/auth`. */
export interface AblyDetails {
  readonly tokenRequest: unknown;
  /** The name at Ably of each local channel that the token covers. */
  readonly names: Readonly<Record<Channel, string>>;
}

/** Ably's answers take tens of milliseconds; a relay that waits longer holds up everything behind it. */
const REQUEST_TIMEOUT = 5_000;
/** One retry on another host of Ably's is worth its time; after that the relay's own backoff decides. */
const MOST_RETRIES = 1;
/** A token that ends while it is being made would be refused as malformed. */
const SHORTEST_LIFE = 1_000;
/**
 * Asked for again between these parts of its life. The page renews its grants earlier, at 60 to 80 %, and gets another token
 * with them; this is for a connection without grants, and for a renewal that did not come.
 */
const RENEW_FROM = 0.8;
const RENEW_TO = 0.9;
/** Not enabled for the key (two codes) or for the app: https://ably.com/docs/platform/errors/codes */
const NOT_REVOCABLE: ReadonlySet<number> = new Set([40_163, 40_164, 40_121]);
const MOST_REVOKED = 100;

async function loadSdk(): Promise<typeof import('ably')> {
  try {
    return await import('ably');
  } catch (cause) {
    throw new Error('The Ably adapter needs the package "ably": npm install ably', { cause });
  }
}

function answerOf(result: { results: readonly { channel: string; error?: ErrorInfo }[] }): Answer {
  return new Map(result.results.map(({ channel, error }) => [channel, error]));
}

/**
 * Makes the adapter; `ably` is loaded with the first use. Nothing is asked of Ably before the first publish.
 *
 * @throws TypeError when the namespace is not 1 to 40 letters, digits, `_` or `-`.
 */
export function createAblyAdapter(options: AblyAdapterOptions): ProviderAdapter {
  const { key, host, port, tls = true, namespace } = options;
  const warn = options.warn ?? ((message) => process.emitWarning(message, { code: 'NOTIFY_LISTEN_ABLY' }));
  const nameOf = (channel: Channel): string => ablyName(namespace, channel);
  nameOf('x'); // a wrong namespace is told at once

  let made: Promise<Rest> | undefined;
  let warned = false;

  const rest = (): Promise<Rest> => {
    made ??= loadSdk().then(
      ({ Rest }) =>
        new Rest({
          key,
          tls,
          ...(host && { endpoint: host }),
          ...(port !== undefined && (tls ? { tlsPort: port } : { port })),
          useBinaryProtocol: false,
          httpRequestTimeout: REQUEST_TIMEOUT,
          httpMaxRetryCount: MOST_RETRIES,
          logLevel: 0, // what goes wrong is told by outcomes and rejections
        }),
    );
    made.catch(() => {
      made = undefined;
    });
    return made;
  };

  const send = async (specs: readonly Spec[]): Promise<readonly Answer[]> => {
    const results = await (await rest()).batchPublish(
      specs.map(({ channels, message }) => ({ channels: [...channels], messages: [message] })),
    );
    return results.map(answerOf);
  };
  const publisher = createPublisher(
    send,
    nameOf,
    createPace(() => performance.now()),
  );

  async function tokenRequest({
    user,
    channels,
    expires,
  }: ProviderAuthorisation): Promise<{ life: number; token: unknown }> {
    // A life, not an end: the token lives so long from when it is redeemed, and Ably takes a request until two minutes after
    // it was made. `revokeTokens` ends the tokens that were issued before it, so a request that was kept back outlives a
    // revocation: by `grantLife` and those two minutes at most. docs/ably.md, "When a right ends".
    const life = Math.max(SHORTEST_LIFE, Math.floor(expires - Date.now()));
    const capability = Object.fromEntries(channels.map((channel) => [nameOf(channel), ['subscribe' as const]]));
    const token = await (await rest()).auth.createTokenRequest({ clientId: user, ttl: life, capability });
    return { life, token };
  }

  return {
    name: 'ably',
    capabilities: { fansOut: 'provider' },
    publicSettings: { ...(host && { host }), ...(port !== undefined && { port }), tls },
    publish: publisher.publish,
    async authorise(request) {
      const { life, token } = await tokenRequest(request);
      const names = Object.fromEntries(request.channels.map((channel) => [channel, nameOf(channel)]));
      const details: AblyDetails = { tokenRequest: token, names };
      return { details, renewIn: Math.floor(life * (RENEW_FROM + Math.random() * (RENEW_TO - RENEW_FROM))) };
    },
    async revoke(users) {
      const targets = users.slice(0, MOST_REVOKED).map((value) => ({ type: 'clientId', value }));
      try {
        const { results } = await (await rest()).auth.revokeTokens(targets);
        const failed = results.find((result) => 'error' in result);
        if (failed && 'error' in failed) throw failed.error;
      } catch (error) {
        if (!NOT_REVOCABLE.has((error as ErrorInfo).code)) throw error;
        if (!warned)
          warn(
            'The tokens of this Ably key cannot be revoked: after revoke() a page that does not cooperate hears hints until its token ends. Turn on "Revocable tokens" for the key in Ably\'s dashboard.',
          );
        warned = true;
      }
    },
    forms: {
      read: readForm,
      answer: async (_fields, granted) => (await tokenRequest(granted)).token,
    },
    async close() {
      made = undefined; // REST keeps no connection, and no timer once its requests are over
    },
  };
}
