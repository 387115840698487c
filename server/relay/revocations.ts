/**
 * Tells a hosted provider of rights that have ended, beside the notifications and without holding them up: again and
 * again, until it knows or the life of every grant that they cancel is over.
 */
import { type Channel, channelOf } from '../../adapters/channel.js';
import type { RevokeEntry } from '../../adapters/contract.js';
import type { Position } from '../../adapters/position.js';
import type { ProviderAdapter } from '../../adapters/provider.js';
import { channelsOf } from '../../adapters/route.js';
import { inTime } from '../in-time.js';
import { waitFor } from './backoff.js';
import { PATIENCE } from './carrier.js';
import { type Below, lower } from './items.js';

/** Calls at a time: a department that loses its rights must not wait for one another. */
const AT_ONCE = 8;
/** Rights that wait; beyond, the oldest ends with the life of its grants, as if the provider could not be told. */
const MOST_WAITING = 10_000;

export interface RevocationsOptions {
  readonly adapter: Pick<ProviderAdapter, 'revoke'>;
  /** The life of a grant, in milliseconds. */
  readonly life: number;
  readonly monotonic: () => number;
  readonly random: () => number;
  readonly onFault: (error: unknown) => void;
  /** The provider could not be told at once: the user's own pages need not wait for it. Told once for each right. */
  readonly onFailing: (users: readonly string[], position: Position, below: Below) => void;
  /** The provider knows, or there is nothing left to tell it. */
  readonly onTold: (users: readonly string[], position: Position, below: Below) => void;
}

export interface Revocations {
  readonly size: number;
  add(entry: RevokeEntry, position: Position, below: Below): void;
  /** Up to where everything is told; `otherwise` when nothing waits. */
  completed(otherwise: Below): Below;
  /** Tries once more what waits. */
  drain(): Promise<void>;
  end(): void;
}

interface Waiting {
  readonly users: readonly string[];
  readonly channels: readonly Channel[] | undefined;
  readonly position: Position;
  readonly below: Below;
  readonly since: number;
  attempt: number;
  /** Not before this, on the monotonic clock. */
  due: number;
}

export function createRevocations(options: RevocationsOptions): Revocations {
  const { adapter, life, monotonic, random, onFault, onFailing, onTold } = options;
  /** By user and channels; a newer one stands for an older one of the same. */
  const waiting = new Map<string, Waiting>();
  const running = new Map<Waiting, Promise<void>>();
  let timer: NodeJS.Timeout | undefined;
  let draining = false;
  let ended = false;

  function start(): void {
    clearTimeout(timer);
    if (ended) return;
    for (const [key, one] of waiting) {
      if (running.size >= AT_ONCE) return;
      if (one.due > monotonic()) continue;
      waiting.delete(key);
      running.set(
        one,
        tell(key, one).then(() => {
          running.delete(one);
          if (!draining) start();
        }),
      );
    }
    if (draining || waiting.size === 0 || running.size >= AT_ONCE) return;
    const next = [...waiting.values()].reduce((least, { due }) => Math.min(least, due), Number.POSITIVE_INFINITY);
    timer = setTimeout(start, Math.max(0, next - monotonic()));
    timer.unref();
  }

  async function tell(key: string, one: Waiting): Promise<void> {
    try {
      await inTime((async () => adapter.revoke(one.users, one.channels))(), PATIENCE, 'revoke');
    } catch (error) {
      if (ended) return;
      onFault(error);
      if (one.attempt === 0) onFailing(one.users, one.position, one.below);
      if (monotonic() - one.since < life) {
        one.due = monotonic() + waitFor(one.attempt, random);
        one.attempt += 1;
        // A newer one came meanwhile and stands for both; the checkpoint still waits for the older.
        const newer = waiting.get(key);
        waiting.set(key, newer ? { ...newer, below: lower(newer.below, one.below) } : one);
        return;
      }
    }
    if (!ended) onTold(one.users, one.position, one.below);
  }

  return {
    get size() {
      return waiting.size + running.size;
    },
    add({ users, object }, position, below) {
      const channels = object && (object.id === undefined ? channelsOf(object) : [channelOf(object)]);
      const key = `${users.join()} ${channels?.join() ?? ''}`;
      const older = waiting.get(key);
      waiting.delete(key);
      waiting.set(key, {
        users,
        channels,
        position,
        below: older ? lower(older.below, below) : below,
        since: monotonic(),
        attempt: older?.attempt ?? 0,
        due: older?.due ?? 0,
      });
      for (const [oldest, one] of waiting) {
        if (waiting.size <= MOST_WAITING) break;
        waiting.delete(oldest);
        onFault(new Error('Too many revocations wait for the provider: the oldest ends with its grants.'));
        onTold(one.users, one.position, one.below);
      }
      start();
    },
    completed(otherwise) {
      return [...waiting.values(), ...running.keys()].reduce<Below>((least, one) => lower(least, one.below), otherwise);
    },
    async drain() {
      draining = true;
      clearTimeout(timer);
      await Promise.all(running.values());
      while (waiting.size > 0 && !ended) {
        const before = waiting.size;
        for (const one of waiting.values()) one.due = 0;
        start();
        await Promise.all(running.values());
        if (waiting.size === before) return;
      }
    },
    end() {
      ended = true;
      clearTimeout(timer);
    },
  };
}
