/** `/stream`: reads the log for granted channels, as an event stream, a long poll, or at once. */
import { channelOf, objectOf } from '../adapters/channel.js';
import { epochOf, type Position } from '../adapters/position.js';
import { PROTOCOL_VERSION } from '../adapters/protocol.js';
import type { Stream, StreamSink } from '../adapters/streams.js';
import type { Identity } from './access.js';
import type { Judge } from './coverage.js';
import type { Grant } from './grants.js';
import { unavailable } from './http-error.js';
import {
  checkProtocol,
  type HandlerOptions,
  introduced,
  JSON_HEADERS,
  providerNow,
  type RouteAnswer,
  type RouteRequest,
  readJson,
} from './routing.js';
import { type Asked, askedOf, lastPositionIn, objectsIn } from './stream-request.js';

/** A long poll answers by then even without news: well below the idle time of common proxies. Milliseconds. */
const POLL_WAIT = 25_000;
/** The part of a grant's life after which the node asks again for a standard `EventSource`, which cannot. */
const RENEW_AT = 0.7;
/** A standard `EventSource` reconnects by itself when its access could not be asked. Milliseconds. */
const TRY_AGAIN_WITHIN = 3_000;

const STREAM_HEADERS = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  // no-transform and X-Accel-Buffering: a proxy that buffers or compresses would hold every event back.
  'Cache-Control': 'no-cache, no-transform',
  'X-Accel-Buffering': 'no',
  'X-Content-Type-Options': 'nosniff',
};

/** `arrived`: when the request came, on the monotonic clock. */
export interface StreamRoute<Request> {
  get(request: RouteRequest<Request>, arrived: number): Promise<RouteAnswer>;
  post(request: RouteRequest<Request>, arrived: number): Promise<RouteAnswer>;
}

/** A client that is about to be served. */
interface Coming {
  readonly identity: Identity;
  /** When its request came, on the monotonic clock. */
  readonly arrived: number;
  /** It has gone. */
  readonly leave: () => void;
}

interface StreamRouteOptions<Request> extends HandlerOptions<Request> {
  readonly judge: Judge;
  who(identity: Identity): { user: string; session?: string };
}

