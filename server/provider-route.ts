/**
 * `/auth` for connections at a hosted provider: our own client shows the grants that it has; a provider's standard client
 * sends a form, and is asked about at once. Both get the same answers from the same rules as a stream of this node.
 */
import { audienceChannel, type Channel } from '../adapters/channel.js';
import { epochOf } from '../adapters/position.js';
import type { ProviderAuthAnswer } from '../adapters/protocol.js';
import { EVERYBODY, type ProviderAdapter } from '../adapters/provider.js';
import { everyOf } from '../adapters/route.js';
import type { Identity } from './access.js';
import type { Audience } from './audience.js';
import type { Judge } from './coverage.js';
import { HttpError, unavailable } from './http-error.js';
import { connectionOf, fieldsOf, refuseTooMany } from './provider-request.js';
import type { HandlerOptions, RouteRequest } from './routing.js';
import { objectOfForm, type Standing } from './standing.js';

/**
 * How often an authorisation is made again because a right ended while it was being made. A right that ends three times
 * in a request is a loop, and the client comes back.
 */
const TRIES = 3;

/** A hosted provider, as the routes see it. */
export interface Hosted {
  readonly adapter: ProviderAdapter;
  /** Who may hear what at the provider. */
  readonly audience: Audience;
  /** Whether it takes what it is given: else pages are told to listen to this server, which loses no time. */
  carries(): boolean;
  /** A page has reached the provider. */
  reached(): void;
  /** What its standard clients were given. */
  readonly standing: Standing;
}

export interface ProviderRoute<Request> {
  /** Our own client: which channels of its connection do these grants cover? */
  exchange(request: RouteRequest<Request>, body: Record<string, unknown>): Promise<ProviderAuthAnswer>;
  /** A provider's standard client. Only for an adapter with `forms`. */
  form(request: RouteRequest<Request>): Promise<unknown>;
}

interface ProviderRouteOptions<Request> extends HandlerOptions<Request> {
  readonly judge: Judge;
}

export function createProviderRoute<Request>(options: ProviderRouteOptions<Request>): ProviderRoute<Request> {
  const { access, follower, gate, limits, hosted, judge, grantLife, monotonic, now, onRefused } = options;
  const { history } = follower;

  function assertHealthy(): void {
    if (!follower.healthy()) throw unavailable('This server cannot prove that it hears everything; try again.');
  }

  /** Whether the user may hear each of these channels: of one's own, always; of others, never; of objects, by asking. */
  async function check(identity: Identity, channels: readonly Channel[]): Promise<'granted' | 'refused' | 'retry'> {
    const asked: { entity: string; id?: string }[] = [];
    for (const channel of channels) {
      if (channel === EVERYBODY || identity.own.includes(channel)) continue;
      const object = objectOfForm(channel);
      if (!object) return 'refused';
      asked.push(object);
    }
    const results = asked.length > 0 ? await access.check(identity, asked) : [];
    if (results.includes('refused')) return 'refused';
    return results.includes('retry') ? 'retry' : 'granted';
  }

  return {
    async exchange(request, body) {
      const asked = connectionOf(body, limits.channelsPerConnection);
      // Not final: a page whose server has changed its provider asks `/config` again and finds out.
      if (!hosted) throw unavailable('This server has no hosted provider; ask /config again.');
      const identity = await access.identify(request.raw);
      assertHealthy();
      // Signing a thousand channels is work, as opening a stream is.
      gate.pass(identity.users[0]);
      const grants = judge.ownGrants(asked.grants, identity);
      await judge.catchUp(grants.map((grant) => grant.position));
      const look = () => judge.coverage(asked.channels, null, grants, identity);
      let coverage = look();
      for (let n = 0; n < TRIES; n++) {
        const covered = [...coverage.channels.keys()];
        const every = covered.map(everyOf).filter((channel) => channel !== undefined);
        const channels = [...new Set([...covered, ...every, ...identity.own, EVERYBODY])];
        // The user's own channels need no grant, but must not outlive a login for longer than one.
        const ends = Math.min(monotonic() + grantLife, ...coverage.channels.values());
        const authorised = await fromPage(() =>
          hosted.adapter.authorise({
            connection: asked.connection,
            user: identity.users[0],
            channels,
            expires: now() + ends - monotonic(),
          }),
        );
        const after = look();
        const stands = covered.every((channel) => after.channels.has(channel));
        coverage = after;
        // A right has ended while this was being made: it was shown to nobody, and is made anew.
        if (!stands) continue;
        hosted.reached();
        hosted.audience.note(audienceChannel('user', identity.users[0]), asked.connection, channels, ends);
        return {
          epoch: epochOf(history.top),
          reauthorise: coverage.reauthorise,
          details: authorised.details,
          renewIn: Math.max(0, Math.min(authorised.renewIn, ends - monotonic())),
        };
      }
      throw unavailable('Rights changed while they were being asked; try again.');
    },

    async form(request) {
      const forms = hosted?.adapter.forms;
      if (!forms) throw new HttpError(415, 'invalid', 'The body must be application/json.');
      const fields = await fieldsOf(request, limits.bodyBytes);
      const identity = await access.identify(request.raw);
      assertHealthy();
      // Each asks the application about all of its channels.
      gate.pass(identity.users[0]);
      const channels = await fromPage(async () => forms.read(fields));
      refuseTooMany(channels, limits.channelsPerConnection);
      for (let n = 0; n < TRIES; n++) {
        // Before the right is asked: a revocation that comes meanwhile is seen.
        const position = history.top;
        const result = await check(identity, channels);
        if (result === 'refused') {
          onRefused(1);
          throw new HttpError(403, 'refused', 'This user may not listen to this, or it does not exist.');
        }
        if (result === 'retry') throw unavailable('The right could not be asked; try again.');
        const granted = { connection: '', user: identity.users[0], channels, expires: now() + grantLife };
        const answer = await fromPage(() => forms.answer(fields, granted));
        const ended = channels.some((channel) => history.revoked(identity.users, channel, position));
        // Of another epoch, or so long ago that revocations since may be forgotten: it cannot be judged.
        if (ended || history.forgotten(position)) continue;
        if (!hosted.standing.note(identity, channels))
          throw new HttpError(429, 'limit', 'Too many clients of the provider listen here.', { retryAfter: 60 });
        return answer;
      }
      throw unavailable('Rights changed while they were being asked; try again.');
    },
  };
}

/** What an adapter says of a page's values is answered by 400. */
async function fromPage<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof TypeError) throw new HttpError(400, 'invalid', error.message, { cause: error });
    throw error;
  }
}
