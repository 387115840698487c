/**
 * The storage that the nodes share: an engine behind a network of its own, with every fault that the contract of a log
 * allows for. It keeps the contract's sentences (`adapters/contract.ts`), also while it fails.
 *
 * Over 300 lines long, because the order of what a tail is told (entries, a reset, the answer to a proof) is one queue.
 */
import type { Lease, Log, LogEntry, Logged, LogWindow, Tail, TailSink } from '../../../adapters/contract.js';
import { makePosition, type Position } from '../../../adapters/position.js';
import type { Clock, Owner } from '../kernel/clock.js';

/** The way of one node to the engine. */
export interface EngineLink {
  latency: number;
  way: 'up' | 'refused' | 'void';
}

/** How `append` behaves at the engine, as in `adapters/testing/faulty-log.ts`. */
export type AppendFault = 'works' | 'fails' | 'unanswered' | 'hangs';

export interface Engine {
  append: AppendFault;
  /** Told of every entry that is taken. */
  taken: ((entry: LogEntry, position: Position) => void) | undefined;
  log(node: Owner, link: EngineLink): Log;
  window(): LogWindow;
  /** The connections of a node's tails hang; what they would be given waits. */
  stall(node: Owner): void;
  /** They go on, with what has waited. */
  flow(node: Owner): void;
  /** They report an error and end. */
  disrupt(node: Owner): void;
  /** Drops all but the newest so many entries. */
  trim(keep: number): void;
  /** Another epoch: nothing of the old one is there any more. */
  renew(): void;
  /** A node's process has ended. */
  forget(node: Owner): void;
  tails(): number;
  size(): number;
}

interface OpenTail {
  readonly node: Owner;
  readonly link: EngineLink;
  readonly sink: TailSink;
  /** What waits while the connection hangs. */
  waiting: (() => void)[];
  stalled: boolean;
  /** The last arrival: what it is told keeps its order. */
  arrival: number;
}

interface LeaseState {
  fence: number;
  holder: number;
  until: number;
  checkpoint: Position | undefined;
}

interface Stored {
  readonly logged: Logged;
  readonly at: number;
}

