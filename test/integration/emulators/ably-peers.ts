/** The other ends of an emulated Ably: a bare WebSocket that shows every frame, plain REST, and the official library. */
import { once } from 'node:events';
import * as Ably from 'ably';
import { WebSocket } from 'ws';
import { ACTION, type ProtocolMessage } from '../../../adapters/emulators/ably/protocol.js';
import type { AblyEmulator } from '../../../adapters/emulators/ably/start.js';
import type { TokenDetails } from '../../../adapters/emulators/ably/tokens.js';
import { decodeBody, encodeBody, type Format } from '../../../adapters/emulators/ably/wire.js';

/** The name of a frame's action. */
export type ActionName = keyof typeof ACTION;

export interface Bare {
  /** Everything that came, in order. */
  readonly frames: readonly ProtocolMessage[];
  /** The next frame of this action that was not yet asked for. */
  next(action: ActionName): Promise<ProtocolMessage>;
  send(action: ActionName, more?: Omit<Partial<ProtocolMessage>, 'action'>): void;
  sendRaw(data: string | Uint8Array): void;
  /** Once everything that the server had sent by now is in `frames`. */
  settled(): Promise<void>;
  /** The frames of this action so far. */
  all(action: ActionName): readonly ProtocolMessage[];
  /** Once it is closed, whoever did it. */
  readonly closed: Promise<void>;
  readonly socket: WebSocket;
}

const opened: WebSocket[] = [];
const clients: Ably.Realtime[] = [];

/** Ends what the test opened. */
export function closePeers(): void {
  for (const socket of opened.splice(0)) socket.terminate();
  for (const client of clients.splice(0)) client.close();
}

/** Connects with the key, unless the query has other credentials. */
export function connectBare(emulator: AblyEmulator, query: Readonly<Record<string, string>> = {}): Bare {
  const format: Format = query.format === 'msgpack' ? 'msgpack' : 'json';
  const key = emulator.env.ABLY_API_KEY ?? '';
  const params = new URLSearchParams({ v: '6', ...(query.access_token === undefined && { key }), ...query });
  const socket = new WebSocket(`ws://127.0.0.1:${emulator.port}/?${params}`);
  opened.push(socket);
  const frames: ProtocolMessage[] = [];
  const unread: ProtocolMessage[] = [];
  const waiting: { readonly action: number; readonly found: (frame: ProtocolMessage) => void }[] = [];
  let serial = 0;
  socket.on('error', () => {});
  socket.on('message', (data) => {
    const frame = decodeBody(format, data as Buffer) as ProtocolMessage;
    frames.push(frame);
    const index = waiting.findIndex(({ action }) => action === frame.action);
    if (index < 0) unread.push(frame);
    else waiting.splice(index, 1)[0]?.found(frame);
  });
  const bare: Bare = {
    frames,
    next(name) {
      const index = unread.findIndex(({ action }) => action === ACTION[name]);
      const [frame] = index < 0 ? [] : unread.splice(index, 1);
      return frame ? Promise.resolve(frame) : new Promise((found) => waiting.push({ action: ACTION[name], found }));
    },
    send: (action, more = {}) => socket.send(encodeBody(format, { action: ACTION[action], ...more })),
    sendRaw: (data) => socket.send(data),
    async settled() {
      const id = `mark-${serial++}`;
      bare.send('HEARTBEAT', { id });
      while ((await bare.next('HEARTBEAT')).id !== id);
    },
    all: (name) => frames.filter(({ action }) => action === ACTION[name]),
    closed: new Promise((done) => socket.on('close', () => done())),
    socket,
  };
  return bare;
}

/** Attaches, and answers what the server says. */
export async function attach(
  bare: Bare,
  channel: string,
  more: Partial<ProtocolMessage> = {},
): Promise<ProtocolMessage> {
  const { socket } = bare;
  if (socket.readyState === socket.CONNECTING) await once(socket, 'open');
  bare.send('ATTACH', { channel, ...more });
  return bare.next('ATTACHED');
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** JSON, read. */
  // biome-ignore lint/suspicious/noExplicitAny: what is expected is said by each test
  readonly body: any;
}

/** One REST request, with the emulator's key unless other credentials are given. */
export async function rest(
  emulator: AblyEmulator,
  method: string,
  path: string,
  { body, token, key = emulator.env.ABLY_API_KEY, headers = {} }: RestOptions = {},
): Promise<Answer> {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const authorization = token ? `Bearer ${base64(token)}` : key ? `Basic ${base64(key)}` : undefined;
  const response = await fetch(`${emulator.url}${path}`, {
    method,
    headers: { 'content-type': 'application/json', ...(authorization && { authorization }), ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text ? JSON.parse(text) : undefined };
}

export interface RestOptions {
  readonly body?: unknown;
  readonly token?: string;
  /** Empty: none. */
  readonly key?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

export async function tokenFor(emulator: AblyEmulator, request: object = {}): Promise<TokenDetails> {
  const [name = ''] = (emulator.env.ABLY_API_KEY ?? '').split(':');
  const { status, body } = await rest(emulator, 'POST', `/keys/${name}/requestToken`, { body: request });
  if (status !== 201) throw new Error(JSON.stringify(body));
  return body;
}

export const publish = (emulator: AblyEmulator, channel: string, message: unknown): Promise<Answer> =>
  rest(emulator, 'POST', `/channels/${encodeURIComponent(channel)}/messages`, { body: message });

/** How the official library is pointed at an emulator. Its log is silent, also where a fault is expected. */
export function sdkOptions(emulator: AblyEmulator): Ably.ClientOptions {
  return { endpoint: '127.0.0.1', port: emulator.port, tls: false, logLevel: 0, disconnectedRetryTimeout: 20 };
}

/** The official server library, with the key. */
export const sdkRest = (emulator: AblyEmulator, more: Ably.ClientOptions = {}): Ably.Rest =>
  new Ably.Rest({ ...sdkOptions(emulator), key: emulator.env.ABLY_API_KEY ?? '', ...more });

/** The official client, closed by `closePeers`; with tokens that `authCallback` signs, unless told otherwise. */
export function sdkRealtime(
  emulator: AblyEmulator,
  token: Ably.TokenParams = {},
  more: Ably.ClientOptions = {},
): Ably.Realtime {
  const server = sdkRest(emulator);
  const client = new Ably.Realtime({
    ...sdkOptions(emulator),
    authCallback: (params, done) => {
      server.auth.createTokenRequest({ ...params, ...token }).then(
        (request) => done(null, request),
        (error) => done(error, null),
      );
    },
    ...more,
  });
  clients.push(client);
  return client;
}
