/**
 * Carries the log to a hosted provider, on one node at a time: takes the lease, works through a term of office, gives it
 * back or loses it. States and races are in docs/hosted.md.
 */
import type { Lease, Log, Logged, LogWindow } from '../adapters/contract.js';
import { comparePositions } from '../adapters/position.js';
import type { ProviderAdapter } from '../adapters/provider.js';
import type { Audience } from './audience.js';
import type { Follower } from './follower.js';
import { inTime } from './in-time.js';
import { createThrottle, KIND_TOLD_EVERY, kindOf, TOLD_EVERY } from './relay/faults.js';
import type { Item } from './relay/items.js';
import { createTerm, type Term } from './relay/term.js';
import type { LogLine, RelayMetrics } from './types.js';

/** Its name in the log's engine. */
const LEASE = 'relay';
/** For how long the provider goes without a relay when its holder is killed, in milliseconds; renewed at a third of it. */
export const LEASE_LIFE = 6_000;
/** How often a node that does not hold the lease asks for it, in milliseconds; jittered down to half of it. */
export const ASK_EVERY = 2_000;
/** How long one answer of the engine may take, in milliseconds. */
const ENGINE_PATIENCE = 1_500;
/** How long `close` tries to bring out what waits, in milliseconds; what is left is the next holder's. */
const FLUSH_WITHIN = 2_000;

export interface Relay {
  /** An entry that this node has just put into its history, in the same turn. Never throws. */
  deliver(logged: Logged): void;
  /** The log is another one, or went on without this node. */
  lost(start: LogWindow): void;
  /** A page has reached the provider: if it takes what it is given again, nobody need wait for the next try. */
  hasten(): void;
  metrics(): RelayMetrics;
  /** Brings out what it can within 2 s, leaves the rest to the next holder, and gives the lease back. Never rejects. */
  close(): Promise<void>;
}

export interface RelayOptions {
  readonly log: Log;
  readonly follower: Pick<Follower, 'history' | 'healthy' | 'started' | 'reach'>;
  readonly adapter: ProviderAdapter;
  readonly audience: Audience;
  /** The life of a grant, in milliseconds. */
  readonly grantLife: number;
  readonly monotonic: () => number;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
  readonly onError: (error: unknown) => void;
  readonly logger: (line: LogLine) => void;
}

