/**
 * The client half of the Ably adapter. The SDK is loaded when a connection is wanted, in a chunk of its own: its modular
 * build in browsers (39 KB gzipped instead of 61), its main build in Node.
 */
import type { ProviderClientAdapter, ProviderHost } from '../provider.js';
import { connectAbly, type OpenClient } from './connection.js';
import type { AblyClient, TokenSource } from './sdk.js';

export interface AblyClientOptions {
  /** How much Ably's SDK writes to the console: 0 (nothing, the default) to 4 (every frame). */
  readonly logLevel?: 0 | 1 | 2 | 3 | 4;
}

/**
 * How many objects and entities one connection holds. Ably takes 200 channels. In the worst case each object is of an entity
 * of its own, which takes one more; everybody's is one; the user's and the session's are one each for every secret in
 * `NOTIFY_LISTEN_SECRET`. A list that is being changed has two or three of them; there is room for nine:
 * 2 × 90 + 1 + 2 × 9 = 199.
 */
const MOST_CHANNELS = 90;

function optionsOf(
  { config: { settings } }: ProviderHost,
  tokens: TokenSource,
  logLevel: AblyClientOptions['logLevel'] = 0,
) {
  const host = typeof settings.host === 'string' ? settings.host : undefined;
  const port = typeof settings.port === 'number' ? settings.port : undefined;
  const tls = settings.tls !== false;
  return {
    authCallback: (_params: unknown, callback: Parameters<TokenSource>[0]) => tokens(callback),
    autoConnect: false,
    echoMessages: false,
    useBinaryProtocol: false,
    transports: ['web_socket' as const], // without WebSockets the core has its own stream
    tls,
    logLevel,
    ...(port !== undefined && (tls ? { tlsPort: port } : { port })),
    // Whoever names a host of their own may have no way to Ably's, and does not want to ask it.
    ...(host !== undefined && {
      endpoint: host,
      disableConnectivityCheck: true,
      wsConnectivityCheckUrl: `${tls ? 'wss' : 'ws'}://${host}${port === undefined ? '' : `:${port}`}`,
    }),
  };
}

/** Node 22 has a WebSocket, but Ably's modular build is for browsers only; an Electron page has both, and is one. */
const isBrowser = (): boolean =>
  typeof WebSocket === 'function' && (typeof document !== 'undefined' || !('process' in globalThis));

/**
 * Ably as a transport of the page: `adapters: [ably()]`. What it connects to, the server says.
 */
export function ably({ logLevel }: AblyClientOptions = {}): ProviderClientAdapter {
  const open: OpenClient = async (host, tokens): Promise<AblyClient> => {
    const options = optionsOf(host, tokens, logLevel);
    if (isBrowser()) {
      const { BaseRealtime, FetchRequest, WebSocketTransport } = await import('ably/modular');
      return new BaseRealtime({ ...options, plugins: { FetchRequest, WebSocketTransport } });
    }
    const { Realtime } = await import('ably');
    return new Realtime(options);
  };
  return {
    name: 'ably',
    capabilities: { fansOut: 'provider', channels: MOST_CHANNELS },
    connect: (host) => connectAbly(host, open),
  };
}
