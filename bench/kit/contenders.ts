/** The servers of the table: how each is started, and what a connection says to it. */
import { existsSync } from 'node:fs';
import { Agent, request as ask } from 'node:http';
import type { AuthAnswer } from '../../adapters/protocol.js';
import type { ServerAnswers } from '../servers/serve.js';
import { type Child, startChild } from './child.js';
import { type Crowd, startCrowd } from './crowd.js';

const NCHAN = '/usr/lib/nginx/modules/ngx_nchan_module.so';

/** A server that can be measured. */
export interface Contender {
  readonly name: string;
  readonly entry: string;
  readonly mode?: string;
  readonly speaks: 'sse' | 'better-sse' | 'nchan' | 'ws' | 'socket.io' | 'notify-listen';
}

export const LIMIT: Contender = { name: 'limit', entry: 'servers/limit.ts', speaks: 'sse' };
export const OURS: Contender = { name: 'notify-listen', entry: 'servers/notify-listen.ts', speaks: 'notify-listen' };
export const OURS_RAW: Contender = { ...OURS, name: 'notify-listen, raw http', mode: 'http' };
export const PEERS: readonly Contender[] = [
  { name: 'ws, one frame', entry: 'servers/ws.ts', mode: 'frame', speaks: 'ws' },
  { name: 'ws', entry: 'servers/ws.ts', speaks: 'ws' },
  { name: 'socket.io', entry: 'servers/socket-io.ts', speaks: 'socket.io' },
  { name: 'Express by hand', entry: 'servers/by-hand.ts', speaks: 'sse' },
  { name: 'better-sse', entry: 'servers/better-sse.ts', speaks: 'better-sse' },
  // Where Debian's packages are: nginx and libnginx-mod-nchan.
  ...(existsSync(NCHAN) ? ([{ name: 'nchan (C)', entry: 'servers/nchan.ts', speaks: 'nchan' }] as const) : []),
];

/** What ends the greeting of a server. */
const READY: Readonly<Record<Contender['speaks'], string>> = {
  sse: 'event: ready',
  'better-sse': 'event:ready',
  'notify-listen': 'event: ready',
  nchan: ': hi',
  ws: 'Sec-WebSocket-Accept',
  'socket.io': '40{"sid"',
};

/** A contender that runs, with the crowd that listens to it. */
export interface Standing {
  readonly name: string;
  readonly server: Child<ServerAnswers>;
  readonly crowd: Crowd;
  /** Connections, each with a set of objects; the sets in turn. */
  connect(count: number, sets: readonly (readonly number[])[], atOnce?: number): Promise<void>;
  end(): Promise<void>;
}

export async function stand({ name, entry, mode = '', speaks }: Contender): Promise<Standing> {
  const [server, crowd] = await Promise.all([startChild<ServerAnswers>(entry), startCrowd()]);
  const port = await server.call('listen', mode);
  /** Of the sets that were asked for last: access is granted once. */
  let known: { sets: unknown; requests: Buffer[] } | undefined;
  return {
    name,
    server,
    crowd,
    async connect(count, sets, atOnce) {
      if (known?.sets !== sets) known = { sets, requests: await requestsOf(speaks, port, sets) };
      await crowd.open({
        port,
        count,
        ready: READY[speaks],
        requests: known.requests,
        ...(speaks === 'socket.io' && { reply: JOIN }),
        ...(atOnce !== undefined && { atOnce }),
      });
    },
    async end() {
      await crowd.end();
      await server.end();
    },
  };
}

/** Requests for access at once. */
const AT_ONCE = 16;

/** What a connection says to a server, for each set of objects; where access must be granted, it is asked for here. */
export async function requestsOf(
  speaks: Contender['speaks'],
  port: number,
  sets: readonly (readonly number[])[],
): Promise<Buffer[]> {
  if (speaks !== 'notify-listen')
    return sets.map((objects) => Buffer.from(HANDSHAKES[speaks](`objects=${objects.join()}`), 'latin1'));
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  const requests: Buffer[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < sets.length) {
      const at = next++;
      requests[at] = await streamRequest(agent, port, `user-${at}`, sets[at] ?? []);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  agent.destroy();
  return requests;
}

const HOST = 'Host: 127.0.0.1\r\n';
const UPGRADE =
  `${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n` +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
/** The text `40` in a masked frame: a client's wish to join the main namespace. */
const JOIN = Buffer.from('\x81\x82\0\0\0\x0040', 'latin1');
const HANDSHAKES: Readonly<Record<Exclude<Contender['speaks'], 'notify-listen'>, (query: string) => string>> = {
  sse: (query) => `GET /stream?${query} HTTP/1.1\r\n${HOST}\r\n`,
  'better-sse': (query) => `GET /stream?${query} HTTP/1.1\r\n${HOST}\r\n`,
  nchan: (query) => `GET /stream?${query} HTTP/1.1\r\n${HOST}Accept: text/event-stream\r\n\r\n`,
  ws: (query) => `GET /?${query} HTTP/1.1\r\n${UPGRADE}`,
  'socket.io': (query) => `GET /socket.io/?EIO=4&transport=websocket&${query} HTTP/1.1\r\n${UPGRADE}`,
};

/** `POST /stream` with a grant for the objects, as a page sends it. */
async function streamRequest(agent: Agent, port: number, user: string, objects: readonly number[]): Promise<Buffer> {
  const { grant } = await post<AuthAnswer>(agent, port, '/notify-listen/auth', user, {
    protocol: 1,
    objects: objects.map((id) => ({ entity: 'Order', id: String(id) })),
  });
  const body = JSON.stringify({
    protocol: 1,
    wait: 'stream',
    grants: [grant],
    channels: Object.fromEntries(objects.map((id) => [`Order/${id}`, null])),
    own: null,
  });
  return Buffer.from(
    `POST /notify-listen/stream HTTP/1.1\r\n${HOST}x-user: ${user}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

function post<Answer>(agent: Agent, port: number, path: string, user: string, body: object): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'x-user': user };
    const sent = ask({ host: '127.0.0.1', port, path, method: 'POST', agent, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      response.on('end', () =>
        response.statusCode === 200
          ? resolve(JSON.parse(text) as Answer)
          : reject(new Error(`${path}: ${response.statusCode} ${text}`)),
      );
    });
    sent.on('error', reject);
    sent.end(JSON.stringify(body));
  });
}
