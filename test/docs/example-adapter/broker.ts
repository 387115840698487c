/**
 * The provider of the example: whoever listens holds one HTTP response open and gets a line of JSON for each message.
 * Everything that it is told is signed with the key of the account, so it takes a page's word for nothing.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as textOf } from 'node:stream/consumers';

/** What a server signed: who may hear which names; messages; a right that ended (`names`: none: all). Times in ms. */
interface Order {
  readonly listen?: { user: string; names: readonly string[]; issued: number; expires: number };
  readonly publish?: readonly { names: readonly string[]; data: string }[];
  readonly revoke?: { users: readonly string[]; names?: readonly string[]; at: number };
}
type Ticket = NonNullable<Order['listen']>;
type Revocation = NonNullable<Order['revoke']>;

/** Bytes of one message, and of one request. */
const LARGEST = 4_096;
const LARGEST_REQUEST = 1_000_000;
/** Bytes that a listener may leave unread before it is cut off. */
const MOST_UNREAD = 1_000_000;
/** Below the 60 s after which common proxies cut a silent response, in milliseconds. */
const PING = 15_000;
/** No ticket lives longer, in milliseconds; until then a revocation is remembered. */
const LONGEST_LIFE = 600_000;

export interface Broker {
  readonly url: string;
  /** Faults: it cannot be reached, it refuses every listener, it tells everybody that messages may have been lost. */
  become(state: 'up' | 'down' | 'refusing'): void;
  admitLoss(): void;
  close(): void;
}

export async function startBroker(key: string): Promise<Broker> {
  const listeners = new Map<ServerResponse, Ticket>();
  let revocations: readonly Revocation[] = [];
  let state: 'up' | 'down' | 'refusing' = 'up';

  const shares = (names: readonly string[], ticket: Ticket) => names.some((name) => ticket.names.includes(name));
  const ends = ({ users, names, at }: Revocation, ticket: Ticket): boolean =>
    users.includes(ticket.user) && ticket.issued <= at && shares(names ?? ticket.names, ticket);
  const tell = (line: object, wanted = (_: Ticket) => true): void => {
    for (const [response, ticket] of listeners) {
      if (response.writableLength > MOST_UNREAD) response.destroy();
      else if (wanted(ticket)) response.write(`${JSON.stringify(line)}\n`);
    }
  };

  async function take(request: IncomingMessage, response: ServerResponse): Promise<unknown> {
    const answer = (status: number, result: object = {}) => response.writeHead(status).end(JSON.stringify(result));
    response.setHeader('access-control-allow-origin', '*');
    if (Number(request.headers['content-length'] ?? LARGEST_REQUEST) >= LARGEST_REQUEST) return answer(413);
    const { text, proof } = JSON.parse(await textOf(request)) as { text: string; proof: string };
    const [right, given] = [createHmac('sha256', key).update(text).digest(), Buffer.from(proof, 'base64url')];
    if (given.length !== right.length || !timingSafeEqual(given, right)) return answer(403);
    const { listen, publish, revoke } = JSON.parse(text) as Order;
    if (publish) {
      const fits = publish.map(({ data }) => data.length <= LARGEST);
      for (const [index, { names, data }] of publish.entries())
        if (fits[index]) tell({ data }, (ticket) => shares(names, ticket));
      return answer(200, { outcomes: fits.map((it) => (it ? 'ok' : 'too large')) });
    }
    if (revoke) {
      revocations = [...revocations.filter(({ at }) => at > Date.now() - LONGEST_LIFE), revoke];
      for (const [other, ticket] of listeners) if (ends(revoke, ticket)) other.destroy();
      return answer(200);
    }
    if (!listen || state === 'refusing') return answer(403);
    const life = Math.min(listen.expires, listen.issued + LONGEST_LIFE) - Date.now();
    // Not a refusal: with a new ticket it may be taken.
    if (life <= 0 || revocations.some((each) => ends(each, listen))) return answer(409);
    listeners.set(response, listen);
    const end = setTimeout(() => response.end(), life);
    response.on('close', () => listeners.delete(response) && clearTimeout(end));
    return response.write(`${JSON.stringify({ ready: true })}\n`);
  }

  const server = createServer((request, response) => {
    take(request, response).catch(() => response.writeHead(400).end());
  });
  server.on('connection', (socket) => state === 'down' && socket.destroy());
  const pings = setInterval(() => tell({ ping: true }), PING);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    become(next) {
      state = next;
      if (state === 'down') server.closeAllConnections();
      if (state === 'refusing') for (const response of listeners.keys()) response.destroy();
    },
    admitLoss: () => tell({ lost: true }),
    close() {
      clearInterval(pings);
      server.close().closeAllConnections();
    },
  };
}