export function createStreamRoute<Request>(options: StreamRouteOptions<Request>): StreamRoute<Request> {
  const {
    access,
    follower,
    streams,
    collect,
    gate,
    limits,
    grantLife,
    heartbeat,
    duration,
    closing,
    monotonic,
    onError,
    onRefused,
    judge,
    who,
  } = options;
  const { history } = follower;

  /** @throws HttpError 503 where a client must look for another node. */
  function assertServing(): void {
    if (closing()) throw unavailable('This server is going away; try again.');
    if (!follower.healthy()) throw unavailable('This server cannot prove that it hears everything; try again.');
  }

  function open(sink: StreamSink, { identity, arrived, leave }: Coming, standard: boolean): Stream {
    const hello = {
      protocol: PROTOCOL_VERSION,
      epoch: epochOf(history.top),
      ...introduced(identity),
      provider: providerNow(options),
      heartbeat,
    };
    const { served, handover, within } = duration;
    // A poll ends by itself.
    const farewell = sink.collects ? {} : { farewell: { at: arrived + served - handover, within, lasts: handover } };
    return streams.open(sink, { users: identity.users, own: identity.own, standard, gone: leave, ...farewell }, hello);
  }

  async function answerAtOnce(
    request: RouteRequest<Request>,
    asked: Asked,
    grants: readonly Grant[],
    coming: Coming,
  ): Promise<RouteAnswer> {
    const collector = collect();
    const connection = open(collector.sink, coming, false);
    // Behind `open`: a client that has gone already is called back for at once.
    request.onClose(collector.finish);
    const news = streams.cover(connection, judge.coverage(asked.channels, asked.own, grants, coming.identity));
    if (asked.wait === 'once' || news) collector.finish();
    else {
      collector.settle();
      const wait = Math.min(POLL_WAIT, coming.arrived + duration.served - monotonic());
      const timer = setTimeout(() => {
        streams.beatOne(connection, follower.healthy() ? history.top : undefined);
        collector.finish();
      }, wait);
      collector.answer.finally(() => clearTimeout(timer));
    }
    return { status: 200, headers: JSON_HEADERS, body: await collector.answer };
  }

  /** A standard `EventSource` shows no grant: its access is asked here, and again before that would have ended. */
  async function coverByAsking(
    connection: Stream,
    request: Request,
    identity: Identity,
    objects: readonly { entity: string; id?: string }[],
    after: Position | null,
  ): Promise<void> {
    const position = history.top;
    const results = await access.check(identity, objects);
    if (connection.closed) return;
    const refused = objects.filter((_, index) => results[index] === 'refused').map(channelOf);
    onRefused(refused.length);
    if (results.includes('retry')) return tryAgain(connection);
    const granted = objects.filter((_, index) => results[index] === 'granted').map(channelOf);
    const standing = granted.filter((channel) => !history.revoked(identity.users, channel, position));
    if (standing.length < granted.length) return tryAgain(connection);
    const ends = monotonic() + grantLife;
    streams.cover(connection, {
      channels: new Map(granted.map((channel) => [channel, ends])),
      after: new Map(after === null ? [] : granted.map((channel) => [channel, after])),
      own: after,
      refused,
      reauthorise: [],
      until: ends,
    });
    renewLater(connection, request, identity);
  }

  function tryAgain(connection: Stream): void {
    streams.dismiss(connection, TRY_AGAIN_WITHIN);
  }

  function renewLater(connection: Stream, request: Request, identity: Identity): void {
    const timer = setTimeout(() => void renew(connection, request, identity).catch(onError), grantLife * RENEW_AT);
    timer.unref();
    connection.onLeave = () => clearTimeout(timer);
  }

  async function renew(connection: Stream, request: Request, before: Identity): Promise<void> {
    let identity: Identity;
    try {
      identity = await access.identify(request);
    } catch {
      return tryAgain(connection); // logged out, or it cannot be told: the status of the next request says which
    }
    if (who(identity).user !== who(before).user || who(identity).session !== who(before).session)
      return tryAgain(connection);
    const channels = [...connection.covered.keys()];
    const position = history.top;
    const results = await access.check(
      identity,
      channels.map((channel) => objectOf(channel) as { entity: string; id?: string }),
    );
    if (connection.closed) return;
    if (results.includes('retry')) return tryAgain(connection);
    const granted = channels.filter(
      (channel, index) => results[index] === 'granted' && !history.revoked(identity.users, channel, position),
    );
    streams.uncover(
      connection,
      channels.filter((channel) => !granted.includes(channel)),
      'refused',
    );
    streams.prolong(connection, granted, monotonic() + grantLife);
    renewLater(connection, request, identity);
  }

  return {
    async post(request, arrived) {
      const asked = askedOf(await readJson(request, limits.bodyBytes), limits.channelsPerConnection);
      const identity = await access.identify(request.raw);
      // What needs no wait is answered to the end: it tells a page what it missed.
      const answering = (): void => {
        if (asked.wait !== 'once' || !follower.healthy()) assertServing();
      };
      answering();
      const grants = judge.ownGrants(asked.grants, identity);
      if (asked.wait === 'stream') gate.pass(identity.users[0]);
      await judge.catchUp([...asked.positions, ...grants.map((grant) => grant.position)]);
      answering();
      const coming = { identity, arrived, leave: gate.enter(identity.users[0]) };
      if (asked.wait !== 'stream') return answerAtOnce(request, asked, grants, coming);
      return {
        status: 200,
        headers: STREAM_HEADERS,
        stream(sink) {
          const connection = open(sink, coming, false);
          streams.cover(connection, judge.coverage(asked.channels, asked.own, grants, identity));
        },
      };
    },
    async get(request, arrived) {
      const version = request.query.get('protocol');
      if (version !== null) checkProtocol(Number(version));
      const objects = objectsIn(request, limits.channelsPerConnection);
      const identity = await access.identify(request.raw);
      assertServing();
      const after = lastPositionIn(request);
      await judge.catchUp(after === null ? [] : [after]);
      // Counted while it waits, too.
      const coming = { identity, arrived, leave: gate.enter(identity.users[0]) };
      // A status that is not 200 would end a standard EventSource for good: it waits instead, and comes back where it may
      // not wait so long.
      const wait = gate.delay(identity.users[0]);
      const room = arrived + duration.served - duration.handover - monotonic();
      await delayed(request, Math.min(wait, Math.max(0, room)));
      return {
        status: 200,
        headers: STREAM_HEADERS,
        stream(sink) {
          const connection = open(sink, coming, true);
          if (wait > room) return tryAgain(connection);
          coverByAsking(connection, request.raw, identity, objects, after).catch((error) => {
            onError(error);
            tryAgain(connection);
          });
        },
      };
    },
  };
}

/** Waits, unless the client goes first. */
function delayed(request: RouteRequest, ms: number): Promise<void> {
  if (ms === 0) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    request.onClose(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
