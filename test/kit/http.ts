/**
 * A client that sends exactly what a test says: any header, any body, over HTTP/1.1 or HTTP/2 without TLS. `fetch` would
 * refuse half of what a hostile client sends.
 */
import { Agent, type IncomingHttpHeaders, request as requestOverHttp1 } from 'node:http';
import { connect as connectOverHttp2 } from 'node:http2';
import type { Readable } from 'node:stream';

export interface Sent {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON, with its content type. */
  readonly body?: unknown;
  /** An agent of the test, which may keep connections alive. Default: a connection of its own. */
  readonly agent?: Agent;
  /** Cuts the connection, also before there is an answer. */
  readonly signal?: AbortSignal;
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readable;
  /** Cuts the connection. */
  cut(): void;
}

export interface WholeReply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The body, which must be JSON. */
  json<T = Record<string, unknown>>(): T;
}

/** Sends a request and resolves with the head of the answer; the body is still to be read. */
export function send(url: string, sent: Sent = {}, http2 = false): Promise<Reply> {
  const json = sent.body !== undefined && typeof sent.body !== 'string';
  const body = json ? JSON.stringify(sent.body) : (sent.body as string | undefined);
  const headers = { ...(json && { 'content-type': 'application/json' }), ...sent.headers };
  const method = sent.method ?? (body === undefined ? 'GET' : 'POST');
  return http2 ? overHttp2(url, method, headers, body, sent) : overHttp1(url, method, headers, body, sent);
}

function overHttp1(
  url: string,
  method: string,
  headers: Record<string, string>,
  body: string | undefined,
  { agent, signal }: Sent,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = requestOverHttp1(url, { method, headers, agent: agent ?? new Agent({ keepAlive: false }) });
    request.on('response', (response) => {
      response.on('error', () => {}); // a test that cuts the connection does not want to hear of it
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        body: response,
        cut: () => request.destroy(),
      });
    });
    request.on('error', reject);
    signal?.addEventListener('abort', () => request.destroy());
    request.end(body);
  });
}

function overHttp2(
  url: string,
  method: string,
  { host, ...headers }: Record<string, string>,
  body: string | undefined,
  { signal }: Sent,
): Promise<Reply> {
  const { origin, pathname, search } = new URL(url);
  const session = connectOverHttp2(origin);
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ':method': method,
      ':path': pathname + search,
      ...(host !== undefined && { ':authority': host }),
      ...headers,
    });
    stream.on('close', () => session.close());
    stream.on('response', ({ ':status': status = 0, ...received }) =>
      resolve({ status, headers: received as IncomingHttpHeaders, body: stream, cut: () => session.destroy() }),
    );
    stream.on('error', reject);
    signal?.addEventListener('abort', () => session.destroy());
    session.on('error', reject);
    stream.end(body);
  });
}

/** Sends a request and returns at once how to give it up: for clients that leave before there is an answer. */
export function start(url: string, sent: Sent = {}, http2 = false): () => void {
  const leaving = new AbortController();
  send(url, { ...sent, signal: leaving.signal }, http2).catch(() => {});
  return () => leaving.abort();
}

/** Sends a request and reads the whole answer. */
export async function ask(url: string, sent: Sent = {}, http2 = false): Promise<WholeReply> {
  const { status, headers, body } = await send(url, sent, http2);
  const text = await textOf(body);
  return { status, headers, text, json: <T>() => JSON.parse(text) as T };
}

async function textOf(body: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
