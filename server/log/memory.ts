/**
 * The log in the memory of one process: the default, with nothing to install. An engine (the entries, the leases, the
 * tails that follow) and handles on it, which are what the contract calls a `Log`. The suites give one engine to two
 * handles, so that they stand for two nodes; an application has one of each.
 */
import type { Lease, Log, LogEntry, Logged, LogWindow, Tail, TailSink } from '../../adapters/contract.js';
import { makePosition, type Position } from '../../adapters/position.js';

/** Seven minutes: longer than any grant and than the wait of a client that looks for another node. */
const RETENTION = 7 * 60_000;

/**
 * The engine keeps no more entries than this, about 10 MB. Only a tail that starts later reads them, and it may be told
 * that the floor is higher; the compacted history of a node is what clients are served from.
 */
const MAX_ENTRIES = 20_000;

/** Dropped entries are cut off the array once they are this many and half of it, so that a drop costs O(1) on average. */
const SLACK = 1_024;

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

interface Follower {
  readonly start: LogWindow;
  readonly loaded: Promise<void>;
  /** Resolves once everything appended so far was given to the sink. */
  caughtUp(): Promise<void>;
  stop(): void;
}

interface Claim {
  readonly fence: number;
  renew(): boolean;
  release(): void;
  checkpoint(): Position | undefined;
  moveCheckpoint(position: Position): boolean;
}

interface Stored {
  readonly logged: Logged;
  readonly at: number;
  readonly dedupeKey: string | undefined;
}

/** What is known of one lease. Names come from code, so they are few. */
interface LeaseState {
  fence: number;
  /** The fence of the holder; 0: released. */
  holder: number;
  until: number;
  checkpoint: Position | undefined;
}

