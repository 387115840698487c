/** The REST side: reads a request, finds its route, and words the answer as the client asked for it. */
import type { HttpAnswer, HttpRequest } from '../http-server.js';
import type { Authenticate, Caller } from './auth.js';
import { readCredentials } from './auth.js';
import { AblyError, asAblyError } from './errors.js';
import type { ErrorInfo } from './protocol.js';
import { CONTENT_TYPE, decodeBody, encodeBody, type Format } from './wire.js';

/** A batch may have 2 MiB; everything else is refused by its own limit. */
export const MAX_BODY: number = 2 * 1024 * 1024;

/** A request, read. */
export interface RestCall {
  /** The parts of the path that the route names, unescaped. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
  readonly format: Format;
  body(): unknown;
  /** `X-Ably-Version`, or `v` of the query; the newest that is known when neither is sent. */
  readonly version: string;
  /** Who asks. @throws AblyError as `createAuthenticate` says, 42918 */
  caller(): Caller;
  /** Whether the request came with credentials at all. */
  readonly anonymous: boolean;
}

export interface RestReply {
  readonly status?: number;
  readonly body?: unknown;
  /** Relations of pages, each a query. */
  readonly links?: Readonly<Record<string, URLSearchParams>>;
}

export interface Route {
  readonly method: string;
  /** Each group is one part of the path. */
  readonly path: RegExp;
  answer(call: RestCall): RestReply | Promise<RestReply>;
}

/** Any page may ask: the service is of another origin for every one of them. */
const CORS: Readonly<Record<string, string>> = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Methods': 'GET, POST, PUT, PATCH, DELETE',
  'Access-Control-Allow-Headers': '*, Authorization',
  'Access-Control-Expose-Headers': 'Link, X-Ably-ErrorCode, X-Ably-ErrorMessage',
};

/** How an error is answered. */
export function refusal(error: ErrorInfo, format: Format = 'json'): HttpAnswer {
  const headers = {
    ...CORS,
    'Content-Type': CONTENT_TYPE[format],
    'X-Ably-ErrorCode': String(error.code),
    'X-Ably-ErrorMessage': error.message.replace(/[^ -~]/g, '?'),
  };
  return { status: error.statusCode, headers, body: encodeBody(format, { error }) };
}

function formatOf({ headers, query }: HttpRequest): Format {
  const asked = new URLSearchParams(query).get('format') ?? headers.accept ?? '';
  return asked.includes('msgpack') ? 'msgpack' : 'json';
}

/** @param routes the first whose method and path fit is taken */
export function createRest(
  routes: readonly Route[],
  authenticate: Authenticate,
): (request: HttpRequest) => Promise<HttpAnswer> {
  async function reply(request: HttpRequest, format: Format): Promise<HttpAnswer> {
    const found = routes.find(({ method, path }) => method === request.method && path.test(request.path));
    if (!found) throw new AblyError(40400, `nothing is at ${request.method} ${request.path}`, 404);
    const { headers } = request;
    const query = new URLSearchParams(request.query);
    const credentials = readCredentials(headers.authorization, query, headers['x-ably-clientid'] as string | undefined);
    const {
      status = 200,
      body,
      links = {},
    } = await found.answer({
      path: (found.path.exec(request.path) ?? []).slice(1).map(unescaped),
      query,
      format,
      version: query.get('v') ?? String(headers['x-ably-version'] ?? 6),
      body: () => decodeBody(headers['content-type']?.includes('msgpack') ? 'msgpack' : 'json', request.body),
      caller() {
        const caller = authenticate(credentials);
        if (!caller.app.requests.take())
          throw new AblyError(
            42918,
            'Maximum account-wide instantaneous apiRequests rate exceeded; metric = apiRequests.maxRate',
            429,
          );
        return caller;
      },
      anonymous: credentials.key === undefined && credentials.token === undefined,
    });
    const last = request.path.slice(request.path.lastIndexOf('/') + 1);
    // One value for each relation: not every client splits a list.
    const link = Object.entries(links).map(([rel, params]) => `<./${last}?${params}>; rel="${rel}"`);
    const envelope = query.get('envelope');
    const made: Record<string, string | readonly string[]> = { ...(link.length > 0 && { Link: link }) };
    const wrapped = envelope
      ? { statusCode: status, headers: link.length > 0 ? { link: link.join(',') } : {}, response: body }
      : body;
    if (wrapped === undefined) return { status: 204, headers: CORS };
    return {
      status: envelope ? 200 : status,
      headers: { ...CORS, 'Content-Type': CONTENT_TYPE[format], ...made },
      body: encodeBody(format, wrapped),
    };
  }

  return async (request) => {
    if (request.method === 'OPTIONS') return { status: 204, headers: CORS };
    const format = formatOf(request);
    try {
      return await reply(request, format);
    } catch (thrown) {
      return refusal(asAblyError(thrown).info, format);
    }
  };
}

function unescaped(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new AblyError(40000, 'the path is not escaped well');
  }
}
