/**
 * Puts the client together: what the application wants (listeners), what the server says (links), and the status. Each
 * duty has a file of its own. No adapter is imported here.
 *
 * About 370 lines long, because what is left are the transitions between them (login, change of user, final errors,
 * pause, close), and each of those touches every one of the others: apart, they would be read side by side.
 */
import { readJson } from '../../adapters/body.js';
import { type Channel, channelOf } from '../../adapters/channel.js';
import type { ObjectRef } from '../../adapters/contract.js';
import { FINAL_CODES, ListenError } from '../../adapters/errors.js';
import { limited } from '../../adapters/limit.js';
import type { ConfigAnswer, HelloEvent } from '../../adapters/protocol.js';
import { createAccess } from './access.js';
import { createRetry } from './backoff.js';
import { createConnection } from './connection.js';
import { type Core, isSettling, trim } from './core.js';
import { DEV } from './dev.js';
import { guard } from './guard.js';
import { createRequest } from './http.js';
import { pageLifecycle } from './lifecycle.js';
import { Listener, race, reject, settle, tell } from './listener.js';
import { readObject } from './object.js';
import type { Adapters } from './opener.js';
import { createStatus, describe } from './status.js';
import { createSubscription, forgetAll, hintsFor, newCursor, type Subscription } from './subscriptions.js';
import { createTimer } from './timer.js';
import type { Actions, ListenClient, ListenClientOptions } from './types.js';
import { fullWorld, pageAge } from './world.js';

/** How long a subscription stays after its last listener left, in milliseconds: a remount costs nothing. */
const LINGER = 1_000;
/** How long `/config` and `/auth` may take, in milliseconds: above the server's limit on an access question. */
const ANSWER_LIMIT = 15_000;
/** Epochs that are remembered: each is one restart of the log, within the life of one page. */
const MAX_EPOCHS = 20;

/**
 * The client without any adapter of its own.
 *
 * @param adapters the first one is used where the server's configuration names none of them
 */
