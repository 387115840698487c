/** A server that speaks the protocol inside the test's process and does what the test says, event by event. */
import { channelOf } from '../../adapters/channel.js';
import type { ObjectRef } from '../../adapters/contract.js';
import type { Position } from '../../adapters/position.js';
import type {
  AuthRequest,
  AuthResult,
  ConfigAnswer,
  LatestByAction,
  ServerEvent,
  StreamRequest,
  WireNotification,
} from '../../adapters/protocol.js';

/** One opened stream. */
export interface ServerStream {
  readonly request: StreamRequest;
  readonly headers: Headers;
  readonly channels: string[];
  /** The page ended it. */
  readonly closed: boolean;
  send(event: ServerEvent, id?: Position): void;
  /** Raw bytes, for what is no event. */
  write(text: string): void;
  hello(more?: Partial<Extract<ServerEvent, { type: 'hello' }>>): void;
  ready(position?: Position, more?: { known?: number; latest?: Record<string, LatestByAction> }): void;
  /** A notification with an id, as a stream without pending news sends it. */
  notify(notification: Partial<WireNotification> & { position: Position }): void;
  end(): void;
  /** Cuts it as a broken network does. */
  cut(): void;
}

export interface ScriptedServer {
  readonly fetch: (input: RequestInfo | URL, init?: RequestInit) => Promise<Response>;
  readonly config: { -readonly [K in keyof ConfigAnswer]: ConfigAnswer[K] };
  /** Every request that came, oldest first. */
  readonly requests: { readonly route: string; readonly body: unknown; readonly headers: Headers }[];
  /** All streams, oldest first; `at(-1)` is the newest. */
  readonly streams: ServerStream[];
  /** Those that neither side ended. */
  live(): ServerStream[];
  /** Bodies of the `/auth` requests. */
  auths(): AuthRequest[];
  /** Greets and covers every stream at once. Default `true`. */
  accepts: boolean;
  /** How long a grant lives. Default 5 min. */
  grantLife: number;
  /** Answers an object of `/auth`. Default: granted. */
  access: (object: ObjectRef, channel: string) => AuthResult;
  /** Answers in place of the route, once for each entry, oldest first; then the route answers again. */
  readonly instead: { [route: string]: (() => Response | Promise<Response>)[] };
  /** The position that `ready` tells. */
  top: Position;
  known: number;
  latest: Record<string, LatestByAction>;
}

/** An answer with the body of an error of ours. */
export function errorAnswer(status: number, code: string, headers: Record<string, string> = {}): Response {
  return Response.json({ error: { code, message: `${code}, said the server` } }, { status, headers });
}

export function createScriptedServer(): ScriptedServer {
  let grants = 0;
  const server: ScriptedServer = {
    config: {
      protocol: 1,
      epoch: 'e1',
      provider: 'sse',
      settings: {},
      user: 'user-ann',
      heartbeat: 15_000,
      retry: { min: 300, max: 30_000 },
      retention: 420_000,
    },
    requests: [],
    streams: [],
    live: () => server.streams.filter((stream) => !stream.closed),
    auths: () => server.requests.filter(({ route }) => route === 'auth').map(({ body }) => body as AuthRequest),
    accepts: true,
    grantLife: 300_000,
    access: () => 'granted',
    instead: {},
    top: 'e1:10',
    known: 400_000,
    latest: {},
    async fetch(input, init = {}) {
      const { pathname } = new URL(String(input), 'http://page.example');
      const route = pathname.split('/').at(-1) as string;
      const body: unknown = init.body === undefined ? undefined : JSON.parse(String(init.body));
      const headers = new Headers(init.headers);
      server.requests.push({ route, body, headers });
      init.signal?.throwIfAborted();
      const special = server.instead[route]?.shift();
      if (special) return special();
      if (route === 'config') return Response.json(server.config);
      if (route === 'auth') return auth(body as AuthRequest);
      if (route === 'stream') return stream(body as StreamRequest, headers, init.signal ?? undefined);
      return new Response('no such route', { status: 404 });
    },
  };

  function auth({ objects }: AuthRequest): Response {
    const results = objects.map((object) => server.access(object, channelOf(object)));
    const grant = results.includes('granted') ? { grant: `grant-${++grants}` } : {};
    return Response.json({ epoch: server.config.epoch, results, ...grant, expiresIn: server.grantLife });
  }

  function stream(request: StreamRequest, headers: Headers, signal: AbortSignal | undefined): Response {
    const encoder = new TextEncoder();
    let controller: ReadableStreamDefaultController<Uint8Array>;
    let closed = false;
    const body = new ReadableStream<Uint8Array>({
      start(given) {
        controller = given;
      },
      cancel() {
        closed = true;
      },
    });
    signal?.addEventListener('abort', () => {
      if (closed) return;
      closed = true;
      controller.error(new DOMException('aborted', 'AbortError'));
    });
    const write = (text: string) => {
      if (!closed) controller.enqueue(encoder.encode(text));
    };
    const opened: ServerStream = {
      request,
      headers,
      channels: Object.keys(request.channels),
      get closed() {
        return closed;
      },
      write,
      send(event, id) {
        const { type, ...rest } = event;
        const data = event.type === 'notification' ? event.notification : rest;
        write(`${id === undefined ? '' : `id: ${id}\n`}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`);
      },
      hello: (more = {}) =>
        opened.send({
          type: 'hello',
          protocol: 1,
          epoch: server.config.epoch,
          user: server.config.user,
          ...(server.config.session !== undefined && { session: server.config.session }),
          ...(server.config.aliases !== undefined && { aliases: server.config.aliases }),
          heartbeat: server.config.heartbeat,
          spread: 0,
          ...more,
        }),
      ready: (position = server.top, { known = server.known, latest = server.latest } = {}) =>
        opened.send({ type: 'ready', position, known, latest }, position),
      notify(notification) {
        const wire: WireNotification = {
          entity: 'Order',
          action: 'updated',
          changedDate: '2026-01-01T00:00:00Z',
          unordered: true,
          ...notification,
        };
        opened.send({ type: 'notification', notification: wire }, wire.position);
      },
      end() {
        if (closed) return;
        closed = true;
        controller.close();
      },
      cut() {
        if (closed) return;
        closed = true;
        controller.error(new TypeError('cut'));
      },
    };
    server.streams.push(opened);
    if (server.accepts) {
      opened.hello();
      opened.ready();
    }
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  }
  return server;
}
