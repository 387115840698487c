/** A notifier behind each kind of server that this package works with, on a port of its own, until the test ends. */
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import { pipeline, Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import express, { type RequestHandler } from 'express';
import express4 from 'express-4';
import http2Express from 'http2-express';
import { createNotifier, type Notifier, type NotifierOptions } from 'notify-listen/server';
import { routes } from 'notify-listen/server/express';
import { fetchHandler } from 'notify-listen/server/fetch';
import { nodeListener } from 'notify-listen/server/node';
import { onTestFinished } from 'vitest';
import type { AuthAnswer, StreamRequest } from '../../adapters/protocol.js';
import { type EventStream, readEvents } from './event-stream.js';
import { ask, type Reply, type Sent, send, start, type WholeReply } from './http.js';

export type ServerKind = 'Express 5' | 'Express 4' | 'Express 5 over HTTP/2' | 'node:http' | 'node:http2' | 'fetch';

export const SERVERS: readonly ServerKind[] = [
  'Express 5',
  'Express 4',
  'Express 5 over HTTP/2',
  'node:http',
  'node:http2',
  'fetch',
];

/** Whether a server takes HTTP/2 without TLS, and nothing else. */
export function speaksHttp2(kind: ServerKind): boolean {
  return kind.endsWith('2');
}

/** Who may see which object in the tests. The rest is denied, `Invoice` by not being named. */
export const RIGHTS: NonNullable<NotifierOptions['canListen']> = {
  Order: { one: (_user, id) => !id.startsWith('hidden'), all: (user) => user !== 'guest' },
  Report: { many: (user, ids) => ids.filter((id) => id.startsWith(`${user}-`)) },
};

export const SECRET = 'the secret of the integration tests';

export interface ServeOptions extends Partial<NotifierOptions> {
  readonly namespace?: string;
  /** Default: one that is free. */
  readonly port?: number;
  /** Middleware ahead of the routes, on Express. */
  readonly before?: readonly RequestHandler[];
  /** Middleware behind the routes, on Express. */
  readonly after?: readonly RequestHandler[];
}

/** How a test asks: as whom, and with what. */
export interface As {
  readonly user?: string;
  readonly session?: string;
}

export interface TestServer {
  readonly kind: ServerKind;
  readonly notifier: Notifier;
  readonly server: Server;
  readonly port: number;
  /** `http://127.0.0.1:port/notify-listen` */
  readonly url: string;
  /** What reached `onError`. */
  readonly errors: readonly unknown[];
  send(path: string, sent?: Sent & As): Promise<Reply>;
  ask(path: string, sent?: Sent & As): Promise<WholeReply>;
  /** Sends a request and returns how to give it up, answered or not. */
  start(path: string, sent?: Sent & As): () => void;
  /** `POST /auth` for channels such as `Order/42`. */
  authorise(as: As, ...channels: string[]): Promise<AuthAnswer>;
  /** `POST /auth` and `POST /stream` with its grant; positions as `after` says, by default from now on. */
  listen(
    as: As,
    channels: readonly string[],
    more?: { readonly after?: string | null; readonly own?: string | null; readonly headers?: Record<string, string> },
  ): Promise<EventStream>;
  /** `POST /stream` with a body that differs from the usual one as the test says. */
  stream(as: As, body: Partial<Record<keyof StreamRequest, unknown>>, headers?: Record<string, string>): Promise<Reply>;
  close(): Promise<void>;
}

function headerOf(request: IncomingMessage | Request, name: string): string | undefined {
  return request instanceof Request
    ? (request.headers.get(name) ?? undefined)
    : (request.headers[name] as string | undefined);
}

/** The fetch handler behind node:http, as small frameworks do it. */
function bridge(notifier: Notifier): RequestListener {
  const handle = fetchHandler(notifier);
  return async (incoming, response) => {
    const abort = new AbortController();
    response.on('close', () => {
      if (!response.writableFinished) abort.abort();
    });
    const body = incoming.method === 'GET' || incoming.method === 'HEAD' ? undefined : Readable.toWeb(incoming);
    const request = new Request(`http://${incoming.headers.host}${incoming.url}`, {
      method: incoming.method ?? 'GET',
      headers: Object.entries(incoming.headers) as [string, string][],
      signal: abort.signal,
      ...(body && { body: body as unknown as BodyInit, duplex: 'half' }),
    } as RequestInit);
    const answer = (await handle(request)) ?? new Response('not a route', { status: 404 });
    if (response.destroyed) return void answer.body?.cancel();
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    if (answer.body) pipeline(Readable.fromWeb(answer.body as ReadableStream), response, () => {});
    else response.end();
  };
}

function httpServer(kind: ServerKind, notifier: Notifier, { before = [], after = [] }: ServeOptions): Server {
  if (kind === 'fetch') return createServer(bridge(notifier));
  if (kind === 'node:http' || kind === 'node:http2') {
    const handle = nodeListener(notifier);
    const listener = async (...[request, response]: Parameters<typeof handle>): Promise<void> => {
      if (await handle(request, response)) return;
      response.writeHead(404);
      response.end('not a route');
    };
    return kind === 'node:http' ? createServer(listener) : createHttp2Server(listener);
  }
  const overHttp2 = kind === 'Express 5 over HTTP/2';
  const app = overHttp2 ? http2Express(express) : kind === 'Express 5' ? express() : express4();
  app.set('env', 'test');
  for (const middleware of before) app.use(middleware);
  app.use('/notify-listen', routes(notifier));
  for (const middleware of after) app.use(middleware);
  app.use((_request, response) => {
    response.status(404).end('not a route');
  });
  return overHttp2 ? createHttp2Server(app as never) : createServer(app);
}

/** Starts a server. The user is the header `x-user`, the login session the header `x-session`. */
export async function serve(kind: ServerKind, options: ServeOptions = {}): Promise<TestServer> {
  const { namespace, port: wanted = 0, before: _before, after: _after, ...rest } = options;
  const errors: unknown[] = [];
  const notifier = createNotifier({
    user: (request) => headerOf(request, 'x-user'),
    session: (request) => headerOf(request, 'x-session'),
    canListen: RIGHTS,
    env: { NOTIFY_LISTEN_SECRET: SECRET, ...(namespace !== undefined && { NOTIFY_LISTEN_NAMESPACE: namespace }) },
    logger: () => {},
    onError: (error) => errors.push(error),
    ...rest,
  });
  const server = httpServer(kind, notifier, options);
  await new Promise<void>((resolve) => server.listen(wanted, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/notify-listen`;
  const http2 = speaksHttp2(kind);

  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closed ??= (async () => {
      await notifier.close({ within: 0 });
      const gone = new Promise((resolve) => server.close(resolve));
      if ('closeAllConnections' in server) (server as { closeAllConnections(): void }).closeAllConnections();
      await gone;
    })();
    return closed;
  };
  onTestFinished(close);

  const asking = ({ user, session, headers, ...sent }: Sent & As): Sent => ({
    ...sent,
    headers: {
      ...(user !== undefined && { 'x-user': user }),
      ...(session !== undefined && { 'x-session': session }),
      ...headers,
    },
  });
  const whole: TestServer['ask'] = (path, sent = {}) => ask(url + path, asking(sent), http2);
  const head: TestServer['send'] = (path, sent = {}) => send(url + path, asking(sent), http2);

  const authorise: TestServer['authorise'] = async (as, ...channels) => {
    const objects = channels.map((channel) => {
      const [entity, id] = channel.split('/').map(decodeURIComponent);
      return id === undefined ? { entity } : { entity, id };
    });
    const answer = await whole('/auth', { ...as, body: { protocol: 1, objects } });
    if (answer.status !== 200) throw new Error(`/auth answered ${answer.status}: ${answer.text}`);
    return answer.json<AuthAnswer>();
  };
  const stream: TestServer['stream'] = (as, body, headers = {}) =>
    head('/stream', {
      ...as,
      headers,
      body: { protocol: 1, wait: 'stream', grants: [], channels: {}, own: null, ...body },
    });

  return {
    kind,
    notifier,
    server,
    port,
    url,
    errors,
    send: head,
    start: (path, sent = {}) => start(url + path, asking(sent), http2),
    ask: whole,
    authorise,
    stream,
    close,
    async listen(as, channels, { after = null, own = null, headers = {} } = {}) {
      const { grant } = channels.length > 0 ? await authorise(as, ...channels) : { grant: undefined };
      const body = {
        grants: grant === undefined ? [] : [grant],
        channels: Object.fromEntries(channels.map((channel) => [channel, after])),
        own,
      };
      let reply = await stream(as, body, headers);
      // With a heartbeat as short as a test's, a busy machine is enough for a node to be unproved for a moment.
      for (let tries = 1; reply.status === 503 && tries < 20; tries += 1) {
        reply.cut();
        await new Promise((resolve) => setTimeout(resolve, 50));
        reply = await stream(as, body, headers);
      }
      if (reply.status !== 200) throw new Error(`/stream answered ${reply.status}`);
      return readEvents(reply);
    },
  };
}
