/** One request of Node's `http` or `http2` servers, and of the frameworks on them, translated. */
import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { isGone, nodeSink } from '../../adapters/sse/server.js';
import { HttpError } from '../http-error.js';
import { handlerOf } from '../notifier.js';
import type { RouteRequest } from '../routing.js';
import type { Notifier } from '../types.js';

export type NodeRequest = IncomingMessage | Http2ServerRequest;
export type NodeResponse = ServerResponse | Http2ServerResponse;

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
  const routed = new NodeRouteRequest(request, response, path, search);
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

/** A class, since one is made for each request: closures would cost an opening four objects more. */
class NodeRouteRequest implements RouteRequest<NodeRequest> {
  readonly raw: NodeRequest;
  readonly path: string;
  readonly method: string;
  readonly #headers: NodeRequest['headers'];
  readonly #response: NodeResponse;
  readonly #search: string;

  constructor(request: NodeRequest, response: NodeResponse, path: string, search: string) {
    this.raw = request;
    this.path = path;
    // Read once: on Node 20, Express leaves each request a hidden class of its own, so that every look at it is a slow one.
    this.method = request.method ?? 'GET';
    this.#headers = request.headers;
    this.#response = response;
    this.#search = search;
  }

  get query(): URLSearchParams {
    return new URLSearchParams(this.#search);
  }

  header(name: string): string | undefined {
    // HTTP/2 has the host in a field of its own.
    const value = this.#headers[name] ?? (name === 'host' ? this.#headers[':authority'] : undefined);
    return Array.isArray(value) ? value[0] : value;
  }

  body(limit: number): Promise<unknown> {
    const parsed = parsedBody(this.raw);
    return parsed !== undefined ? Promise.resolve(parsed) : readBody(this.raw, limit);
  }

  onClose(run: () => void): void {
    if (isGone(this.#response)) run();
    else this.#response.once('close', run);
  }
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
    // The request lives as long as its stream: what stayed here would stay for as long, 2.5 KiB with twenty channels.
    const settle = (): void => {
      chunks.length = 0;
      request.off('data', take).off('end', end).off('error', cut).off('close', cut);
    };
    const take = (chunk: Buffer): void => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes <= limit) return;
      settle();
      // The rest flows on and is thrown away: an answer that comes before the body's end may never be seen.
      reject(new HttpError(413, 'too-large', `The body has more than ${limit} bytes.`));
    };
    const end = (): void => {
      const [only] = chunks;
      const text = (only && chunks.length === 1 ? only : Buffer.concat(chunks)).toString();
      settle();
      resolve(text);
    };
    const cut = (): void => {
      settle();
      reject(new HttpError(400, 'invalid', 'The body was cut off.'));
    };
    request.on('data', take).on('end', end).on('error', cut).on('close', cut);
  });
}
