/**
 * The network between pages and nodes: every page has a line, a balancer chooses the node, bytes travel in order on each
 * connection and arrive in pieces. What can happen to a line is in `Line`; what can happen to one connection are its cuts.
 *
 * Long, because a request and its answer are one state machine, whose two ends must agree at every moment.
 */

import type { StreamSink } from '../../../adapters/streams.js';
import type { RouteAnswer, RouteRequest } from '../../../server/routing.js';
import type { Clock, Owner } from '../kernel/clock.js';

/** What stands between a page and the balancer, now. */
export interface Line {
  /** One way, in milliseconds, and what is added by chance. */
  latency: number;
  jitter: number;
  /** `refused`: an error at once. `void`: nothing ever comes of it. */
  way: 'up' | 'refused' | 'void';
  /** A proxy that keeps event streams back until they end. */
  buffers: boolean;
  /** Answers that are not ours. */
  answers: undefined | 'html' | 'login' | 'empty' | 'error' | 'torn';
  /** The next requests, so many, get no answer; whom they reached does its part. */
  unanswered: number;
  /** A proxy that ends every stream of that age, in milliseconds; 0: none. */
  longest: number;
  /** The next requests, so many, reach another node as well: somebody in between tried twice. */
  twice: number;
}

export const newLine = (latency: number, jitter: number): Line => ({
  latency,
  jitter,
  way: 'up',
  buffers: false,
  answers: undefined,
  unanswered: 0,
  longest: 0,
  twice: 0,
});

/** A page, as the network sees it. */
export interface Client {
  readonly owner: Owner;
  readonly line: Line;
  /** Who is logged in, as the cookie of a request tells. */
  user(): string | undefined;
  readonly connections: Set<Connection>;
  /** Requests by route. */
  readonly requests: Record<string, number>;
}

/** A node, as the balancer sees it. */
export interface Upstream {
  readonly owner: Owner;
  readonly connections: Set<Connection>;
  /** Requests that somebody in between sent a second time, and has not given up yet. */
  copies: number;
  /** The balancer sends requests there. */
  listed: boolean;
  handle: ((request: RouteRequest<Cookie>) => Promise<RouteAnswer | undefined>) | undefined;
}

export interface Cookie {
  readonly user: string | undefined;
}

export interface Connection {
  readonly client: Client;
  readonly upstream: Upstream | undefined;
  readonly user: string | undefined;
  readonly streams: boolean;
  readonly since: number;
  /** Ends it for both, after so many more bytes to the page (0: now). */
  cut(after: number): void;
  /** From now on nothing passes, and nobody is told. */
  mute(): void;
  /** The machine of the page is gone, or its node is: the other side is told, unless it is silent about it. */
  lose(side: 'client' | 'upstream', silently: boolean): void;
  /** What a proxy kept back leaves. */
  release(): void;
}

