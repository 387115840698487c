/** The routes for Node's own `http` and `http2` servers, without a framework. Only translates. */
import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { isGone, nodeSink } from '../../adapters/sse/server.js';
import { HttpError } from '../http-error.js';
import { handlerOf } from '../notifier.js';
import type { RouteRequest } from '../routing.js';
import type { Notifier } from '../types.js';

export type NodeRequest = IncomingMessage | Http2ServerRequest;
export type NodeResponse = ServerResponse | Http2ServerResponse;

/** Takes a request and answers it. Resolves with `false`, having done nothing, when it is not one of the routes. */
export type NodeListener = (request: NodeRequest, response: NodeResponse) => Promise<boolean>;

/**
 * The routes of a notifier as a listener of Node's own servers.
 *
 * @param options `base`: the path that they live under. Default `/notify-listen`.
 */
export function nodeListener(notifier: Notifier, { base = '/notify-listen' }: { base?: string } = {}): NodeListener {
  return async (request, response) => {
    const url = request.url ?? '/';
    const path = url.split('?', 1)[0] as string;
    if (!path.startsWith(`${base}/`)) return false;
    return answer(notifier, request, response, path.slice(base.length), url.slice(path.length));
  };
}

/**
 * Answers one request whose path below the base is known.
 *
 * @param search the query with its `?`, or nothing.
 */
export async function answer(
  notifier: Notifier,
  request: NodeRequest,
  response: NodeResponse,
  path: string,
  search: string,
): Promise<boolean> {
  const parsed = parsedBody(request);
  const routed: RouteRequest<NodeRequest> = {
    method: request.method ?? 'GET',
    path,
    query: new URLSearchParams(search),
    header(name) {
      // HTTP/2 has the host in a field of its own.
      const value = request.headers[name] ?? (name === 'host' ? request.headers[':authority'] : undefined);
      return Array.isArray(value) ? value[0] : value;
    },
    body: (limit) => (parsed !== undefined ? Promise.resolve(parsed) : readBody(request, limit)),
    onClose: (run) => {
      if (isGone(response)) run();
      else response.once('close', run);
    },
    raw: request,
  };
  const result = await handlerOf(notifier).handle(routed);
  if (!result) return false;
  if (!('stream' in result)) {
    // Whoever is told to look elsewhere must not come back on the same connection to the same node.
    const leave = result.status === 503 && response instanceof ServerResponse;
    response.writeHead(result.status, { ...result.headers, ...(leave && { Connection: 'close' }) });
    response.end(result.body);
    return true;
  }
  // The head, hello and ready leave as one packet.
  const { socket } = response as ServerResponse;
  const corked = response instanceof Object && 'flushHeaders' in response ? socket : null;
  corked?.cork();
  response.writeHead(200, result.headers);
  if ('flushHeaders' in response) response.flushHeaders();
  result.stream(nodeSink(response as ServerResponse));
  corked?.uncork();
  return true;
}

/**
 * What a body parser left. Without one Express 4 has an empty object there and everybody else nothing; the stream is
 * unread then.
 */
function parsedBody(request: NodeRequest & { readonly body?: unknown }): unknown {
  const { body } = request;
  return request.readableEnded ||
    (request.complete && body !== undefined && body !== null && Object.keys(body).length > 0)
    ? body
    : undefined;
}

/** The whole body as text. @throws HttpError 413 as soon as it is longer than `limit` bytes. */
function readBody(request: NodeRequest, limit: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    // Read by somebody who left nothing of it, or cut off: no event would come any more.
    if (request.readableEnded || request.destroyed) return reject(new HttpError(400, 'invalid', 'There is no body.'));
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= limit) chunks.push(chunk);
      else {
        // The rest is read and thrown away: an answer that comes before the body's end may never be seen.
        chunks.length = 0;
        reject(new HttpError(413, 'too-large', `The body has more than ${limit} bytes.`));
      }
    });
    request.on('end', () => resolve(Buffer.concat(chunks).toString()));
    const cut = (): void => reject(new HttpError(400, 'invalid', 'The body was cut off.'));
    request.on('error', cut);
    request.on('close', cut);
  });
}
