/**
 * The four routes, without a framework. A request is the little that they need, so that a glue file only translates and
 * accepting a stream costs no web `Request` object; see docs/decisions.
 */
import { channelOf } from '../adapters/channel.js';
import { checkObject } from '../adapters/notification.js';
import { epochOf } from '../adapters/position.js';
import { type AuthAnswer, type ConfigAnswer, type ErrorAnswer, PROTOCOL_VERSION } from '../adapters/protocol.js';
import type { Identity } from './access.js';
import { createJudge } from './coverage.js';
import { LAG_PATIENCE } from './follower.js';
import { createGrants } from './grants.js';
import { HttpError, unavailable } from './http-error.js';
import { inTime } from './in-time.js';
import { corsHeaders, NO_HEADERS, refuseForeign } from './origin.js';
import { isForm } from './provider-request.js';
import { createProviderRoute } from './provider-route.js';
import {
  checkProtocol,
  type HandlerOptions,
  introduced,
  JSON_HEADERS,
  providerNow,
  type RouteAnswer,
  type RouteRequest,
  readJson,
} from './routing.js';
import { createStreamRoute } from './stream-route.js';

export interface Handler<Request> {
  /** Answers a request; `undefined` when there is no such route. Never rejects. */
  handle(request: RouteRequest<Request>): Promise<RouteAnswer | undefined>;
}

/** Bounds of the client's wait before a reconnect, in milliseconds. */
const RETRY = { min: 300, max: 30_000 };

export function createHandler<Request>(options: HandlerOptions<Request>): Handler<Request> {
  const {
    access,
    secrets,
    follower,
    collect,
    limits,
    settings,
    hosted,
    grantLife,
    heartbeat,
    origins,
    duration,
    closing,
    node,
    monotonic,
    now,
    onError,
    onRefused,
    onForeign,
  } = options;
  const { history } = follower;
  const grants = createGrants(secrets);
  const forms = hosted?.adapter.forms !== undefined;

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
      provider: providerNow(options),
      settings: hosted?.adapter.publicSettings ?? {},
      ...introduced(identity),
      heartbeat,
      retry: RETRY,
      retention: settings.retention,
    };
  }

  async function auth(request: RouteRequest<Request>): Promise<unknown> {
    if (isForm(request)) return provider.form(request);
    const body = await readJson(request, limits.bodyBytes);
    return 'connection' in body ? provider.exchange(request, body) : grantFor(request, body);
  }

  async function grantFor(request: RouteRequest<Request>, body: Record<string, unknown>): Promise<AuthAnswer> {
    const objects = objectsOf(body.objects, limits.channelsPerConnection);
    const identity = await access.identify(request.raw);
    // Before the right is asked: a revocation that comes meanwhile cancels the grant.
    const position = history.top;
    const results = await access.check(identity, objects);
    const channels = objects.filter((_, index) => results[index] === 'granted').map(channelOf);
    onRefused(results.filter((result) => result === 'refused').length);
    const life = { expires: now() + grantLife, node, ends: monotonic() + grantLife };
    const grant = channels.length > 0 && grants.write({ ...who(identity), channels, position, ...life });
    return { epoch: epochOf(position), results, ...(grant && { grant }), expiresIn: grantLife };
  }

  function health(): RouteAnswer {
    const status = closing() ? 'closing' : follower.healthy() ? 'ok' : 'degraded';
    return { status: status === 'ok' ? 200 : 503, headers: JSON_HEADERS, body: JSON.stringify({ status }) };
  }

  const judge = createJudge({ ...options, grants });
  const stream = createStreamRoute<Request>({ ...options, judge, who });
  const provider = createProviderRoute<Request>({ ...options, judge });

  /** A node serves nothing before it has loaded the window. Ask only while it has not: it takes a timer. */
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
    Record<
      string,
      Readonly<Record<string, (request: RouteRequest<Request>, arrived: number) => Promise<unknown> | unknown>>
    >
  > = {
    '/config': { GET: config },
    '/auth': { POST: auth, ...(forms && { GET: provider.form }) },
    '/stream': { GET: stream.get, POST: stream.post },
    '/health': { GET: health },
  };

  /** Where the platform cuts requests off, what takes too long is answered before. */
  function inDuration(work: Promise<unknown>): Promise<unknown> {
    if (duration.limit === Number.POSITIVE_INFINITY) return work;
    let late = false;
    work.then(
      (result) => {
        // Nobody takes the stream any more: what was counted for it is given back.
        if (late && isAnswer(result) && 'stream' in result) {
          const { sink, finish } = collect();
          result.stream(sink);
          finish();
        }
      },
      (error) => {
        if (late) onError(error);
      },
    );
    return inTime(work, duration.limit, 'the answer').catch((error: unknown) => {
      late = true;
      throw error instanceof HttpError
        ? error
        : unavailable('The answer took too long (maxDuration); try again.', error);
    });
  }

  async function answer(request: RouteRequest<Request>): Promise<RouteAnswer | undefined> {
    const arrived = monotonic();
    const methods = routes[request.path];
    if (!methods) return undefined;
    const cors = corsHeaders(request, origins);
    const run = methods[request.method];
    const allow = run ? '' : [...Object.keys(methods), 'OPTIONS'].join(', ');
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
      if (!run) throw new HttpError(405, 'invalid', `${request.path} takes ${allow}.`);
      const work = async (): Promise<unknown> => {
        if (request.path !== '/health') {
          refuseForeign(request, origins, settings.production);
          if (request.method === 'POST') checkContentType(request, forms);
          if (!follower.loaded()) await ready();
        }
        return run(request, arrived);
      };
      const result = await inDuration(work());
      const whole: RouteAnswer = isAnswer(result)
        ? result
        : { status: 200, headers: JSON_HEADERS, body: JSON.stringify(result) };
      // Copied only where there is something to add: most openings come from the site's own pages.
      return cors === NO_HEADERS ? whole : { ...whole, headers: { ...whole.headers, ...cors } };
    } catch (error) {
      const fault = errorAnswer(error, onError);
      const foreign = error instanceof HttpError && error.code === 'origin' && request.header('origin');
      if (foreign) onForeign(foreign);
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

/**
 * A page of another origin can send a form or plain text unasked, but no JSON. The form of a provider's client changes
 * nothing and tells nothing to such a page, whose origin is refused besides.
 */
function checkContentType(request: RouteRequest, forms: boolean): void {
  const type = request.header('content-type') ?? '';
  if (forms && request.path === '/auth' && isForm(request)) return;
  if (!/^application\/json\b/i.test(type)) throw new HttpError(415, 'invalid', 'The body must be application/json.');
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