export interface Network {
  fetch(client: Client, input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  /** Looks at everything that a node writes to a page. */
  watch: ((connection: Connection, json: string) => void) | undefined;
  /** Told of every request. */
  asked: ((client: Client, route: string) => void) | undefined;
  /** What a node may write before its page has read, in bytes. */
  capacity: number;
}

const PIECES = 0.12;

const failure = (name: string, message: string): Error => Object.assign(new Error(message), { name });
const encoder = new TextEncoder();

const FOREIGN = {
  html: { status: 502, text: '<html><h1>502 Bad Gateway</h1></html>', type: 'text/html' },
  login: { status: 200, text: '<!doctype html><form>Please log in</form>', type: 'text/html' },
  empty: { status: 200, text: '', type: 'application/json' },
  error: { status: 500, text: '{"message":"Internal server error"}', type: 'application/json' },
  torn: { status: 200, text: '{"epoch":"e', type: 'application/json' },
  away: { status: 503, text: '<html>No server is available</html>', type: 'text/html' },
} as const;

export function createNetwork(clock: Clock, upstreams: readonly Upstream[]): Network {
  const network: Network = { fetch, watch: undefined, asked: undefined, capacity: 16_384 };

  function choose(client: Client): Upstream | undefined {
    const listed = upstreams.filter((each) => each.listed);
    return listed.length > 0 ? client.owner.random.pick(listed) : undefined;
  }

  function fetch(client: Client, input: RequestInfo | URL, init: RequestInit = {}): Promise<Response> {
    const url = String(input);
    const route = /\/(config|auth|stream)(?:\?|$)/.exec(url)?.[1] ?? 'other';
    client.requests[route] = (client.requests[route] ?? 0) + 1;
    network.asked?.(client, route);
    return new Promise((resolve, reject) => exchange(client, route, url, init, resolve, reject));
  }

  /** One request and its answer. */
  function exchange(
    client: Client,
    route: string,
    url: string,
    init: RequestInit,
    resolve: (response: Response) => void,
    reject: (error: Error) => void,
  ): void {
    const { owner, line } = client;
    const { random } = owner;
    const signal = init.signal ?? undefined;
    if (signal?.aborted) {
      reject(failure('AbortError', 'aborted'));
      return;
    }
    if (!clock.effect(owner)) return;
    const user = client.user();
    const body = init.body as string | undefined;
    const streams = route === 'stream' && body?.includes('"wait":"stream"') === true;
    const way = (): number => line.latency + random.int(0, line.jitter);

    let upstream: Upstream | undefined;
    /** Nothing passes any more, and nobody is told. */
    let muted = line.way === 'void';
    let clientOver = false;
    let serverOver = false;
    let headed = false;
    /** The earliest moment of the next arrival at the page: bytes keep their order. */
    let arrival = 0;
    let budget = -1;
    let inFlight = 0;
    let blocked = false;
    let kept: Buffer[] | undefined;
    const gone: (() => void)[] = [];
    let events: { drained(): void; closed(): void } | undefined;

    const chunks: Uint8Array[] = [];
    let ended: 'end' | Error | undefined;
    let reading: { resolve(read: { done: boolean; value?: Uint8Array }): void; reject(error: Error): void } | undefined;

    const connection: Connection = {
      client,
      get upstream() {
        return upstream;
      },
      user,
      streams,
      since: clock.now(),
      cut(after) {
        if (after > 0) budget = after;
        else breakOff();
      },
      mute() {
        muted = true;
      },
      lose(side, silently) {
        if (side === 'client') {
          overAtClient();
          if (!silently && !muted) tellServer();
          else forgetLater();
        } else {
          overAtServer();
          if (!silently && !muted) toClient(() => failClient(failure('TypeError', 'network error')));
        }
      },
      release() {
        const bytes = kept;
        kept = undefined;
        for (const each of bytes ?? []) {
          inFlight += each.length;
          pass(each);
        }
      },
    };
    client.connections.add(connection);

    function toClient(run: () => void): void {
      const now = clock.now();
      arrival = Math.max(arrival, now + way());
      clock.after(owner, arrival - now, run);
    }

    function overAtClient(): void {
      clientOver = true;
      client.connections.delete(connection);
      signal?.removeEventListener('abort', abort);
    }

    function overAtServer(): void {
      serverOver = true;
      upstream?.connections.delete(connection);
    }

    /** The node learns that nobody is there any more. */
    function tellServer(): void {
      const to = upstream;
      if (!to || serverOver) return;
      clock.after(to.owner, way(), () => {
        if (serverOver) return;
        overAtServer();
        for (const run of gone) run();
        events?.closed();
      });
    }

    /** A kernel gives an answered but unread connection up some time. */
    function forgetLater(): void {
      const to = upstream;
      if (to && !serverOver && to.owner) clock.after(to.owner, 60_000, () => !serverOver && tellServer());
    }

    function failClient(error: Error): void {
      if (clientOver) return;
      overAtClient();
      ended = error;
      if (!headed) reject(error);
      else if (reading) {
        reading.reject(error);
        reading = undefined;
      }
    }

    function abort(): void {
      if (clientOver) return;
      failClient(failure('AbortError', 'aborted'));
      if (muted) forgetLater();
      else tellServer();
    }

    function breakOff(): void {
      if (!muted) toClient(() => failClient(failure('TypeError', 'network error')));
      tellServer();
      muted = true;
    }

    function give(piece: Uint8Array): void {
      if (clientOver) return;
      if (reading) {
        const { resolve: read } = reading;
        reading = undefined;
        read({ done: false, value: piece });
      } else chunks.push(piece);
    }

    function arrive(piece: Uint8Array): void {
      inFlight -= piece.length;
      if (blocked && inFlight <= network.capacity / 2 && upstream && !serverOver) {
        blocked = false;
        clock.after(upstream.owner, way(), () => !serverOver && events?.drained());
      }
      give(piece);
    }

    function pass(bytes: Uint8Array): void {
      if (muted || clientOver) return;
      let piece = bytes;
      const cuts = budget >= 0 && piece.length >= budget;
      if (cuts) piece = piece.subarray(0, budget);
      else if (budget >= 0) budget -= piece.length;
      if (piece.length > 1 && random.chance(PIECES)) {
        const at = random.int(1, piece.length - 1);
        const [first, second] = [piece.subarray(0, at), piece.subarray(at)];
        toClient(() => arrive(first));
        toClient(() => arrive(second));
      } else if (piece.length > 0) toClient(() => arrive(piece));
      if (cuts) breakOff();
    }

    function finish(): void {
      connection.release();
      if (muted) return;
      toClient(() => {
        if (clientOver) return;
        overAtClient();
        ended = 'end';
        reading?.resolve({ done: true });
        reading = undefined;
      });
    }

    function head(status: number, headers: Readonly<Record<string, string>>, text: string | undefined): void {
      if (muted) return;
      if (line.unanswered > 0) {
        line.unanswered -= 1;
        muted = true;
        return;
      }
      const lower: Record<string, string> = {};
      for (const name of Object.keys(headers)) lower[name.toLowerCase()] = headers[name] as string;
      toClient(() => {
        if (clientOver) return;
        headed = true;
        resolve({
          ok: status >= 200 && status < 300,
          status,
          headers: { get: (name: string) => lower[name.toLowerCase()] ?? null },
          body: reader,
        } as unknown as Response);
      });
      if (text === undefined) return;
      overAtServer();
      const bytes = encoder.encode(text);
      inFlight += bytes.length;
      pass(bytes);
      finish();
    }

    const reader = {
      getReader: () => ({
        read: () =>
          new Promise<{ done: boolean; value?: Uint8Array }>((read, fail) => {
            const chunk = chunks.shift();
            if (chunk) read({ done: false, value: chunk });
            else if (ended === 'end') read({ done: true });
            else if (ended) fail(ended);
            else reading = { resolve: read, reject: fail };
          }),
      }),
    };

    const sink: StreamSink = {
      write(frame) {
        if (serverOver || !upstream || !clock.effect(upstream.owner)) return true;
        network.watch?.(connection, frame.json);
        const bytes = frame.bare;
        // What a proxy keeps it has read.
        if (kept) {
          kept.push(bytes);
          return true;
        }
        inFlight += bytes.length;
        pass(bytes);
        blocked = inFlight > network.capacity;
        return !blocked;
      },
      watch(given) {
        events = given;
      },
      end() {
        if (serverOver || !upstream) return;
        overAtServer();
        if (clock.effect(upstream.owner)) finish();
        events?.closed();
      },
      destroy() {
        if (serverOver || !upstream) return;
        overAtServer();
        if (!muted) toClient(() => failClient(failure('TypeError', 'network error')));
        muted = true;
        events?.closed();
      },
    };

    function foreign(kind: keyof typeof FOREIGN): void {
      const { status, text, type } = FOREIGN[kind];
      head(status, { 'content-type': type }, text);
    }

    function arriveAtNode(to: Upstream): void {
      if (serverOver) return;
      const { handle } = to;
      if (to.owner.dead || !handle) {
        overAtServer();
        foreign('away');
        return;
      }
      to.connections.add(connection);
      const split = url.indexOf('?');
      const request: RouteRequest<Cookie> = {
        method: init.method ?? 'GET',
        path: `/${route}`,
        query: new URLSearchParams(split < 0 ? '' : url.slice(split + 1)),
        header: (name) => (name === 'content-type' && body ? 'application/json' : undefined),
        body: async () => body,
        onClose(run) {
          gone.push(run);
        },
        raw: { user },
      };
      void handle(request).then((answer) => {
        if (serverOver && answer && 'stream' in answer) {
          // Gone before it was answered: the route learns it from its sink, as with every framework.
          answer.stream(sink);
          events?.closed();
          return;
        }
        if (serverOver || !clock.effect(to.owner)) return;
        if (!answer) return foreign('error');
        if (!('stream' in answer)) {
          if (route === 'stream') network.watch?.(connection, answer.body);
          head(answer.status, answer.headers, answer.body);
          return;
        }
        if (line.buffers) kept = [];
        head(200, answer.headers, undefined);
        answer.stream(sink);
        if (line.longest > 0) clock.after(to.owner, line.longest, () => !serverOver && breakOff());
      });
    }

    signal?.addEventListener('abort', abort, { once: true });
    if (line.way === 'refused') {
      clock.after(owner, random.int(1, 30), () => failClient(failure('TypeError', 'Failed to fetch')));
      return;
    }
    if (muted) return;
    const arrives = way();
    const { answers } = line;
    if (answers) {
      clock.after(owner, arrives, () => foreign(answers));
      return;
    }
    upstream = choose(client);
    if (!upstream) {
      clock.after(owner, arrives, () => foreign('away'));
      return;
    }
    const to = upstream;
    // The balancer's way to a dead process is short.
    if (to.owner.dead) clock.after(owner, arrives, () => !muted && foreign('away'));
    else clock.after(to.owner, arrives, () => arriveAtNode(to));
    if (line.twice > 0) {
      line.twice -= 1;
      const other = choose(client);
      if (other) copy(client, other, route, url, init, user, arrives);
    }
  }

  /** A request that somebody in between sent twice: the node does its part, and nobody reads the answer. */
  function copy(
    client: Client,
    to: Upstream,
    route: string,
    url: string,
    init: RequestInit,
    user: string | undefined,
    arrives: number,
  ): void {
    const gone: (() => void)[] = [];
    let events: { closed(): void } | undefined;
    let over = false;
    const { body } = init;
    const split = url.indexOf('?');
    clock.after(to.owner, arrives, () => {
      to.copies += 1;
      void to
        .handle?.({
          method: init.method ?? 'GET',
          path: `/${route}`,
          query: new URLSearchParams(split < 0 ? '' : url.slice(split + 1)),
          header: (name) => (name === 'content-type' && body ? 'application/json' : undefined),
          body: async () => body,
          onClose: (run) => gone.push(run),
          raw: { user },
        })
        .then((answer) => {
          if (!answer || !('stream' in answer)) return;
          answer.stream({
            write: () => true,
            watch(given) {
              events = given;
            },
            end: () => events?.closed(),
            destroy: () => events?.closed(),
          });
          if (over) events?.closed();
        });
    });
    clock.after(to.owner, arrives + client.owner.random.int(5, 400), () => {
      over = true;
      to.copies -= 1;
      for (const run of gone) run();
      events?.closed();
    });
  }

  return network;
}
