/**
 * The four routes, without a framework. A request is the little that they need, so that a glue file only translates and
 * accepting a stream costs no web `Request` object; see docs/decisions.
 */
import { channelOf } from '../adapters/channel.js';
import { checkObject } from '../adapters/notification.js';
import { epochOf } from '../adapters/position.js';
import {
  type AuthAnswer,
  type ConfigAnswer,
  type ErrorAnswer,
  OLDEST_PROTOCOL_VERSION,
  PROTOCOL_VERSION,
} from '../adapters/protocol.js';
import type { Hub, StreamSink } from '../adapters/sse/server.js';
import type { Access, Identity } from './access.js';
import type { Settings } from './config.js';
import { type Follower, LAG_PATIENCE } from './follower.js';
import { writeGrant } from './grants.js';
import { HttpError, unavailable } from './http-error.js';
import type { Gate } from './limits.js';
import { corsHeaders, refuseForeign } from './origin.js';
import type { Secrets } from './secrets.js';
import { createStreamRoute } from './stream-route.js';
import type { Limits } from './types.js';

/** What the routes need of a request. */
export interface RouteRequest<Request = unknown> {
  readonly method: string;
  /** Below the base path: `/config`. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** By lower-case name. */
  header(name: string): string | undefined;
  /** The body as text, or what a body parser made of it. @throws HttpError 413 beyond the limit, in bytes. */
  body(limit: number): Promise<unknown>;
  /** Calls back when the client has gone. */
  onClose(run: () => void): void;
  /** The framework's own request, for `user` and `session`. */
  readonly raw: Request;
}

export type RouteHeaders = Readonly<Record<string, string>>;

/** Either a whole answer, or the head of a stream and what to do with a sink for it once the head is written. */
export type RouteAnswer =
  | { readonly status: number; readonly headers: RouteHeaders; readonly body: string }
  | { readonly status: 200; readonly headers: RouteHeaders; readonly stream: (sink: StreamSink) => void };

export interface Handler<Request> {
  /** Answers a request; `undefined` when there is no such route. Never rejects. */
  handle(request: RouteRequest<Request>): Promise<RouteAnswer | undefined>;
}

export interface HandlerOptions<Request> {
  readonly access: Access<Request>;
  readonly secrets: Secrets;
  readonly follower: Follower;
  readonly hub: Hub;
  readonly gate: Gate;
  readonly limits: Limits;
  readonly settings: Settings;
  readonly grantLife: number;
  readonly heartbeat: number;
  readonly origins: readonly string[];
  readonly now: () => number;
  readonly onError: (error: unknown) => void;
  readonly onRefused: (count: number) => void;
}

/** Bounds of the client's wait before a reconnect, in milliseconds. */
const RETRY = { min: 300, max: 30_000 };

const JSON_HEADERS = {
  'Content-Type': 'application/json; charset=utf-8',
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
};

