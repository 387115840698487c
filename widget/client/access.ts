/** Grants: asked for in one request for each tick, renewed before they end, asked again after `reauthorise`. */
import { ListenError } from '../../adapters/errors.js';
import type { AuthAnswer } from '../../adapters/protocol.js';
import { createRetry, type Retry } from './backoff.js';
import type { Core } from './core.js';
import { DEV } from './dev.js';
import type { Subscription } from './subscriptions.js';
import { createTimer } from './timer.js';

/** Objects of one request at most: the server's limit on channels of one connection. */
export const MAX_OBJECTS = 1_000;
/**
 * What one node takes another may not (it has not heard yet that the log is another one), and links go to either in turn:
 * grants are good only when they were taken for so long, in milliseconds.
 */
const STEADY = 10_000;

export interface Access {
  /** What waits because a question failed, or because grants that were just made were not taken. */
  readonly retry: Retry;
  /** Asks for whatever has no grant and is not being asked for. */
  pursue(): void;
  /** The server takes these grants no longer. */
  reauthorise(subs: readonly Subscription[]): void;
  /** A link is ready that takes all grants. */
  taken(): void;
  /** Asks again at once what waits, and what was refused. */
  again(): void;
  /** Drops running questions and timers. */
  stop(): void;
}

/** @param answered is told of the log behind each answer */
export function createAccess(core: Core, answered: (epoch: string) => void): Access {
  const { world, subs } = core;
  const retry = createRetry(core, pursue);
  /** Grants that were just made were not taken, more than once in a row. */
  let untaken: ListenError | undefined;
  /** Since when a link takes all that was granted, on the clock of the world. */
  let takenAt = Number.POSITIVE_INFINITY;
  let life = new AbortController();
  /** When the grants are renewed, on the clock of the world: all of them, so that they become one. */
  let renewal = Number.POSITIVE_INFINITY;
  const [renewIn, stopRenewal] = createTimer(world, () => {
    renewal = 0;
    pursue();
  });

  function pursue(): void {
    if (retry.waits()) return;
    const now = world.clock();
    const renews = now >= renewal;
    if (renews) renewal = Number.POSITIVE_INFINITY;
    const missing: Subscription[] = [];
    for (const sub of subs.values()) {
      // A page that slept may hold grants that have ended.
      if (sub.grant && now >= sub.grant.end) sub.grant = undefined;
      if (!sub.asking && (sub.grant ? renews : !sub.refused)) missing.push(sub);
    }
    while (missing.length > 0) void askFor(missing.splice(0, MAX_OBJECTS));
    // Each time, because questions and timers may have been stopped.
    if (renewal < Number.POSITIVE_INFINITY) renewIn(renewal - now);
  }

  async function askFor(asked: readonly Subscription[]): Promise<void> {
    const { signal } = life;
    for (const sub of asked) {
      sub.asking = true;
      sub.anew = false;
    }
    let answer: Partial<AuthAnswer> = {};
    let error: ListenError | undefined;
    try {
      // JSON leaves an id out that is not there.
      answer = await core.ask('auth', { objects: asked.map(({ entity, id }) => ({ entity, id })) }, signal);
    } catch (cause) {
      error = cause as ListenError;
    }
    if (signal.aborted) return;
    const { results, grant: token, expiresIn = 0, epoch } = answer;
    const now = world.clock();
    let open = false;
    asked.forEach((sub, at) => {
      sub.asking = false;
      const result = results?.[at];
      if (result === 'granted' && token) sub.grant = { token, end: now + expiresIn };
      else if (result === 'refused' && !sub.anew) core.refuse(sub);
      else {
        // The right may have been given back since it was asked: then it is asked again at once, without a fault.
        open ||= result !== 'refused';
        // It still holds, but not for long: the next question renews it too.
        if (sub.grant) renewal = now;
      }
    });
    if (token) renewal = Math.min(renewal, now + expiresIn * (0.6 + 0.2 * world.random()));
    // An answer alone proves nothing then: only a link that takes them does.
    retry.error = retry.failures > 0 ? untaken : undefined;
    if (open) {
      error ??= new ListenError('unavailable', DEV ? 'auth: some questions could not be answered' : 'auth');
      judge();
      if (core.fault(error)) retry.later(error);
    }
    if (epoch) answered(epoch);
    core.changed();
  }

  /** Before a failure is counted: whether it is the first one. */
  function judge(): void {
    if (world.clock() - takenAt >= STEADY) retry.failures = 0;
    takenAt = Number.POSITIVE_INFINITY;
  }

  return {
    retry,
    pursue,
    reauthorise(given) {
      for (const sub of given) sub.grant = undefined;
      // Grants that are not taken although they were just made (another secret, a lagging node) must not spin.
      if (retry.at) return;
      judge();
      if (retry.failures === 0) untaken = undefined;
      else if (!untaken) {
        untaken = new ListenError(
          'unavailable',
          DEV ? 'grants that were just made are not taken: do all nodes have the same secrets and clocks?' : 'grants',
        );
      }
      retry.later(untaken);
    },
    taken() {
      takenAt = Math.min(takenAt, world.clock());
      untaken = retry.error = undefined;
    },
    again() {
      retry.stop();
      for (const sub of subs.values()) {
        sub.refused = undefined;
        sub.anew = true;
      }
      pursue();
    },
    stop() {
      retry.stop();
      retry.error = undefined;
      stopRenewal();
      life.abort();
      life = new AbortController();
      for (const sub of subs.values()) sub.asking = false;
    },
  };
}