/** Makes an engine with a random epoch: what an earlier process had in memory is gone, and positions of it say nothing. */
export function createMemoryEngine(options: MemoryEngineOptions = {}): MemoryEngine {
  const { retention = RETENTION, cap = MAX_ENTRIES, now = () => performance.now(), gap = () => 0 } = options;
  const epoch = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('');
  const place = (offset: number): Position => makePosition(epoch, offset);

  let stored: Stored[] = [];
  let first = 0; // index of the oldest entry that is not dropped
  let floor = place(0);
  let offset = 0;
  let pumping = false;
  const byKey = new Map<string, Position>();
  const followers = new Set<{ pump(): void; readonly pending: Logged[] }>();
  const leases = new Map<string, LeaseState>();

  function dropExpired(): void {
    const oldest = now() - retention;
    let entry = stored[first];
    while (entry && (entry.at <= oldest || stored.length - first > cap)) {
      floor = entry.logged.position;
      if (entry.dedupeKey !== undefined) byKey.delete(entry.dedupeKey);
      entry = stored[++first];
    }
    if (first >= SLACK && first * 2 >= stored.length) {
      stored = stored.slice(first);
      first = 0;
    }
  }

  /** Followers are called from a microtask: never inside a call of `append`, and without the latency of a timer. */
  function schedule(): void {
    if (pumping) return;
    pumping = true;
    queueMicrotask(() => {
      pumping = false;
      for (const follower of [...followers]) if (followers.has(follower)) follower.pump();
    });
  }

  return {
    window: () => {
      dropExpired();
      return { floor, top: place(offset) };
    },

    append(entries) {
      dropExpired();
      const at = now();
      const added: Logged[] = [];
      // Reading every entry before anything changes keeps the batch whole, whatever a caller passed.
      const keys = entries.map((entry) => (entry.kind === 'notification' ? entry.dedupeKey : undefined));
      const positions = entries.map((entry, index) => {
        const dedupeKey = keys[index];
        const known = dedupeKey === undefined ? undefined : byKey.get(dedupeKey);
        if (known) return known;
        offset += 1 + gap();
        const logged = { position: place(offset), entry };
        if (dedupeKey !== undefined) byKey.set(dedupeKey, logged.position);
        stored.push({ logged, at, dedupeKey });
        added.push(logged);
        return logged.position;
      });
      if (added.length === 0) return positions;
      for (const follower of followers) for (const logged of added) follower.pending.push(logged);
      dropExpired(); // the cap holds after a large batch too
      schedule();
      return positions;
    },

    follow(sink) {
      dropExpired();
      const start = { floor, top: place(offset) };
      const window = stored.slice(first).map(({ logged }) => logged);
      let isLoaded: () => void = () => {};
      const loaded = new Promise<void>((resolve) => {
        isLoaded = resolve;
      });
      const waiting: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];

      function give(batch: readonly Logged[]): void {
        if (batch.length === 0) return;
        try {
          sink.entries(batch);
        } catch (error) {
          sink.failed(error); // one reader's mistake must not stop the others
        }
      }

      let loading = true;
      const follower = {
        pending: [] as Logged[],
        pump(): void {
          if (loading) {
            loading = false;
            give(window);
            isLoaded();
          }
          // Stopped by its own sink in the middle: nothing more may be given.
          if (followers.has(follower)) give(follower.pending.splice(0));
          if (follower.pending.length === 0) for (const { resolve } of waiting.splice(0)) resolve();
        },
      };
      followers.add(follower);
      schedule();

      return {
        start,
        loaded,
        caughtUp: () =>
          new Promise((resolve, reject) => {
            if (!followers.has(follower)) reject(new Error('log: the tail is closed'));
            else if (!loading && follower.pending.length === 0) resolve();
            else waiting.push({ resolve, reject });
          }),
        stop() {
          followers.delete(follower);
          isLoaded();
          for (const { reject } of waiting.splice(0)) reject(new Error('log: the tail was closed'));
        },
      };
    },

    claim(name, ttlMs) {
      const state = leases.get(name) ?? { fence: 0, holder: 0, until: 0, checkpoint: undefined };
      if (state.holder !== 0 && now() < state.until) return undefined;
      leases.set(name, state);
      const fence = ++state.fence;
      state.holder = fence;
      state.until = now() + ttlMs;
      return {
        fence,
        renew() {
          // Expired, but nobody has taken it since: it is still ours.
          if (state.holder !== fence) return false;
          state.until = now() + ttlMs;
          return true;
        },
        release() {
          if (state.holder === fence) state.holder = 0;
        },
        checkpoint: () => state.checkpoint,
        moveCheckpoint(position) {
          if (state.fence !== fence) return false;
          state.checkpoint = position;
          return true;
        },
      };
    },
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
  const followers = new Set<Follower>();
  let closed = false;

  function assertOpen(): void {
    if (closed) throw new Error('log: the memory log is closed');
  }

  return {
    name: 'memory',
    capabilities: { shared: false, durable: false, dedupes: true },

    async append(entries) {
      assertOpen();
      return engine.append(entries);
    },

    async tail(sink): Promise<Tail> {
      assertOpen();
      const follower = engine.follow(sink);
      followers.add(follower);
      await follower.loaded;
      assertOpen();
      return {
        start: follower.start,
        // No timer: a sink is never more than a microtask behind, or the tail is closed, which rejects.
        async prove() {
          const { top } = engine.window();
          await follower.caughtUp();
          return top;
        },
        async close() {
          followers.delete(follower);
          follower.stop();
        },
      };
    },

    async lease(name, ttlMs): Promise<Lease | undefined> {
      assertOpen();
      const claim = engine.claim(name, ttlMs);
      if (!claim) return undefined;
      const whileOpen = async <T>(act: () => T): Promise<T> => {
        assertOpen();
        return act();
      };
      return {
        fence: claim.fence,
        renew: () => whileOpen(claim.renew),
        release: () => whileOpen(claim.release),
        checkpoint: () => whileOpen(claim.checkpoint),
        moveCheckpoint: (position) => whileOpen(() => claim.moveCheckpoint(position)),
      };
    },

    async close() {
      closed = true;
      for (const follower of followers) follower.stop();
      followers.clear();
    },
  };
}
