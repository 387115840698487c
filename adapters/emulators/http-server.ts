/**
 * The HTTP server of an emulator: bodies up to a limit, the faults that refuse or delay requests, and a port that is left
 * and taken again as if the process were killed and started.
 */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { EmulatorWorld } from './emulator.js';
import type { FaultControl } from './faults.js';

/** An emulated token holds its whole capability (200 channels with long names), and a WebSocket brings it in its address. */
const MAX_HEADER_BYTES = 262_144;

export interface HttpRequest {
  readonly method: string;
  /** As it was sent: still escaped, without the query. */
  readonly path: string;
  /** As it was sent: still escaped, without `?`; empty when there is none. */
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** Text and bytes go as they are; with neither, nothing is sent. JSON is the caller's to make: {@link json}. */
  readonly body?: string | Uint8Array;
  /** Runs when the answer has left. */
  readonly after?: () => void;
}

/** A JSON answer. */
export function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): HttpAnswer {
  return { status, headers: { 'Content-Type': 'application/json', ...headers }, body: JSON.stringify(value) };
}

export interface HttpServerOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** The largest body of a request, in bytes. */
  readonly bodyLimit: number;
  readonly world: EmulatorWorld;
  readonly faults: FaultControl;
  /** Paths that faults leave alone, so that they can be lifted. */
  isControl(path: string): boolean;
  /** Answers a request. `undefined`: it has taken over `response` (an event stream). */
  handle(request: HttpRequest, response: ServerResponse): HttpAnswer | undefined | Promise<HttpAnswer | undefined>;
  /** The answer to a body above the limit. */
  readonly tooLarge: HttpAnswer;
  /** How a fault's status is worded by the vendor. */
  refusal(status: number): HttpAnswer;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

export interface HttpServer {
  /** Known once it has been started. */
  readonly port: number;
  /** Requests so far, refused ones included, without those of the control route. */
  readonly requests: number;
  start(): Promise<void>;
  /** Cuts every connection. Resolves when the port is free. */
  stop(): Promise<void>;
}

/** `undefined`: above the limit. The rest is read and thrown away, or the answer would be lost in a reset. */
async function readBody(request: IncomingMessage, limit: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= limit) chunks.push(chunk);
  }
  return size > limit ? undefined : Buffer.concat(chunks);
}

export function createHttpServer(options: HttpServerOptions): HttpServer {
  const { world, faults } = options;
  const sockets = new Set<Socket>();
  let port = options.port;
  let requests = 0;
  const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES }, (request, response) => {
    answer(request, response).catch(() => request.socket.destroy());
  });
  server.on('upgrade', (request, socket, head) => {
    // A peer that is gone before it was answered is no fault of ours.
    socket.on('error', () => socket.destroy());
    options.upgrade(request, socket, head);
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path = '', query = ''] = (request.url ?? '').split(/\?(.*)/s);
    const isControl = options.isControl(path);
    const refusal = isControl ? null : faults.now.requests;
    if (!isControl) requests++;
    if (refusal === 'reset') return void request.socket.destroy();
    const body = await readBody(request, options.bodyLimit);
    if (refusal === 'silent') return;
    const asked: HttpRequest = {
      method: request.method ?? '',
      path,
      query,
      headers: request.headers,
      body: body ?? Buffer.of(),
    };
    const made = refusal
      ? withRetry(options.refusal(refusal.status), refusal.retryAfter)
      : body
        ? await options.handle(asked, response)
        : options.tooLarge;
    if (!made) return;
    const { delay } = faults.now;
    if (delay > 0 && !isControl) await new Promise<void>((done) => world.setTimeout(done, delay));
    if (response.destroyed) return;
    if (made.after) response.once('finish', made.after);
    for (const [name, value] of Object.entries(made.headers ?? {})) response.setHeader(name, value);
    response.writeHead(made.status).end(made.body);
  }

  return {
    get port() {
      return port;
    },
    get requests() {
      return requests;
    },
    async start() {
      if (server.listening) return;
      await new Promise<void>((done, failed) => {
        server.once('error', failed);
        server.listen(port, options.host, () => {
          server.off('error', failed);
          done();
        });
      });
      port = (server.address() as AddressInfo).port;
    },
    async stop() {
      if (!server.listening) return;
      const ended = new Promise<void>((done) => server.close(() => done()));
      for (const socket of sockets) socket.destroy();
      await ended;
    },
  };
}

function withRetry(made: HttpAnswer, retryAfter: number | undefined): HttpAnswer {
  return retryAfter === undefined ? made : { ...made, headers: { ...made.headers, 'Retry-After': String(retryAfter) } };
}
