/**
 * The application of the chaos run, a process of its own: values that outlive it (one small file each), a route that
 * changes one and notifies, the page, and what it is made of in figures. It is killed, stopped and restarted at will.
 *
 * Environment: `PORT`, `CHAOS_DATA` (folder of the values and the page), `CHAOS_HEARTBEAT` (milliseconds), `CHAOS_CLUSTER`
 * (`true`: it is one of several nodes), and the library's own constants.
 */
import { appendFileSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { createNotifier } from 'notify-listen/server';
import { nodeListener } from 'notify-listen/server/node';

const { CHAOS_DATA: data = '.', CHAOS_HEARTBEAT, CHAOS_CLUSTER } = process.env;
const isCluster = CHAOS_CLUSTER === 'true';

/** What the harness reads of a process every second. */
export interface Figures {
  readonly pid: number;
  readonly rss: number;
  readonly connections: number;
  readonly resyncs: number;
  readonly conflated: number;
  readonly stalled: number;
  /** Notifications that were replayed as a stream opened. */
  readonly replayed: number;
  readonly errors: number;
  readonly degraded: boolean;
  /** Notifications that wait for the log. */
  readonly waiting: number;
}

let errors = 0;
const notifier = createNotifier({
  user: (request: IncomingMessage) => request.headers['x-user'] as string | undefined,
  canListen: { Item: { one: () => true } },
  ...(CHAOS_HEARTBEAT && { heartbeat: Number(CHAOS_HEARTBEAT) }),
  logger: () => {},
  onError: (error) => {
    errors += 1;
    console.error(error);
  },
});
const listen = nodeListener(notifier);

const fileOf = (id: string): string => join(data, `value-${id}`);

/** The greatest that was ever stored: a request that a stopped process takes up late is older than what came since. */
function storedValue(id: string): number {
  try {
    return Math.max(...readFileSync(fileOf(id), 'utf8').split('\n').map(Number));
  } catch {
    return 0;
  }
}

/** A line more, in one write: other processes store too, and this one may be stopped or killed at any moment. */
function store(id: string, value: number): void {
  appendFileSync(fileOf(id), `${value}\n`);
}

function json(response: ServerResponse, body: object): void {
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(JSON.stringify(body));
}

async function change(response: ServerResponse, id: string, value: number): Promise<void> {
  store(id, value);
  const { accepted } = await notifier.notify('changed', { entity: 'Item', id });
  json(response, { accepted });
}

const server = createServer((request, response) => {
  void listen(request, response).then(async (taken) => {
    if (taken) return;
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://application');
    const id = /^\/values\/(\d+)$/.exec(pathname)?.[1];
    if (id !== undefined && request.method === 'GET') json(response, { value: storedValue(id) });
    else if (id !== undefined) await change(response, id, Number(searchParams.get('value')));
    else if (pathname === '/figures') json(response, figures());
    else if (pathname === '/page') {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
      response.end(readFileSync(join(data, 'page.html')));
    } else response.writeHead(404).end();
  });
});

let replayed = 0;

/** Reads along what is written to a page: notifications between `hello` and `ready` are a replay. */
function readAlong(socket: Socket): void {
  const { write } = socket;
  let opening = false;
  socket.write = ((chunk: Uint8Array | string, ...rest: unknown[]) => {
    for (const [, type] of String(chunk).matchAll(/^event: (\w+)$/gm)) {
      if (type === 'hello') opening = true;
      else if (type === 'ready') opening = false;
      else if (type === 'notification' && opening) replayed += 1;
    }
    return Reflect.apply(write, socket, [chunk, ...rest]);
  }) as Socket['write'];
}
server.on('connection', readAlong);

function figures(): Figures {
  const { connections, resyncs, conflated, stalled, degraded, waiting } = notifier.metrics();
  return {
    pid: process.pid,
    rss: process.memoryUsage().rss,
    connections,
    resyncs,
    conflated,
    stalled,
    replayed,
    errors,
    degraded,
    waiting,
  };
}

// Pages come back within a second: on one machine there is nothing to protect from all of them.
process.once('SIGTERM', () => {
  void notifier.close({ within: 1_000, drain: isCluster }).then(() => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
    setTimeout(() => process.exit(0), 2_000).unref();
  });
});

// Nothing is served before the log is there; a node of several is served by a balancer before it is ready.
if (!isCluster) await notifier.position();
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  console.log(`ready on ${(server.address() as AddressInfo).port}`);
});