export function createHandler<Request>(options: HandlerOptions<Request>): Handler<Request> {
  const { access, secrets, follower, limits, settings, grantLife, heartbeat, origins, now, onError, onRefused } =
    options;
  const { history } = follower;

  function who({ users: [user], sessions }: Identity): { user: string; session?: string } {
    return { user, ...(sessions && { session: sessions[0] }) };
  }

  async function config(request: RouteRequest<Request>): Promise<ConfigAnswer> {
    const asked = request.query.get('protocol');
    if (asked !== null) checkProtocol(Number(asked));
    const identity = await access.identify(request.raw);
    return {
      protocol: PROTOCOL_VERSION,
      epoch: epochOf(history.top),
      provider: settings.provider,
      settings: {},
      ...who(identity),
      heartbeat,
      retry: RETRY,
      retention: settings.retention,
    };
  }

  async function auth(request: RouteRequest<Request>): Promise<AuthAnswer> {
    const body = await readJson(request, limits.bodyBytes);
    const objects = objectsOf(body.objects, limits.channelsPerConnection);
    const identity = await access.identify(request.raw);
    // Before the right is asked: a revocation that comes meanwhile cancels the grant.
    const position = history.top;
    const results = await access.check(identity, objects);
    const channels = objects.filter((_, index) => results[index] === 'granted').map(channelOf);
    onRefused(results.filter((result) => result === 'refused').length);
    const grant =
      channels.length > 0 && writeGrant({ ...who(identity), channels, position, expires: now() + grantLife }, secrets);
    return { epoch: epochOf(position), results, ...(grant && { grant }), expiresIn: grantLife };
  }

  function health(): RouteAnswer {
    const healthy = follower.healthy();
    return {
      status: healthy ? 200 : 503,
      headers: JSON_HEADERS,
      body: JSON.stringify({ status: healthy ? 'ok' : 'degraded' }),
    };
  }

  const stream = createStreamRoute<Request>({ ...options, who });

  /** A node serves nothing before it has loaded the window. */
  async function ready(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(unavailable('The server is starting; try again.')), LAG_PATIENCE);
    });
    try {
      await Promise.race([follower.started(), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  const routes: Readonly<
    Record<string, Readonly<Record<string, (request: RouteRequest<Request>) => Promise<unknown> | unknown>>>
  > = {
    '/config': { GET: config },
    '/auth': { POST: auth },
    '/stream': { GET: stream.get, POST: stream.post },
    '/health': { GET: health },
  };

  async function answer(request: RouteRequest<Request>): Promise<RouteAnswer | undefined> {
    const methods = routes[request.path];
    if (!methods) return undefined;
    const cors = corsHeaders(request, origins);
    const allow = [...Object.keys(methods), 'OPTIONS'].join(', ');
    if (request.method === 'OPTIONS') {
      return {
        status: 204,
        headers: {
          ...cors,
          Allow: allow,
          ...(cors['Access-Control-Allow-Origin'] && { 'Access-Control-Allow-Methods': allow }),
        },
        body: '',
      };
    }
    try {
      const run = methods[request.method];
      if (!run) throw new HttpError(405, 'invalid', `${request.path} takes ${allow}.`);
      if (request.path !== '/health') {
        refuseForeign(request, origins, settings.production);
        if (request.method === 'POST') checkContentType(request);
        await ready();
      }
      const result = await run(request);
      const whole: RouteAnswer = isAnswer(result)
        ? result
        : { status: 200, headers: JSON_HEADERS, body: JSON.stringify(result) };
      return { ...whole, headers: { ...whole.headers, ...cors } };
    } catch (error) {
      const fault = errorAnswer(error, onError);
      return {
        ...fault,
        headers: {
          ...fault.headers,
          ...cors,
          ...(error instanceof HttpError && error.status === 405 && { Allow: allow }),
        },
      };
    }
  }

  return { handle: answer };
}

function isAnswer(result: unknown): result is RouteAnswer {
  return typeof result === 'object' && result !== null && 'status' in result;
}

function errorAnswer(
  error: unknown,
  report: (error: unknown) => void,
): { status: number; headers: Record<string, string>; body: string } {
  const known = error instanceof HttpError ? error : unavailable('The server met a fault; try again.', error);
  if (known !== error) report(error);
  const body: ErrorAnswer = { error: { code: known.code, message: known.message } };
  return {
    status: known.status,
    headers: { ...JSON_HEADERS, ...(known.retryAfter !== undefined && { 'Retry-After': String(known.retryAfter) }) },
    body: JSON.stringify(body),
  };
}

/** @throws HttpError 426 for a version that is not served, in which case the page must be loaded anew. */
export function checkProtocol(version: unknown): void {
  if (typeof version === 'number' && version >= OLDEST_PROTOCOL_VERSION && version <= PROTOCOL_VERSION) return;
  throw new HttpError(
    426,
    'upgrade',
    `This server speaks the protocol versions ${OLDEST_PROTOCOL_VERSION} to ${PROTOCOL_VERSION}; load the page again.`,
  );
}

/** A page of another origin can send a form or plain text unasked, but no JSON. */
function checkContentType(request: RouteRequest): void {
  const type = request.header('content-type') ?? '';
  if (!/^application\/json\b/i.test(type)) throw new HttpError(415, 'invalid', 'The body must be application/json.');
}

/** The body as a JSON object of a known protocol version. @throws HttpError 400, 413, 426. */
export async function readJson(request: RouteRequest, limit: number): Promise<Record<string, unknown>> {
  const body = await request.body(limit);
  let value: unknown = body;
  // A parser for raw bodies leaves bytes.
  if (typeof body === 'string' || body instanceof Uint8Array) {
    try {
      value = JSON.parse(typeof body === 'string' ? body : Buffer.from(body).toString());
    } catch {
      throw new HttpError(400, 'invalid', 'The body is not JSON.');
    }
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new HttpError(400, 'invalid', 'The body must be a JSON object.');
  checkProtocol((value as { protocol?: unknown }).protocol);
  return value as Record<string, unknown>;
}

function objectsOf(value: unknown, most: number): { entity: string; id?: string }[] {
  if (!Array.isArray(value) || value.length === 0)
    throw new HttpError(400, 'invalid', 'objects: must be an array of { entity, id }.');
  if (value.length > most)
    throw new HttpError(413, 'too-large', `objects: has ${value.length}, but at most ${most} are answered at once.`);
  return value.map((object, index) => {
    try {
      return checkObject(object, `objects[${index}]`);
    } catch (error) {
      throw new HttpError(400, 'invalid', (error as Error).message);
    }
  });
}
