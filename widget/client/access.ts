/** Grants: asked for in one request for each tick, renewed before they end, asked again after `reauthorise`. */
import type { World } from '../../adapters/contract.js';
import { ListenError } from '../../adapters/errors.js';
import type { AuthAnswer, AuthRequest } from '../../adapters/protocol.js';
import { createRetry } from './backoff.js';
import type { Subscription } from './subscriptions.js';
import { longest, mark } from './world.js';

/** Objects of one request at most: the server's limit on channels of one connection. */
export const MAX_OBJECTS = 1_000;

export interface AccessHost {
  readonly world: World;
  bounds(): { readonly min: number; readonly max: number };
  subscriptions(): Iterable<Subscription>;
  /** Asks `/auth`; rejects with a `ListenError`. */
  ask(body: Omit<AuthRequest, 'protocol'>, signal: AbortSignal): Promise<AuthAnswer>;
  /** Something was granted or refused, or the connection must look again. */
  changed(answer?: AuthAnswer): void;
  refused(sub: Subscription): void;
  /** Asking failed; `true` when trying again by itself can help. */
  fault(error: ListenError): boolean;
}

export interface Access {
  /** When failed questions are asked again; `undefined` when none waits. */
  readonly retryAt: number | undefined;
  readonly error: ListenError | undefined;
  /** Asks for whatever has no grant and is not being asked for. */
  pursue(): void;
  /** The server takes these grants no longer. */
  reauthorise(subs: readonly Subscription[]): void;
  /** A link became ready with these grants: they are good. */
  settled(): void;
  /** Asks again at once what waits, and what was refused. */
  again(): void;
  /** Drops running questions and timers. */
  stop(): void;
}

export function createAccess(host: AccessHost): Access {
  const { world } = host;
  const retry = createRetry(world, host.bounds, () => {
    pursue();
    if (unrenewed) renew();
  });
  /** Grants that are not taken although they were just made (another secret, a lagging node) must not spin. */
  const strikes = createRetry(world, host.bounds, () => {
    struck.clear();
    pursue();
  });
  const struck = new Set<Subscription>();
  let life = new AbortController();
  let renewal: unknown;
  let renewalDue = Number.POSITIVE_INFINITY;
  /** A renewal failed: those grants still hold, but not for long. */
  let unrenewed = false;
  let error: ListenError | undefined;

  function pursue(): void {
    if (retry.at !== undefined) return;
    const missing: Subscription[] = [];
    for (const sub of host.subscriptions()) {
      // A page that slept may hold grants that have ended.
      if (sub.grant && longest(world, sub.grant.born) >= sub.grant.life) sub.grant = undefined;
      if (!sub.grant && !sub.refused && !sub.asking && !struck.has(sub)) missing.push(sub);
    }
    ask(missing);
  }

  function ask(subs: readonly Subscription[]): void {
    for (let at = 0; at < subs.length; at += MAX_OBJECTS) void askFor(subs.slice(at, at + MAX_OBJECTS));
  }

  async function askFor(subs: readonly Subscription[]): Promise<void> {
    const { signal } = life;
    for (const sub of subs) sub.asking = true;
    const objects = subs.map(({ entity, id }) => (id === undefined ? { entity } : { entity, id }));
    try {
      const answer = await host.ask({ objects }, signal);
      if (signal.aborted) return;
      const { results, grant: token, expiresIn } = answer;
      const grant = token ? { token, born: mark(world), life: expiresIn } : undefined;
      let open = false;
      error = undefined;
      subs.forEach((sub, at) => {
        sub.asking = false;
        const result = results?.[at];
        if (result === 'granted' && grant) sub.grant = grant;
        else if (result === 'refused') host.refused(sub);
        else {
          open = true;
          unrenewed ||= sub.grant !== undefined;
        }
      });
      if (grant) renewAt(grant.life * (0.6 + 0.2 * world.random()));
      if (open) fail(new ListenError('unavailable', 'auth: some questions could not be answered'));
      else retry.reset();
      host.changed(answer);
    } catch (cause) {
      if (signal.aborted) return;
      for (const sub of subs) {
        sub.asking = false;
        unrenewed ||= sub.grant !== undefined;
      }
      fail(cause as ListenError);
    }
  }

  function fail(cause: ListenError): void {
    if (host.fault(cause)) {
      error = cause;
      retry.later(cause);
    }
    host.changed();
  }

  /** One timer for all grants: the earliest one takes the others along, so that they become one. */
  function renewAt(ms: number): void {
    const due = world.monotonic() + ms;
    if (due >= renewalDue) return;
    world.clearTimeout(renewal);
    renewalDue = due;
    renewal = world.setTimeout(renew, ms);
  }

  function renew(): void {
    renewalDue = Number.POSITIVE_INFINITY;
    unrenewed = false;
    ask([...host.subscriptions()].filter((sub) => sub.grant && !sub.asking));
  }

  return {
    get retryAt() {
      return retry.at;
    },
    get error() {
      return error;
    },
    pursue,
    reauthorise(subs) {
      for (const sub of subs) {
        sub.grant = undefined;
        struck.add(sub);
      }
      if (strikes.at === undefined) strikes.later();
    },
    settled: strikes.reset,
    again() {
      for (const each of [retry, strikes]) each.stop();
      struck.clear();
      for (const sub of host.subscriptions()) sub.refused = undefined;
      pursue();
    },
    stop() {
      for (const each of [retry, strikes]) each.stop();
      struck.clear();
      world.clearTimeout(renewal);
      renewalDue = Number.POSITIVE_INFINITY;
      unrenewed = false;
      life.abort();
      life = new AbortController();
      error = undefined;
      for (const sub of host.subscriptions()) sub.asking = false;
    },
  };
}
