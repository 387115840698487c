/**
 * What one socket holds: it asks our server for signatures, subscribes to the names of the newest set, asks again before
 * their period ends, and leaves what is over. The times come from the server as durations, so the page's clock is not asked.
 */
import { ListenError } from '../errors.js';
import type { ProviderAuthorised, ProviderHost, ProviderInterest } from '../provider.js';
import type { PusherDetails } from './details.js';
import type { Socket, SocketEvents } from './socket.js';

/** How long Pusher may take to confirm the subscriptions of one answer, in milliseconds. */
const SUBSCRIBE_LIMIT = 10_000;
/** The wait after a failed authorisation, which pusher-js would not repeat: doubling, with full jitter. */
const RETRY_MIN = 1_000;
const RETRY_MAX = 30_000;
/** What a server says cannot make the page ask more often than this, in milliseconds. */
const RENEW_MIN = 1_000;

export interface Session {
  update(interest: ProviderInterest): void;
  close(): void;
}

export function createSession(
  host: ProviderHost,
  open: (events: SocketEvents) => Socket,
  ended: (error: ListenError) => void,
): Session {
  const { world } = host;
  let over = false;
  let socketId: string | undefined;
  let interest: ProviderInterest | undefined;
  let signedIn = false;

  /** Each held name with the monotonic time at which it is left. */
  const held = new Map<string, number>();
  const subscribed = new Set<string>();
  /** The set whose names are being subscribed. */
  let attaching: ProviderInterest | undefined;
  let carries = false;
  /** This socket has confirmed a subscription. */
  let proven = false;

  let planned = false;
  let asking = false;
  let failures = 0;
  const timers = new Map<'ask' | 'sweep' | 'limit', unknown>();

  function at(what: 'ask' | 'sweep' | 'limit', ms: number, run: () => void): void {
    cancel(what);
    timers.set(
      what,
      world.setTimeout(() => {
        timers.delete(what);
        run();
      }, ms),
    );
  }

  function cancel(what: 'ask' | 'sweep' | 'limit'): void {
    if (timers.has(what)) world.clearTimeout(timers.get(what));
    timers.delete(what);
  }

  /** All sets of one tick lead to one request, for the newest. */
  function plan(): void {
    if (planned || over) return;
    planned = true;
    queueMicrotask(() => {
      planned = false;
      ask();
    });
  }

  function ask(): void {
    if (over || asking || socketId === undefined || interest === undefined) return;
    cancel('ask');
    asking = true;
    const mine = interest;
    host.authorise(socketId, mine).then(
      (answer) => settle(mine, () => apply(mine, answer)),
      (error: unknown) => settle(mine, () => failed(error)),
    );
  }

  function settle(mine: ProviderInterest, then: () => void): void {
    asking = false;
    if (over) return;
    then();
    // Another set came meanwhile: it wins.
    if (interest !== mine) plan();
  }

  function failed(error: unknown): void {
    const problem =
      error instanceof ListenError ? error : new ListenError('network', 'pusher: auth failed', { cause: error });
    // What is subscribed goes on until its names end; without anything, the core need not wait for us.
    if (!carries) host.down(problem);
    const wait = Math.min(RETRY_MAX, RETRY_MIN * 2 ** failures++) * world.random();
    at('ask', Math.max(wait, problem.retryAfter ?? 0), ask);
  }

  function apply(mine: ProviderInterest, { details, renewIn }: ProviderAuthorised): void {
    const { user, periods } = (details ?? {}) as Partial<PusherDetails>;
    if (!user || !Array.isArray(periods)) {
      failed(new ListenError('protocol', 'pusher: the answer of /auth is not one for Pusher'));
      return;
    }
    failures = 0;
    if (!signedIn) {
      signedIn = true;
      socket.signIn(user);
    }
    const now = world.monotonic();
    const wanted = new Set<string>();
    for (const { endsIn, keep, names } of periods as PusherDetails['periods']) {
      for (const [name, auth] of Object.entries(names)) {
        wanted.add(name);
        if (!held.has(name)) socket.subscribe(name, auth);
        held.set(name, now + endsIn + keep);
      }
    }
    // A name that is not signed any more is over, or its channel is not listened to any more.
    for (const name of [...held.keys()]) if (!wanted.has(name)) leave(name);
    attaching = mine;
    at('limit', SUBSCRIBE_LIMIT, () => finish(unconfirmed()));
    at('ask', Math.max(renewIn, RENEW_MIN), ask);
    sweep();
    check();
  }

  /** Signatures that this socket took once are not what is wrong with it: then it is as good as cut. */
  function unconfirmed(): ListenError {
    return proven
      ? new ListenError('network', `pusher: nothing was heard for ${SUBSCRIBE_LIMIT} ms after subscribing`)
      : new ListenError(
          'unavailable',
          'pusher: subscriptions were not confirmed; compare PUSHER_KEY and PUSHER_SECRET on the server',
        );
  }

  function leave(name: string): void {
    held.delete(name);
    subscribed.delete(name);
    socket.unsubscribe(name);
  }

  /** Leaves the names whose time is over. When none is left, nothing is carried: they could not be renewed in time. */
  function sweep(): void {
    const now = world.monotonic();
    for (const [name, end] of [...held]) if (end <= now) leave(name);
    if (held.size > 0) at('sweep', Math.min(...held.values()) - now, sweep);
    else if (carries) {
      carries = false;
      host.down(new ListenError('unavailable', 'pusher: the names of this period could not be renewed'));
    }
  }

  function check(): void {
    if (!attaching || [...held.keys()].some((name) => !subscribed.has(name))) return;
    const set = attaching;
    attaching = undefined;
    cancel('limit');
    // For an older set there is nothing to say: the request for the newest is on its way.
    if (set !== interest) return;
    carries = true;
    host.attached(set);
  }

  function stop(): void {
    over = true;
    for (const what of [...timers.keys()]) cancel(what);
    socket.close();
  }

  function finish(error: ListenError): void {
    if (over) return;
    stop();
    ended(error);
  }

  const socket = open({
    open(id) {
      socketId = id;
      plan();
    },
    subscribed(name) {
      if (over || !held.has(name)) return;
      proven = true;
      subscribed.add(name);
      check();
    },
    message: (data) => host.message(data),
    over: finish,
  });

  return {
    update(newest) {
      interest = newest;
      plan();
    },
    close() {
      if (!over) stop();
    },
  };
}