export function createRelay(options: RelayOptions): Relay {
  const { log, follower, adapter, audience, grantLife, monotonic, random, onError, logger } = options;
  const { history } = follower;
  const counts = { published: 0, skipped: 0 };
  const tellFault = createThrottle(TOLD_EVERY, monotonic);
  const tellImpossible = createThrottle(KIND_TOLD_EVERY, monotonic);

  let term: { readonly work: Term; readonly lease: Lease } | undefined;
  /** When the lease ends, on the monotonic clock; counted from before it was asked for. */
  let until = 0;
  let timer: NodeJS.Timeout | undefined;
  let campaign: Promise<void> | undefined;
  let closing: Promise<void> | undefined;

  function report(of: 'provider' | 'log', error: unknown): void {
    if (tellFault(of)) onError(error);
  }

  function later(run: () => void, ms: number): void {
    clearTimeout(timer);
    if (closing) return;
    timer = setTimeout(run, ms);
    timer.unref();
  }

  /** Back to waiting: what was in flight may arrive twice, which is harmless. */
  function oust(why: string): void {
    if (!term) return;
    term.work.end();
    term = undefined;
    logger({ level: 'info', message: 'this node no longer carries notifications to the provider', why });
    later(ask, ASK_EVERY * (0.5 + random() / 2));
  }

  function holds(): boolean {
    if (term && monotonic() >= until) oust('the lease was not renewed in time');
    return term !== undefined;
  }

  function ask(): void {
    campaign ??= stand()
      .catch((error) => report('log', error))
      .finally(() => {
        campaign = undefined;
        if (!term) later(ask, ASK_EVERY * (0.5 + random() / 2));
      });
  }

  async function stand(): Promise<void> {
    // Who cannot prove that it hears everything has nothing to carry.
    if (!follower.healthy()) return;
    const asked = monotonic();
    const taking = log.lease(LEASE, LEASE_LIFE);
    const lease = await inTime(taking, ENGINE_PATIENCE, 'lease').catch((error) => {
      // Come too late, it would be kept from everybody for its life.
      taking.then((late) => late?.release()).catch(() => {});
      throw error;
    });
    if (!lease) return;
    try {
      await take(lease, asked + LEASE_LIFE);
    } finally {
      if (term?.lease !== lease) await release(lease);
    }
  }

  async function take(lease: Lease, end: number): Promise<void> {
    const checkpoint = await inTime(lease.checkpoint(), ENGINE_PATIENCE, 'checkpoint');
    const where = checkpoint === undefined ? 'beyond' : await follower.reach(checkpoint);
    if (where === 'late' || closing || !follower.healthy() || monotonic() >= end) return;
    // From here on nothing awaits: what the history has, and what is tailed from now on, belong to one moment.
    const known =
      checkpoint !== undefined && where === 'reached' && (comparePositions(checkpoint, history.floor) ?? -1) >= 0;
    until = end;
    const work = createTerm({
      adapter,
      audience,
      lease,
      life: grantLife,
      monotonic,
      random,
      mayPublish: holds,
      onOusted: () => oust('another node holds the lease'),
      onFault: (error) => report('provider', error),
      onLogFault: (error) => report('log', error),
      onImpossible: skip,
      onAccepted: (items) => {
        counts.published += items;
      },
      onRecovered: (after) =>
        logger({
          level: 'info',
          message: 'the provider takes notifications again',
          after: Math.round(after),
          waiting: work.waiting,
        }),
      onOverflow: (items) =>
        logger({ level: 'warn', message: 'too much waits for the provider: every page reads once instead', items }),
    });
    term = { work, lease };
    work.begin(known ? checkpoint : null, known ? history.after(checkpoint) : 'lost', history.top);
    logger({ level: 'info', message: 'this node carries notifications to the provider', provider: adapter.name });
    later(() => void renew(lease), LEASE_LIFE / 3);
  }

  async function renew(lease: Lease): Promise<void> {
    const asked = monotonic();
    try {
      if (!holds() || term?.lease !== lease) return;
      if (!follower.healthy()) return resign(lease);
      const still = await inTime(lease.renew(), ENGINE_PATIENCE, 'renew');
      if (term?.lease !== lease) return;
      if (!still) return oust('another node holds the lease');
      until = asked + LEASE_LIFE;
    } catch (error) {
      report('log', error);
    }
    // Until its life is over it is tried again; a term that ended meanwhile asks for a lease by itself.
    if (holds() && term?.lease === lease) later(() => void renew(lease), LEASE_LIFE / 3);
  }

  /** This node does not hear everything: another one may. */
  function resign(lease: Lease): void {
    const work = term?.work;
    oust('this node cannot prove that it hears everything');
    void work?.finish().then(() => release(lease));
  }

  async function release(lease: Lease): Promise<void> {
    await inTime(lease.release(), ENGINE_PATIENCE, 'release').catch((error) => report('log', error));
  }

  function skip(item: Item, error: unknown): void {
    counts.skipped += 1;
    const kind = kindOf(error);
    if (!tellImpossible(kind)) return;
    logger({
      level: 'warn',
      message: 'the provider will never take this notification; pages find it by their periodic check',
      provider: adapter.name,
      channel: item.channels[0],
      position: item.position,
      skipped: counts.skipped,
      kind,
    });
    onError(error);
  }

  void follower.started().then(() => {
    if (!closing) ask();
  });

  return {
    deliver: (logged) => term?.work.take(logged),
    lost: (start) => term?.work.lost(start),
    hasten: () => term?.work.hasten(),
    metrics: () => ({
      holds: holds(),
      waiting: term?.work.waiting ?? 0,
      ...counts,
      stuck: Math.round(term?.work.stuck() ?? 0),
    }),
    close() {
      closing ??= (async () => {
        clearTimeout(timer);
        await inTime(campaign ?? Promise.resolve(), FLUSH_WITHIN, 'lease').catch(() => {});
        if (!holds() || !term) return;
        const { work, lease } = term;
        // What is left waits for the next holder.
        await inTime(work.drain(), FLUSH_WITHIN, 'publish').catch(() => {});
        work.end();
        term = undefined;
        await inTime(work.finish(), FLUSH_WITHIN, 'moveCheckpoint').catch((error) => report('log', error));
        await release(lease);
      })();
      return closing;
    },
  };
}
