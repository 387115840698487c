/**
 * Publishes what waits: batches in ascending order of position, one call at a time, again and again what the provider
 * does not take now, and never what it will not take.
 */
import type { Channel } from '../../adapters/channel.js';
import type { Outgoing, ProviderAdapter, PublishOutcome } from '../../adapters/provider.js';
import type { Audience } from '../audience.js';
import { inTime } from '../in-time.js';
import type { Backlog } from './backlog.js';
import { MOST_ASKED, waitFor } from './backoff.js';
import { type Item, outgoing } from './items.js';

/** Items of one call: an adapter makes of them what its provider takes at once. */
const MOST_AT_ONCE = 100;
/** Signs of life come with each page that connects: more of them in so many milliseconds say nothing new. */
const HASTEN_EVERY = 1_000;
/** How long one call may take before what became of it counts as in doubt, in milliseconds. Adapters give up earlier. */
export const PATIENCE = 30_000;

export interface CarrierOptions {
  readonly adapter: Pick<ProviderAdapter, 'publish'>;
  readonly backlog: Backlog;
  readonly audience: Audience;
  readonly monotonic: () => number;
  readonly random: () => number;
  /** Whether this node may still publish. */
  readonly mayPublish: () => boolean;
  readonly onLater: (error: unknown) => void;
  readonly onImpossible: (item: Item, error: unknown) => void;
  /** Items were accepted, after what came before was not, for so many milliseconds. */
  readonly onRecovered: (after: number) => void;
  /** A call is over: more may be completed than before. */
  readonly onSettled: (accepted: number) => void;
}

export interface Carrier {
  /** Something waits; it leaves with what comes in the same turn. */
  wake(): void;
  /** The provider shows life: tries now what waits only for the jitter's sake, not before what the provider asked for. */
  hasten(): void;
  /** For how many milliseconds nothing has been accepted although something waits; 0: all is well. */
  stuck(): number;
  /** Tries once more what waits, and resolves when nothing does or the provider did not take it. */
  drain(): Promise<void>;
  /** Ends it. What is under way may still arrive. */
  end(): void;
}