/** @param retention milliseconds; @param self whose tasks the engine's are */
export function createEngine(clock: Clock, self: Owner, retention: number): Engine {
  const tails = new Set<OpenTail>();
  const leases = new Map<string, LeaseState>();
  let epochs = 0;
  let epoch = 'e0';
  let offset = 0;
  let stored: Stored[] = [];
  let floor: Position = makePosition(epoch, 0);
  const byKey = new Map<string, Position>();

  const failure = (what: string): Error => new Error(`${what}: the engine does not answer`);
  const top = (): Position => makePosition(epoch, offset);

  function expire(): void {
    const oldest = clock.now() - retention;
    let dropped = 0;
    while (dropped < stored.length && (stored[dropped] as Stored).at <= oldest) dropped += 1;
    drop(dropped);
  }

  function drop(count: number): void {
    if (count <= 0) return;
    floor = (stored[count - 1] as Stored).logged.position;
    stored = stored.slice(count);
  }

  const window = (): LogWindow => {
    expire();
    return { floor, top: top() };
  };

  /** Tells a tail something, behind all that it was told before. */
  function tell(tail: OpenTail, run: () => void): void {
    if (tail.stalled || tail.link.way !== 'up') {
      tail.waiting.push(run);
      return;
    }
    const now = clock.now();
    tail.arrival = Math.max(tail.arrival, now + tail.link.latency + self.random.int(0, 5));
    clock.after(tail.node, tail.arrival - now, () => {
      if (tails.has(tail)) run();
    });
  }

  function take(entries: readonly LogEntry[]): readonly Position[] {
    expire();
    const added: Logged[] = [];
    const positions = entries.map((entry) => {
      const key = entry.kind === 'notification' ? entry.dedupeKey : undefined;
      const known = key === undefined ? undefined : byKey.get(key);
      if (known) return known;
      // Gaps are normal.
      offset += self.random.chance(0.2) ? self.random.int(2, 9) : 1;
      const position = top();
      if (key !== undefined) byKey.set(key, position);
      const logged = { position, entry };
      stored.push({ logged, at: clock.now() });
      added.push(logged);
      engine.taken?.(entry, position);
      return position;
    });
    if (added.length > 0) for (const tail of tails) tell(tail, () => tail.sink.entries(added));
    return positions;
  }

  /** Asks the engine and comes back, unless the way there or back is broken. */
  function ask<T>(node: Owner, link: EngineLink, what: string, answer: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      if (!clock.effect(node)) return;
      const way = (): number => link.latency + self.random.int(0, 5);
      if (link.way === 'refused') {
        clock.after(node, way(), () => reject(failure(what)));
        return;
      }
      if (link.way === 'void') return;
      clock.after(self, way(), () => {
        let result: T;
        try {
          result = answer();
        } catch (error) {
          if (error !== HANGS) clock.after(node, way(), () => reject(error));
          return;
        }
        if (link.way === 'up') clock.after(node, way(), () => resolve(result));
      });
    });
  }

  const HANGS = new Error('no answer at all');

  function log(node: Owner, link: EngineLink): Log {
    let closed = false;
    const assertOpen = (): void => {
      if (closed) throw new Error('log: it is closed');
    };
    return {
      name: 'simulated',
      capabilities: { shared: true, durable: true, dedupes: true },
      async append(entries) {
        assertOpen();
        return ask(node, link, 'append', () => {
          if (engine.append === 'fails') throw failure('append');
          if (engine.append === 'hangs') throw HANGS;
          const positions = take(entries);
          if (engine.append === 'unanswered') throw self.random.chance(0.5) ? HANGS : failure('append');
          return positions;
        });
      },
      async tail(sink) {
        assertOpen();
        return new Promise<Tail>((resolve, reject) => {
          ask(node, link, 'tail', () => {
            const start = window();
            const loaded = stored.map(({ logged }) => logged);
            const tail: OpenTail = { node, link, sink, waiting: [], stalled: false, arrival: 0 };
            tails.add(tail);
            tell(tail, () => {
              if (loaded.length > 0) sink.entries(loaded);
              resolve({
                start,
                prove: (timeoutMs) => prove(tail, timeoutMs),
                async close() {
                  tails.delete(tail);
                },
              });
            });
            // The answer comes on the tail itself.
            return undefined;
          }).catch(reject);
          // A driver gives up an engine that does not answer.
          clock.after(node, 5_000, () => reject(failure('tail')));
        });
      },
      async lease(name, ttlMs) {
        assertOpen();
        return ask(node, link, 'lease', () => claim(node, link, name, ttlMs));
      },
      async close() {
        closed = true;
        engine.forget(node);
      },
    };
  }

  function prove(tail: OpenTail, timeoutMs: number): Promise<Position> {
    return new Promise((resolve, reject) => {
      if (!tails.has(tail)) return reject(new Error('log: the tail is closed'));
      if (!clock.effect(tail.node)) return;
      const late = clock.after(tail.node, timeoutMs, () => reject(failure('prove')));
      if (tail.link.way === 'refused') {
        clock.after(tail.node, 2, () => {
          clock.cancel(late);
          reject(failure('prove'));
        });
        return;
      }
      if (tail.link.way === 'void') return;
      clock.after(self, tail.link.latency, () => {
        const reached = top();
        // Behind every entry up to it, on the same connection.
        tell(tail, () => {
          clock.cancel(late);
          resolve(reached);
        });
      });
    });
  }

  function claim(node: Owner, link: EngineLink, name: string, ttlMs: number): Lease | undefined {
    const state = leases.get(name) ?? { fence: 0, holder: 0, until: 0, checkpoint: undefined };
    if (state.holder !== 0 && clock.now() < state.until) return undefined;
    leases.set(name, state);
    const fence = ++state.fence;
    state.holder = fence;
    state.until = clock.now() + ttlMs;
    return {
      fence,
      renew: () =>
        ask(node, link, 'renew', () => {
          if (state.holder !== fence) return false;
          state.until = clock.now() + ttlMs;
          return true;
        }),
      release: () =>
        ask(node, link, 'release', () => {
          if (state.holder === fence) state.holder = 0;
        }),
      checkpoint: () => ask(node, link, 'checkpoint', () => state.checkpoint),
      moveCheckpoint: (position) =>
        ask(node, link, 'moveCheckpoint', () => {
          if (state.fence !== fence) return false;
          state.checkpoint = position;
          return true;
        }),
    };
  }

  const each = (node: Owner): OpenTail[] => [...tails].filter((tail) => tail.node === node);

  /** What waits for a tail is gone: it is told so when it can be. */
  function reset(tail: OpenTail): void {
    const start = window();
    tail.waiting = [];
    tell(tail, () => tail.sink.reset(start));
  }

  const engine: Engine = {
    append: 'works',
    taken: undefined,
    log,
    window,
    stall(node) {
      for (const tail of each(node)) tail.stalled = true;
    },
    flow(node) {
      for (const tail of each(node)) {
        tail.stalled = false;
        for (const run of tail.waiting.splice(0)) tell(tail, run);
      }
    },
    disrupt(node) {
      for (const tail of each(node)) {
        const { sink } = tail;
        tell(tail, () => sink.failed(failure('tail')));
      }
    },
    trim(keep) {
      expire();
      drop(stored.length - keep);
      // One that hangs cannot be given what is gone.
      for (const tail of tails) if (tail.waiting.length > 0) reset(tail);
    },
    renew() {
      epochs += 1;
      epoch = `e${epochs}`;
      offset = self.random.int(0, 50);
      stored = [];
      floor = top();
      byKey.clear();
      for (const tail of tails) reset(tail);
    },
    forget(node) {
      for (const tail of each(node)) tails.delete(tail);
    },
    tails: () => tails.size,
    size: () => stored.length,
  };
  return engine;
}
