/**
 * An engine in memory behind the drivers' interface: what all shared logs have in common, without a server. It can hang,
 * refuse, lose its last entries with or without knowing it, and forget to give hints.
 */
import type { Log, LogEntry, Logged } from '../../adapters/contract.js';
import { comparePositions, epochOf, makePosition, type Position } from '../../adapters/position.js';
import { createLeases } from '../../server/log/leases.js';
import type { EngineDriver } from '../../server/log/shared/driver.js';
import { createSharedLog } from '../../server/log/shared/log.js';
import { createWindow, newEpoch, offsetOf, type Window, type WindowContent } from '../../server/log/window.js';

interface Capacity {
  readonly retention?: number;
  readonly cap?: number;
}

export interface SharedEngine {
  /** A handle, as one process would have it. */
  node(options?: { idle?: number; hints?: boolean; readLimit?: number }): Log;
  /** Time of the engine, in milliseconds. */
  pass(ms: number): void;
  /** Everything acknowledged is gone. `silently`: under the same epoch, as after an unnoticed failover. */
  lose(how?: { silently?: boolean; keep?: number }): void;
  /** What calls do from now on. */
  calls: 'answer' | 'hang' | 'reject';
  /** How often a node gave its connections up, and how often the epoch was made a new one. */
  readonly counts: { dropped: number; renewed: number; reads: number; appends: number; shares: number };
}

export function createSharedEngine({ retention = 60_000, cap = 20_000 }: Capacity = {}): SharedEngine {
  let time = 0;
  const now = (): number => time;
  let epoch = newEpoch();
  const fresh = (from?: WindowContent): Window => createWindow({ epoch, retention, cap, now, ...(from && { from }) });
  let window = fresh();
  const leases = createLeases(now);
  const records = new Map<object, { readonly record: string; readonly until: number }>();
  const hints = new Set<() => void>();
  const counts = { dropped: 0, renewed: 0, reads: 0, appends: 0, shares: 0 };

  const engine: SharedEngine = {
    calls: 'answer',
    counts,
    pass(ms) {
      time += ms;
    },
    lose({ silently = false, keep = 0 } = {}) {
      const { stored, floor } = window.content();
      const left = stored.slice(0, keep);
      const top = left.at(-1) ? offsetOf((left.at(-1) as { logged: Logged }).logged.position) : floor;
      if (!silently) epoch = newEpoch();
      window = silently ? fresh({ stored: left, floor, top, offset: top }) : fresh();
    },
    node({ idle = 10, hints: gives = true, readLimit = Number.POSITIVE_INFINITY } = {}) {
      const self = {};
      const answer = async <T>(work: () => T): Promise<T> => {
        await new Promise(setImmediate);
        if (engine.calls === 'reject') throw new Error('the engine refuses');
        if (engine.calls === 'hang') await new Promise(() => {});
        return work();
      };
      const driver: EngineDriver = {
        name: 'shared',
        capabilities: { shared: true, durable: false, dedupes: true },
        append: (entries: readonly LogEntry[]) =>
          answer(() => {
            counts.appends++;
            const draft = window.draft();
            const positions = draft.add(entries);
            window.accept(draft);
            for (const hint of [...hints]) hint();
            return positions;
          }),
        read: (after: Position | undefined, limit: number) =>
          answer(() => {
            counts.reads++;
            const { floor, top } = window.bounds();
            const from = after !== undefined && epochOf(after) === epoch ? after : makePosition(epoch, 0);
            const all = window.entries().filter(({ position }) => (comparePositions(position, from) ?? 0) > 0);
            const entries = all.slice(0, Math.min(limit, readLimit));
            return { floor, top, entries, more: entries.length < all.length };
          }),
        renew: (old: string) =>
          answer(() => {
            if (epoch !== old) return;
            counts.renewed++;
            engine.lose();
          }),
        watch(hint) {
          if (gives) hints.add(hint);
          return () => hints.delete(hint);
        },
        idle: () => idle,
        lease: (name, ttlMs) =>
          answer(() => {
            const claim = leases.claim(name, ttlMs);
            return (
              claim && {
                fence: claim.fence,
                renew: () => answer(() => claim.renew()),
                release: () => answer(() => claim.release()),
                checkpoint: () => answer(() => claim.checkpoint()),
                moveCheckpoint: (position: Position) => answer(() => claim.moveCheckpoint(position)),
              }
            );
          }),
        share: (record, ttlMs) => {
          counts.shares++;
          return answer(() => {
            records.set(self, { record, until: time + ttlMs });
            return [...records].flatMap(([node, one]) => (node !== self && one.until > time ? [one.record] : []));
          });
        },
        drop() {
          counts.dropped++;
        },
        async close() {
          records.delete(self);
        },
      };
      return createSharedLog(driver);
    },
  };
  return engine;
}
