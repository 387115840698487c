/**
 * The provider of the example: whoever listens holds one HTTP response open and gets a line of JSON for each message.
 * Everything that it is told is signed with the key of the account, so it takes a page's word for nothing.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as textOf } from 'node:stream/consumers';

/** What a server signed for a page: this user may hear these names, from a time on and until another, in milliseconds. */
interface Ticket {
  readonly user: string;
  readonly names: readonly string[];
  readonly issued: number;
  readonly expires: number;
}

interface Revocation {
  readonly users: readonly string[];
  /** None: all of them. */
  readonly names?: readonly string[];
  readonly at: number;
}

interface Order {
  readonly listen?: Ticket;
  readonly publish?: readonly { readonly names: readonly string[]; readonly data: string }[];
  readonly revoke?: Revocation;
}

/** Bytes of one message. */
const LARGEST = 4_096;
/** Bytes that a listener may leave unread before it is cut off. */
const MOST_UNREAD = 1_000_000;
/** Below the 60 s after which common proxies cut a silent response, in milliseconds. */
const PING = 15_000;
/** No ticket lives longer, in milliseconds; until then a revocation is remembered. */
const LONGEST_LIFE = 600_000;

type State = 'up' | 'down' | 'refusing';

export interface Broker {
  readonly url: string;
  /** A fault of the whole broker: it cannot be reached, or it takes no listener. */
  become(state: State): void;
  /** Tells everybody that messages may have been lost. */
  admitLoss(): void;
  close(): void;
}

export async function startBroker(key: string): Promise<Broker> {
  const listeners = new Map<ServerResponse, Ticket>();
  let revocations: readonly Revocation[] = [];
  let state: State = 'up';

  const concerns = ({ users, names, at }: Revocation, ticket: Ticket): boolean =>
    users.includes(ticket.user) &&
    ticket.issued <= at &&
    (names ?? ticket.names).some((name) => ticket.names.includes(name));
  const tell = (line: object, wanted: (ticket: Ticket) => boolean): void => {
    for (const [response, ticket] of listeners) {
      if (response.writableLength > MOST_UNREAD) response.destroy();
      else if (wanted(ticket)) response.write(`${JSON.stringify(line)}\n`);
    }
  };

  const server = createServer(async (request, response) => {
    const body = await textOf(request).catch(() => '');
    const answer = (status: number, result: object = {}) => response.writeHead(status).end(JSON.stringify(result));
    response.setHeader('access-control-allow-origin', '*');
    const { text = '', proof = '' } = JSON.parse(body || '{}') as { text?: string; proof?: string };
    const [right, given] = [createHmac('sha256', key).update(text).digest(), Buffer.from(proof, 'base64url')];
    if (given.length !== right.length || !timingSafeEqual(given, right)) return answer(403);
    const { listen, publish, revoke } = JSON.parse(text) as Order;
    if (publish) {
      const outcomes = publish.map(({ names, data }) => {
        if (data.length > LARGEST) return 'too large';
        tell({ data }, (ticket) => names.some((name) => ticket.names.includes(name)));
        return 'ok';
      });
      return answer(200, { outcomes });
    }
    if (revoke) {
      revocations = [...revocations.filter(({ at }) => at > Date.now() - LONGEST_LIFE), revoke];
      for (const [other, ticket] of listeners) if (concerns(revoke, ticket)) other.destroy();
      return answer(200);
    }
    if (!listen || state === 'refusing') return answer(403);
    const life = Math.min(listen.expires, listen.issued + LONGEST_LIFE) - Date.now();
    // Not a refusal: with a new ticket it may be taken.
    if (life <= 0 || revocations.some((each) => concerns(each, listen))) return answer(409);
    listeners.set(response, listen);
    const end = setTimeout(() => response.end(), life);
    response.on('close', () => {
      clearTimeout(end);
      listeners.delete(response);
    });
    response.write(`${JSON.stringify({ ready: true })}\n`);
  });
  server.on('connection', (socket) => state === 'down' && socket.destroy());
  const pings = setInterval(() => tell({ ping: true }, () => true), PING);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    become(next) {
      state = next;
      if (state === 'down') server.closeAllConnections();
      if (state === 'refusing') for (const response of listeners.keys()) response.destroy();
    },
    admitLoss: () => tell({ lost: true }, () => true),
    close() {
      clearInterval(pings);
      server.close();
      server.closeAllConnections();
    },
  };
}
