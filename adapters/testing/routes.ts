/**
 * The routes of the protocol as a `fetch` function, in front of the memory adapter's server half: no network, and a
 * stream is a real streamed `Response`, so that the client that is shipped runs against it unchanged.
 */
import type { Channel } from '../channel.js';
import type { Interest, ObjectRef, World } from '../contract.js';
import type { ErrorCode, ListenError } from '../errors.js';
import type { MemoryLink, MemoryReceiver } from '../memory/server.js';
import type {
  AuthAnswer,
  AuthRequest,
  ConfigAnswer,
  ErrorAnswer,
  ServerEvent,
  StreamAnswer,
  StreamRequest,
} from '../protocol.js';

/** A request that a page made, for tests that count or look. */
export interface SeenRequest {
  readonly route: 'config' | 'auth' | 'stream';
  /** The user of the page. */
  readonly user: string;
  /** The objects that `auth` was asked about. */
  readonly objects?: readonly ObjectRef[];
  /** The channels that a stream was opened for, and how it waits. */
  readonly channels?: readonly Channel[];
  readonly wait?: StreamRequest['wait'];
}

/** What is behind the routes, for one page. */
export interface Backend {
  /** Notes the request. @throws ListenError for who may not; an error of another kind is a broken network. */
  enter(seen: Omit<SeenRequest, 'user'>): void;
  config(): Promise<ConfigAnswer>;
  auth(request: AuthRequest): Promise<AuthAnswer>;
  connect(interest: Interest, receiver: MemoryReceiver): MemoryLink;
}

const STATUS: Partial<Record<ErrorCode, number>> = { unauthenticated: 401, forbidden: 403, invalid: 404 };

/** A `fetch` that answers what is below `base`, and hands everything else to the page's own. */
export function routes(base: string, backend: Backend): World['fetch'] {
  // Outside a page, or on `about:blank`, a path has no origin; any will do, since only two of them are compared.
  const here = globalThis.location?.href ?? '';
  const absolute = (address: string): URL => new URL(address, here.startsWith('http') ? here : 'http://localhost/');
  const root = absolute(`${base.replace(/\/+$/, '')}/`);

  return async (input, init = {}) => {
    const address = absolute(typeof input === 'string' ? input : 'url' in input ? input.url : input.href);
    const route = address.origin === root.origin ? pathBelow(root.pathname, address.pathname) : undefined;
    if (route === undefined) return globalThis.fetch(input, init);
    init.signal?.throwIfAborted();
    const body = typeof init.body === 'string' ? (JSON.parse(init.body) as unknown) : undefined;
    try {
      return await answer(route, body, init.signal ?? undefined);
    } catch (error) {
      const { code, message } = error as Partial<ListenError>;
      // A broken network is no answer; `fetch` rejects with a TypeError.
      if (code === undefined || message === undefined) throw error;
      return json({ error: { code, message } } satisfies ErrorAnswer, STATUS[code] ?? 503);
    }
  };

  async function answer(route: string, body: unknown, signal: AbortSignal | undefined): Promise<Response> {
    if (route === 'config') {
      backend.enter({ route });
      return json(await backend.config());
    }
    if (route === 'auth') {
      const request = body as AuthRequest;
      backend.enter({ route, objects: request.objects });
      return json(await backend.auth(request));
    }
    if (route === 'stream' && body) {
      const request = body as StreamRequest;
      backend.enter({ route, channels: Object.keys(request.channels), wait: request.wait });
      return request.wait === 'stream' ? stream(request, signal) : json(await collect(request, signal));
    }
    return json({ error: { code: 'invalid', message: `There is no route /${route}.` } } satisfies ErrorAnswer, 404);
  }

  function stream(request: StreamRequest, signal: AbortSignal | undefined): Response {
    const encoder = new TextEncoder();
    let link: MemoryLink | undefined;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        link = backend.connect(request, {
          event(event, id) {
            controller.enqueue(encoder.encode(frame(event, id)));
          },
          ended: (error) => controller.error(error),
        });
        signal?.addEventListener('abort', () => {
          link?.close();
          controller.error(signal.reason);
        });
      },
      cancel: () => link?.close(),
    });
    return new Response(body, { headers: { 'content-type': 'text/event-stream; charset=utf-8' } });
  }

  /** `once` answers what there is up to `ready`; `poll` waits for news after it. */
  function collect(request: StreamRequest, signal: AbortSignal | undefined): Promise<StreamAnswer> {
    return new Promise((resolve, reject) => {
      const events: ServerEvent[] = [];
      let ready = false;
      const link = backend.connect(request, {
        event(event) {
          events.push(event);
          // `hello` and `ready` alone are no news.
          ready ||= event.type === 'ready';
          if (ready && (request.wait === 'once' || events.length > 2)) finish();
        },
        ended: reject,
      });
      const finish = (): void => {
        link.close();
        resolve({ events });
      };
      signal?.addEventListener('abort', () => {
        link.close();
        reject(signal.reason);
      });
    });
  }
}

function pathBelow(root: string, path: string): string | undefined {
  return path.startsWith(root) ? path.slice(root.length) : undefined;
}

function json(body: unknown, status = 200): Response {
  return new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json' } });
}

function frame(event: ServerEvent, id: string | undefined): string {
  const { type, ...rest } = event;
  const data = event.type === 'notification' ? event.notification : rest;
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
}
