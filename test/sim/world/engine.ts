/**
 * The storage that the nodes share: an engine behind a network of its own, with every fault that the contract of a log
 * allows for. It keeps the contract's sentences (`adapters/contract.ts`), also while it fails. Nodes come to it in one of
 * two ways: by a log of its own, which pushes, or by the drivers' interface (`way.ts`) and the shipped core above it.
 */
import type { Lease, Log, LogEntry, Tail, TailSink } from '../../../adapters/contract.js';
import type { Position } from '../../../adapters/position.js';
import { createSharedLog } from '../../../server/log/shared/log.js';
import type { Clock, Owner } from '../kernel/clock.js';
import { createStore, type Store } from './store.js';
import { createService, createWay, type Service, type Way, type WayPlan } from './way.js';

/** The way of one node to the engine. */
export interface EngineLink {
  latency: number;
  way: 'up' | 'refused' | 'void';
}

/** How `append` behaves at the engine, as in `adapters/testing/faulty-log.ts`. */
export type AppendFault = 'works' | 'fails' | 'unanswered' | 'hangs';

export interface Engine {
  append: AppendFault;
  readonly store: Store;
  /** How it answers those who come by the drivers' interface. */
  readonly service: Service;
  /** The way of one node to it: a log that is told of what comes. */
  log(node: Owner, link: EngineLink): Log;
  /** The other way: the shipped core of the shared logs, which reads. */
  drivenLog(node: Owner, link: EngineLink, plan: WayPlan): Log;
  /** The connections of a node's tails hang; what they would be given waits. */
  stall(node: Owner): void;
  /** They go on, with what has waited. */
  flow(node: Owner): void;
  /** They report an error and end. */
  disrupt(node: Owner): void;
  /** What is acknowledged from now on reaches no tail, until all nodes `flow`. */
  hold(): void;
  /** Drops all but the newest so many entries. */
  trim(keep: number): void;
  /** Another epoch: nothing of the old one is there any more, or what is `left` of it goes on under the new one. */
  renew(left?: boolean): void;
  /** A node's process has ended. */
  forget(node: Owner): void;
  /** What of nodes is left. */
  tails(): number;
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

/** @param retention milliseconds; @param self whose tasks the engine's are */
export function createEngine(clock: Clock, self: Owner, retention: number): Engine {
  const tails = new Set<OpenTail>();
  const store = createStore(clock, self, retention);
  const service = createService(clock, self, store);
  const ways = new Map<Owner, Way>();

  const failure = (what: string): Error => new Error(`${what}: the engine does not answer`);
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
    const { positions, added } = store.take(entries);
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
            const start = store.window();
            const loaded = store.entries();
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
        const { top: reached } = store.window();
        // Behind every entry up to it, on the same connection.
        tell(tail, () => {
          clock.cancel(late);
          resolve(reached);
        });
      });
    });
  }

  function claim(node: Owner, link: EngineLink, name: string, ttlMs: number): Lease | undefined {
    const claimed = store.claim(name, ttlMs);
    return (
      claimed && {
        fence: claimed.fence,
        renew: () => ask(node, link, 'renew', claimed.renew),
        release: () => ask(node, link, 'release', claimed.release),
        checkpoint: () => ask(node, link, 'checkpoint', claimed.checkpoint),
        moveCheckpoint: (position) => ask(node, link, 'moveCheckpoint', () => claimed.moveCheckpoint(position)),
      }
    );
  }

  const each = (node: Owner): OpenTail[] => [...tails].filter((tail) => tail.node === node);

  /** What waits for a tail is gone: it is told so when it can be. */
  function reset(tail: OpenTail): void {
    const start = store.window();
    tail.waiting = [];
    tell(tail, () => tail.sink.reset(start));
  }

  const engine: Engine = {
    append: 'works',
    store,
    service,
    log,
    drivenLog(node, link, plan) {
      const way = createWay(node, link, plan, {
        clock,
        self,
        store,
        service,
        appends: () => engine.append,
        closed: () => void ways.delete(node),
      });
      ways.set(node, way);
      return createSharedLog(way.driver);
    },
    stall(node) {
      for (const tail of each(node)) tail.stalled = true;
      ways.get(node)?.stall();
    },
    flow(node) {
      ways.get(node)?.flow();
      for (const tail of each(node)) {
        tail.stalled = false;
        for (const run of tail.waiting.splice(0)) tell(tail, run);
      }
    },
    disrupt(node) {
      ways.get(node)?.disrupt();
      for (const tail of each(node)) {
        const { sink } = tail;
        tell(tail, () => sink.failed(failure('tail')));
      }
    },
    hold() {
      service.holds += 1;
      for (const tail of tails) tail.stalled = true;
    },
    trim(keep) {
      store.trim(keep);
      // One that hangs cannot be given what is gone.
      for (const tail of tails) if (tail.waiting.length > 0) reset(tail);
    },
    renew(left = false) {
      store.renew(left);
      for (const tail of tails) reset(tail);
    },
    forget(node) {
      ways.get(node)?.forget();
      ways.delete(node);
      for (const tail of each(node)) tails.delete(tail);
    },
    tails: () => tails.size + ways.size,
  };
  return engine;
}
