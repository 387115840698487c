/** The other ends of an emulated Pusher: a bare WebSocket that shows every frame, and the official libraries. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import PusherServer from 'pusher';
import pusherJs from 'pusher-js';
import { afterEach, expect } from 'vitest';
import { WebSocket } from 'ws';
import { sign } from '../../../adapters/emulators/pusher/app.js';
import {
  type PusherEmulator,
  type PusherEmulatorOptions,
  startPusherEmulator,
} from '../../../adapters/emulators/pusher/start.js';

/** Its declarations are of an ES module with a default; what is loaded is CommonJS, and the class itself. */
export const PusherClient: typeof pusherJs.default = pusherJs as unknown as typeof pusherJs.default;
export type PusherClient = pusherJs.default;

export interface Frame {
  readonly event: string;
  readonly channel?: string;
  readonly data?: unknown;
  readonly user_id?: string;
}

export interface Bare {
  readonly frames: readonly Frame[];
  /** The next frame of this event that was not yet asked for, with `data` read as JSON where it is some. */
  next(event: string): Promise<Frame>;
  send(event: string, data: unknown, channel?: string): void;
  sendRaw(data: string | Buffer): void;
  /** The code with which it was closed. */
  readonly closed: Promise<number>;
  /** Once connected. */
  socketId(): Promise<string>;
  readonly socket: WebSocket;
}

const opened: WebSocket[] = [];
const started: PusherClient[] = [];
const servers: Server[] = [];

/** Ends what the test opened. */
export function closePeers(): void {
  for (const socket of opened.splice(0)) socket.terminate();
  for (const client of started.splice(0)) client.disconnect();
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
}

function readable(data: unknown): unknown {
  if (typeof data !== 'string') return data;
  try {
    return JSON.parse(data);
  } catch {
    return data;
  }
}

/** @param path default: the emulator's app and protocol 7 */
export function connectBare(emulator: PusherEmulator, path?: string): Bare {
  const { PUSHER_KEY } = emulator.env;
  const socket = new WebSocket(`ws://127.0.0.1:${emulator.port}${path ?? `/app/${PUSHER_KEY}?protocol=7&client=bare`}`);
  opened.push(socket);
  const frames: Frame[] = [];
  const unread: Frame[] = [];
  const waiting: { readonly event: string; readonly found: (frame: Frame) => void }[] = [];
  socket.on('error', () => {});
  socket.on('message', (text) => {
    const frame = JSON.parse(String(text)) as Frame;
    frames.push(frame);
    const index = waiting.findIndex(({ event }) => event === frame.event);
    if (index < 0) unread.push(frame);
    else waiting.splice(index, 1)[0]?.found(frame);
  });
  const closed = new Promise<number>((done) => socket.on('close', done));
  const next = async (event: string): Promise<Frame> => {
    const index = unread.findIndex((frame) => frame.event === event);
    const [frame] =
      index < 0 ? [await new Promise<Frame>((found) => waiting.push({ event, found }))] : unread.splice(index, 1);
    return { ...(frame as Frame), data: readable(frame?.data) };
  };
  let id: Promise<string> | undefined;
  return {
    frames,
    next,
    send: (event, data, channel) => socket.send(JSON.stringify({ event, data, ...(channel && { channel }) })),
    sendRaw: (data) => socket.send(data),
    closed,
    socketId() {
      id ??= next('pusher:connection_established').then(({ data }) => (data as { socket_id: string }).socket_id);
      return id;
    },
    socket,
  };
}

/** Subscribes and waits for the answer; signs where the channel needs it. */
export async function subscribe(bare: Bare, emulator: PusherEmulator, channel: string, data?: object): Promise<Frame> {
  const { PUSHER_KEY, PUSHER_SECRET = '' } = emulator.env;
  const channel_data = data && JSON.stringify(data);
  const text = [await bare.socketId(), channel, ...(channel_data ? [channel_data] : [])].join(':');
  const auth = `${PUSHER_KEY}:${sign(PUSHER_SECRET, text)}`;
  bare.send('pusher:subscribe', { channel, auth, ...(channel_data && { channel_data }) });
  return bare.next('pusher_internal:subscription_succeeded');
}