export function createCarrier(options: CarrierOptions): Carrier {
  const { adapter, backlog, audience, monotonic, random, mayPublish, onLater, onImpossible, onRecovered, onSettled } =
    options;
  /** Channels of which the provider did not take the last item, until when they wait, and how often that has happened. */
  const blocked = new Map<Channel, { readonly until: number; readonly attempt: number }>();
  /** Nothing at all is tried before this. */
  let pausedUntil = 0;
  /** Nor before this, which the provider itself has asked for. */
  let askedUntil = 0;
  let hastenedAt = Number.NEGATIVE_INFINITY;
  let attempt = 0;
  let troubledSince: number | undefined;
  let soon: NodeJS.Immediate | undefined;
  let timer: NodeJS.Timeout | undefined;
  let busy = false;
  let ended = false;
  let drained: (() => void) | undefined;
  /** Waits no longer for the call that is under way: the limit of its time would keep the process. */
  let abandon: (() => void) | undefined;

  async function publish(items: readonly Item[]): Promise<{ outcomes: readonly PublishOutcome[]; rejected: boolean }> {
    const given: Outgoing[] = [];
    const outcomes: (PublishOutcome | undefined)[] = items.map((item) => {
      try {
        given.push(outgoing(item, audience));
        return undefined;
      } catch (error) {
        return { kind: 'impossible', error }; // of another version of this server; it must not keep the rest
      }
    });
    let answers: readonly PublishOutcome[] = [];
    let fault: unknown;
    try {
      if (given.length > 0) {
        const over = new Promise<readonly PublishOutcome[]>((resolve) => {
          abandon = () => resolve([]);
        });
        // An adapter that throws instead of rejecting is no different.
        const call = (async () => adapter.publish(given))();
        answers = await inTime(Promise.race([call, over]), PATIENCE, 'publish');
      }
    } catch (error) {
      fault = error ?? new Error('publish failed');
    }
    let next = 0;
    return {
      outcomes: outcomes.map(
        (known) =>
          known ??
          answers[next++] ?? { kind: 'later', error: fault ?? new Error('publish gave no outcome for an item') },
      ),
      rejected: fault !== undefined,
    };
  }

  /** Tells whether everything waits now. */
  function settle(items: readonly Item[], outcomes: readonly PublishOutcome[], rejected: boolean): boolean {
    const later: Item[] = [];
    let accepted = 0;
    let asked = 0;
    let first: unknown;
    outcomes.forEach((outcome, index) => {
      const item = items[index] as Item;
      if (outcome.kind === 'later') {
        first ??= outcome.error;
        asked = Math.max(asked, outcome.retryAfterMs ?? 0);
        later.push(item);
        return;
      }
      for (const channel of item.channels) blocked.delete(channel);
      if (outcome.kind === 'accepted') accepted += 1;
      else onImpossible(item, outcome.error);
    });
    backlog.done(later);
    if (accepted > 0) {
      attempt = 0;
      const since = troubledSince;
      troubledSince = undefined;
      if (since !== undefined && later.length === 0) onRecovered(monotonic() - since);
    }
    if (asked > 0) askedUntil = monotonic() + Math.min(asked, MOST_ASKED);
    const paused = later.length > 0 && hold(later, asked, accepted === 0, rejected);
    if (later.length > 0) onLater(first);
    onSettled(accepted);
    return paused;
  }

  /** Either these channels wait, and others may go on; or, when nothing speaks for the others, everything waits. */
  function hold(later: readonly Item[], asked: number, fruitless: boolean, rejected: boolean): boolean {
    const [one] = later as [Item];
    const alone = later.every(({ channels }) => channels.some((channel) => one.channels.includes(channel)));
    const others = [...blocked.keys()].some((channel) => !one.channels.includes(channel));
    if (fruitless && (rejected || !alone || others)) {
      pausedUntil = monotonic() + waitFor(attempt, random, asked);
      attempt += 1;
      return true;
    }
    for (const channel of later.flatMap(({ channels }) => channels)) {
      const before = blocked.get(channel)?.attempt ?? 0;
      blocked.set(channel, { until: monotonic() + waitFor(before, random, asked), attempt: before + 1 });
    }
    return false;
  }

  /** When to try again, on the monotonic clock; `undefined`: when something comes. */
  function nextTry(): number | undefined {
    if (backlog.size === 0) return undefined;
    const ends = [...blocked.values()].map(({ until }) => until).filter((until) => until > monotonic());
    return Math.max(pausedUntil, ends.length > 0 ? ends.reduce((a, b) => Math.min(a, b)) : 0);
  }

  async function run(): Promise<void> {
    soon = undefined;
    if (busy || ended) return;
    busy = true;
    clearTimeout(timer);
    try {
      while (!ended && pausedUntil <= monotonic() && mayPublish()) {
        const items = backlog.take(MOST_AT_ONCE, (channel) => (blocked.get(channel)?.until ?? 0) > monotonic());
        if (items.length === 0) break;
        const began = monotonic();
        const { outcomes, rejected } = await publish(items);
        if (ended) return;
        if (outcomes.some(({ kind }) => kind === 'later')) troubledSince ??= began;
        // At the end everything is tried once: what was not taken then is the next holder's.
        if (settle(items, outcomes, rejected) && drained) break;
      }
    } finally {
      busy = false;
      drained?.();
      const next = ended || drained ? undefined : nextTry();
      if (next !== undefined) {
        timer = setTimeout(() => void run(), Math.max(0, next - monotonic()));
        timer.unref();
      }
    }
  }

  return {
    wake() {
      soon ??= ended ? undefined : setImmediate(() => void run());
    },
    hasten() {
      const now = monotonic();
      if (troubledSince === undefined || busy || now < askedUntil || now - hastenedAt < HASTEN_EVERY) return;
      hastenedAt = now;
      pausedUntil = 0;
      blocked.clear();
      void run();
    },
    stuck: () => (troubledSince === undefined || backlog.size === 0 ? 0 : monotonic() - troubledSince),
    drain() {
      pausedUntil = 0;
      blocked.clear();
      const over = new Promise<void>((resolve) => {
        drained = resolve;
      });
      void run();
      return over;
    },
    end() {
      ended = true;
      clearTimeout(timer);
      clearImmediate(soon);
      abandon?.();
      drained?.();
    },
  };
}
