/**
 * The log in the memory of one process: the default, with nothing to install. An engine (the entries, the leases, the
 * tails that follow) and handles on it, which are what the contract calls a `Log`. The suites give one engine to two
 * handles, so that they stand for two nodes; an application has one of each.
 */
import type { Log, LogEntry, LogWindow, TailSink } from '../../adapters/contract.js';
import type { Position } from '../../adapters/position.js';
import { createFollowers, type Follower } from './followers.js';
import { createHandle } from './handle.js';
import { type Claim, createLeases } from './leases.js';
import { createWindow, MAX_ENTRIES, newEpoch, RETENTION } from './window.js';

export interface MemoryEngineOptions {
  /** How long an entry is kept, in milliseconds. Default 7 min. */
  readonly retention?: number;
  /** How many entries are kept. Default 20,000. */
  readonly cap?: number;
  /** Milliseconds on a clock that never goes back, for retention and leases. Default `performance.now`. */
  readonly now?: () => number;
  /** How many offsets to leave out before the next entry. Default none; tests prove with it that nothing counts on +1. */
  readonly gap?: () => number;
}

/** What handles share. Opaque: only {@link createMemoryLog} looks inside. */
export interface MemoryEngine {
  readonly window: () => LogWindow;
  readonly append: (entries: readonly LogEntry[]) => readonly Position[];
  readonly follow: (sink: TailSink) => Follower;
  readonly claim: (name: string, ttlMs: number) => Claim | undefined;
}

/** Makes an engine with a random epoch: what an earlier process had in memory is gone, and positions of it say nothing. */
export function createMemoryEngine(options: MemoryEngineOptions = {}): MemoryEngine {
  const { retention = RETENTION, cap = MAX_ENTRIES, now = () => performance.now(), gap } = options;
  const window = createWindow({ epoch: newEpoch(), retention, cap, now, ...(gap && { gap }) });
  const followers = createFollowers();
  const leases = createLeases(now);
  return {
    window: window.bounds,
    append(entries) {
      const { positions, added } = window.append(entries);
      followers.give(added);
      return positions;
    },
    follow: (sink) => followers.follow(sink, window.bounds(), window.entries()),
    claim: leases.claim,
  };
}

export interface MemoryLogOptions extends MemoryEngineOptions {
  /** An engine to share with other handles; the other options are then the engine's. Default: one of its own. */
  readonly engine?: MemoryEngine;
}

/**
 * Makes a log that lives in this process. It ends with the process, and no other process hears of it.
 *
 * After `close`, everything but `close` rejects.
 */
export function createMemoryLog(options: MemoryLogOptions = {}): Log {
  const engine = options.engine ?? createMemoryEngine(options);
  return createHandle(engine, {
    name: 'memory',
    capabilities: { shared: false, durable: false, dedupes: true },
    appendNow: engine.append,
  });
}