/** What will hold in a moment; the machine may be busy. */
export const soon = <T>(look: () => T): ReturnType<typeof expect.poll<T>> => expect.poll(look);

/** Everything that was sent before is on its way once this is answered. */
export async function settled(bare: Bare): Promise<void> {
  bare.send('pusher:ping', {});
  await bare.next('pusher:pong');
}

/** The official server library. */
export function serverSdk(emulator: PusherEmulator, change: Partial<PusherServer.Options> = {}): PusherServer {
  const { PUSHER_APP_ID = '', PUSHER_KEY = '', PUSHER_SECRET = '', PUSHER_HOST = '' } = emulator.env;
  return new PusherServer({
    appId: PUSHER_APP_ID,
    key: PUSHER_KEY,
    secret: PUSHER_SECRET,
    host: PUSHER_HOST,
    port: String(emulator.port),
    useTLS: false,
    encryptionMasterKeyBase64: Buffer.alloc(32, 7).toString('base64'),
    ...change,
  } as PusherServer.Options);
}

/** The options with which pusher-js finds the emulator; signs by the official server library, in this process. */
export function clientOptions(emulator: PusherEmulator, user = 'ben'): pusherJs.Options {
  const sdk = serverSdk(emulator);
  return {
    cluster: 'local',
    wsHost: '127.0.0.1',
    wsPort: emulator.port,
    forceTLS: false,
    enabledTransports: ['ws'],
    channelAuthorization: {
      transport: 'ajax',
      endpoint: '',
      customHandler({ socketId, channelName }, done) {
        const member = { user_id: user, user_info: { name: user.toUpperCase() } };
        done(
          null,
          sdk.authorizeChannel(socketId, channelName, channelName.startsWith('presence-') ? member : undefined),
        );
      },
    },
    userAuthentication: {
      transport: 'ajax',
      endpoint: '',
      customHandler({ socketId }, done) {
        done(null, sdk.authenticateUser(socketId, { id: user, user_info: { name: user.toUpperCase() } }));
      },
    },
  };
}

/** The official client library, connecting. */
export function startClient(
  emulator: PusherEmulator,
  change: Partial<pusherJs.Options> = {},
  user?: string,
  key: string = emulator.env.PUSHER_KEY ?? '',
): PusherClient {
  const client = new PusherClient(key, { ...clientOptions(emulator, user), ...change });
  started.push(client);
  return client;
}

/** Resolves with what is handed to the handler of this event, the next time. */
export const once = <T = unknown>(
  target: {
    bind(event: string, run: (data: T) => void): unknown;
    unbind(event: string, run: (data: T) => void): unknown;
  },
  event: string,
): Promise<T> =>
  new Promise((done) => {
    const run = (data: T): void => {
      target.unbind(event, run);
      done(data);
    };
    target.bind(event, run);
  });

/** An application's auth endpoint as the vendor documents it: form-encoded, signed by the official server library. */
export async function startAuthEndpoint(
  emulator: PusherEmulator,
): Promise<{ readonly url: string; readonly asked: URLSearchParams[] }> {
  const sdk = serverSdk(emulator);
  const asked: URLSearchParams[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const form = new URLSearchParams(body);
    asked.push(form);
    const [socketId, channel] = [form.get('socket_id') ?? '', form.get('channel_name')];
    const user = { user_id: 'echo', user_info: { name: 'Echo' } };
    const answer =
      channel === null
        ? sdk.authenticateUser(socketId, { id: 'echo' })
        : sdk.authorizeChannel(socketId, channel, channel.startsWith('presence-') ? user : undefined);
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer));
  });
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

/** Call it at the top of a test file: starts emulators, and ends them and everything that connected after each test. */
export function startingEmulators(): (options?: PusherEmulatorOptions) => Promise<PusherEmulator> {
  const started: PusherEmulator[] = [];
  afterEach(async () => {
    closePeers();
    await Promise.all(started.splice(0).map((one) => one.close()));
  });
  return async (options) => {
    const made = await startPusherEmulator(options);
    started.push(made);
    return made;
  };
}