export function createClientCore(options: ListenClientOptions, adapters: Adapters): ListenClient {
  const { url = '/notify-listen' } = options;
  const world = fullWorld(options.world);
  const lifecycle = options.lifecycle ?? pageLifecycle();
  const request = createRequest(options, url, world);
  const subs = new Map<Channel, Subscription>();
  /** Runs while `/config` is being asked. */
  let asking: AbortController | undefined;
  /** The log behind the newest answer, and those that were left. */
  let epoch: string | undefined;
  const formerEpochs = new Set<string>();
  /** The end of the tick. */
  const [tick, stopTick] = createTimer(world, pursue);
  /** It was set in this turn. In a later one it is set anew, since a timer of a hidden page may come in a minute. */
  let ticking = false;
  let paused = false;
  /** The page was left, or is frozen; it may come back. */
  let gone: boolean | undefined;
  let closed = false;
  /** Nobody is logged in. */
  let out: ListenError | undefined;
  /** Trying again cannot help. */
  let fatal: ListenError | undefined;
  let unwatch: (() => void) | undefined;

  const core: Core = {
    world,
    options,
    started: [world.clock() - pageAge(world, options.world?.now)],
    visible: lifecycle.visible,
    report,
    subs,
    hints: new Map(),
    requests: new Map(),
    own: newCursor(),
    spread: 0,
    ask: (route, body, life) =>
      limited(world, life, ANSWER_LIMIT, async (signal) => readJson(await request(route, body, signal))),
    changed,
    fault,
    refuse,
    refusal: (sub) => sub.refused ?? fatal ?? out,
    left(listener) {
      const { sub } = listener;
      sub.listeners.delete(listener);
      if (sub.listeners.size || closed) return;
      sub.linger = world.setTimeout(() => {
        subs.delete(sub.channel);
        changed();
      }, LINGER);
    },
    reauthorise: (given) => access.reauthorise(given),
  };
  const login = createRetry(core, restart);
  const access = createAccess(core, meetEpoch);
  const connection = createConnection(core, adapters, request, hello, () => {
    // A channel that was given up before `ready` has a grant that is not good.
    if (!isSettling(core)) access.taken();
    login.failures = 0;
  });
  const status = createStatus(
    () =>
      describe(
        connection,
        access.retry,
        paused || closed || out ? 'disconnected' : fatal ? 'failed' : subs.size === 0 ? 'initial' : undefined,
        out ?? fatal,
        () => [...subs.values()].some((sub) => !sub.refused && sub.listeners.size && !isCovered(sub)),
        core.config?.provider,
      ),
    report,
  );

  function report(error: unknown): void {
    guard(console.error, () => (options.onError ?? console.error)(error));
  }

  const listeners = (): Listener[] => [...subs.values()].flatMap((sub) => [...sub.listeners]);

  /** The one that is there, else a new one. */
  function subscriptionOf(object: ObjectRef): Subscription {
    // Most names stand in a channel as they are. To check and escape them again for each listener was a tenth of mounting
    // a page of them.
    const known = subs.get(`${object?.entity}/${object?.id}`);
    if (known && known.entity === object.entity && known.id === object.id) return known;
    const checked = readObject(object);
    const channel = channelOf(checked);
    return subs.get(channel) ?? createSubscription(channel, checked);
  }

  function isCovered(sub: Subscription): boolean {
    return connection.current()?.covers.get(sub.channel) === sub;
  }

  /** Something changed: the status at once, the traffic at the end of the tick, so that a tick's changes go as one. */
  function changed(): void {
    status.update();
    if (closed || ticking) return;
    // A timer costs 15 µs in a page that has just begun, and each channel of it would set one.
    ticking = true;
    queueMicrotask(() => {
      ticking = false;
    });
    tick(0);
  }

  function pursue(): void {
    if (subs.size === 0) shut();
    if (subs.size === 0 || paused || gone || out || fatal) return;
    unwatch ??= lifecycle.watch((what) => {
      if (what === 'hidden') return;
      gone = what === 'gone';
      // Open streams, locks and channels would keep the page out of the back/forward cache.
      if (gone) return rest();
      if (what === 'visible') for (const listener of listeners()) listener.made?.shown();
      connection.distrust(what === 'wake');
    });
    access.pursue();
    if (!core.config && !asking && !connection.retry.waits()) void askConfig();
    connection.pursue();
    status.update();
  }

  /** Nobody listens: no link, no timer. */
  function shut(): void {
    halt();
    unwatch?.();
    core.own = newCursor();
    unwatch = out = fatal = gone = undefined;
    status.update();
  }

  /** Ends links and questions; positions stay. */
  function rest(): void {
    forgetAnswer();
    connection.stop();
    access.stop();
    status.update();
  }

  /** The same, and no login is tried again. */
  function halt(): void {
    login.stop();
    rest();
  }

  /** What `/config` is about to answer is of no use any more. */
  function forgetAnswer(): void {
    asking?.abort();
    asking = undefined;
  }

  async function askConfig(): Promise<void> {
    asking = new AbortController();
    const { signal } = asking;
    try {
      const answer = await core.ask<ConfigAnswer>('config', undefined, signal);
      if (signal.aborted) return;
      if (!answer.heartbeat) throw new ListenError('protocol', 'config');
      asking = undefined;
      meet(answer);
      core.config = answer;
      changed();
    } catch (error) {
      if (signal.aborted) return;
      asking = undefined;
      connection.failed(error as ListenError);
    }
  }

  /** Sorts out an error: `true` when trying again by itself can help. */
  function fault(error: ListenError): boolean {
    if (error.code === 'unauthenticated') {
      if (!out) logout(error);
      return false;
    }
    if (!FINAL_CODES.has(error.code)) return true;
    if (!fatal) {
      fatal = error;
      halt();
      for (const listener of listeners()) reject(listener, error);
      report(error);
      status.update();
    }
    return false;
  }

  function logout(error: ListenError): void {
    out = error;
    halt();
    core.config = undefined;
    status.update();
    for (const listener of listeners()) tell(listener);
    const { onUnauthenticated } = options;
    if (!onUnauthenticated) return;
    (async () => onUnauthenticated())().then(() => {
      // A login that changed nothing must not be asked for in a loop: the wait grows until a link is ready.
      if (out === error) login.later();
    }, report);
  }

  /** Asks everything again; positions, and what listeners hold, stay. */
  function restart(): void {
    paused = gone = false;
    out = fatal = core.config = undefined;
    for (const listener of listeners()) if (!listener.pending) tell(listener);
    forgetAnswer();
    login.stop();
    connection.distrust(true);
    access.again();
  }

  function hello(event: HelloEvent): void {
    if (!meet(event)) return;
    core.config = undefined;
    // Nodes that name one user differently, because their secrets differ, must not be asked in a loop.
    connection.failed(
      new ListenError(
        'protocol',
        DEV ? 'the user is another one; do all nodes have the same secrets?' : 'another user',
      ),
    );
  }

  /** Learns whose page this is, and behind which log. Tells whether it is another user than before. */
  function meet(answer: HelloEvent | ConfigAnswer): boolean {
    const known = hashesOf(core.me ?? answer);
    meetEpoch(answer.epoch);
    core.me = answer;
    // While secrets are changed, one node after the other, each has a first hash of its own.
    if (hashesOf(answer).some((hash) => known.includes(hash))) return false;
    // Nothing of the former user may stay: no grant, position, addressed hint or refusal.
    halt();
    core.hints.clear();
    core.own = newCursor();
    for (const sub of subs.values()) forgetAll(sub);
    return true;
  }

  /** A log that was left and comes again means two servers that never hear each other. */
  function meetEpoch(met: string): void {
    if (met === epoch) return;
    if (formerEpochs.delete(met))
      report(new ListenError('split', DEV ? 'two servers answer in turn, each with a log of its own' : ''));
    if (epoch) formerEpochs.add(epoch);
    epoch = met;
    trim(formerEpochs, MAX_EPOCHS);
  }

  function refuse(sub: Subscription): void {
    const error = new ListenError(
      'refused',
      DEV
        ? `${sub.channel}: this user may not listen to it, or it does not exist; is its entity named in canListen?`
        : sub.channel,
    );
    sub.refused = error;
    sub.grant = undefined;
    for (const listener of [...sub.listeners]) {
      listener.pending = true;
      reject(listener, error);
    }
    report(error);
  }

  const hashesOf = ({ user, aliases = [] }: NonNullable<Core['me']>): readonly string[] => [user, ...aliases];

  return {
    listen(object, actions, given = {}) {
      const sub = subscriptionOf(object);
      const listener = new Listener(core, sub, actions as Actions, given);
      if (closed) {
        listener.close();
        return listener;
      }
      // None of the browser's functions for each listener: only the first one of a channel finds it lingering.
      if (!sub.listeners.size) {
        world.clearTimeout(sub.linger);
        subs.set(sub.channel, sub);
      }
      sub.listeners.add(listener);
      // Asking again is what a remount is for. One more on a channel that is asked for anyway changes nothing: of 1,000
      // listeners on 200 objects, 800.
      if (sub.refused || sub.listeners.size === 1) {
        sub.refused = undefined;
        // What is set for the end of the tick looks at the status again; the first listener is seen at once.
        if (!ticking || subs.size === 1) changed();
      }
      sub.anew = true;
      if (fatal) restart();
      // What was addressed to this page says nothing of the rest of the past.
      if (core.hints.size) race(listener, [hintsFor(core, sub), Number.NEGATIVE_INFINITY, given.position]);
      // When whoever listens can watch it.
      if (isCovered(sub)) queueMicrotask(() => listener.pending && isCovered(sub) && settle(listener));
      return listener;
    },
    status: status.get,
    onStatus: status.watch,
    fetch: (input, init) =>
      import('./own.js').then(
        ({ markedFetch }) => markedFetch(core, url, input, init),
        // Without its chunk nothing is marked: the echo then runs, which is safe.
        () => world.fetch(input, init),
      ),
    pause() {
      if (closed) return;
      paused = true;
      halt();
      changed();
    },
    resume() {
      if (closed || !paused) return;
      paused = false;
      changed();
    },
    reconnect() {
      if (!closed) restart();
    },
    close() {
      if (closed) return;
      closed = true;
      stopTick();
      for (const listener of listeners()) listener.close();
      for (const sub of subs.values()) world.clearTimeout(sub.linger);
      subs.clear();
      core.hints.clear();
      shut();
    },
  };
}
