/**
 * The way of a node to the engine by the drivers' interface (`server/log/shared/driver.ts`), as Redis, Postgres and NATS
 * have it: calls over a connection that may hang, be cut or be dropped, and hints beside it that may not come.
 */
import type { Logged } from '../../../adapters/contract.js';
import type { Position } from '../../../adapters/position.js';
import type { Claim } from '../../../server/log/leases.js';
import type { EngineDriver } from '../../../server/log/shared/driver.js';
import type { Clock, Owner } from '../kernel/clock.js';
import type { AppendFault, EngineLink } from './engine.js';
import type { Store } from './store.js';

/** What a history decides about the drivers. */
export interface WayPlan {
  /** How long a driver waits for a hint before it reads, in milliseconds. */
  readonly idle: number;
  /** Entries of one slice, at most. */
  readonly slice: number;
}

/** How the engine answers its drivers. Counts: faults may lie over each other. */
export interface Service {
  /** It refuses every call. */
  refuses: number;
  /** It gives no hints. */
  deaf: number;
  /** Reads wait. */
  holds: number;
  /** It does nothing; what it is sent waits. */
  freeze(): void;
  /** It does all of that now, whoever has given it up meanwhile. */
  thaw(): void;
  /** Reads go on. */
  release(): void;
  /** Something arrives. `reads`: it is a read. */
  arrive(reads: boolean, run: () => void): void;
  /**
   * It is not what it was: it lost its newest entries. After so many milliseconds drivers see that when they read; before,
   * only a node that had read all of it can tell, and as long as one lives.
   */
  lose(count: number, unnoticed: number): void;
  /** A driver looks whether it is what it was; before an append it always sees that. */
  look(appends: boolean): void;
  /** A node has read up to here, or is gone. */
  reached(node: Owner, position: Position | undefined): void;
  readonly watchers: Map<Owner, () => void>;
}

export function createService(clock: Clock, self: Owner, store: Store): Service {
  let frozen = 0;
  let noticed: number | undefined;
  const waiting: (() => void)[] = [];
  const held: (() => void)[] = [];
  const go = (runs: (() => void)[]): void => {
    for (const run of runs.splice(0)) clock.after(self, 0, run);
  };
  const reached = new Map<Owner, Position>();
  /** Nodes that can tell that something is lost. */
  let witnesses: Owner[] = [];
  /** Who is not to know from anybody else must see it. */
  function heed(): void {
    if (noticed !== undefined && witnesses.every((node) => node.dead || !reached.has(node))) noticed = clock.now();
  }
  const service: Service = {
    refuses: 0,
    deaf: 0,
    holds: 0,
    watchers: new Map(),
    freeze() {
      frozen += 1;
    },
    thaw() {
      frozen -= 1;
      if (frozen === 0) go(waiting);
    },
    release() {
      service.holds -= 1;
      if (service.holds === 0) go(held);
    },
    arrive(reads, run) {
      if (frozen > 0) waiting.push(run);
      else if (reads && service.holds > 0) held.push(run);
      else run();
    },
    lose(count, unnoticed) {
      if (noticed === undefined) {
        const { top } = store.window();
        witnesses = [...reached].filter(([, position]) => position === top).map(([node]) => node);
        noticed = clock.now() + unnoticed;
      }
      store.lose(count);
      heed();
    },
    reached(node, position) {
      if (position !== undefined) {
        reached.set(node, position);
        return;
      }
      reached.delete(node);
      heed();
    },
    look(appends) {
      if (noticed === undefined || (!appends && clock.now() < noticed)) return;
      noticed = undefined;
      store.renew(true);
    },
  };
  return service;
}

export interface Way {
  readonly driver: EngineDriver;
  /** The connection hangs until it is dropped, or flows. */
  stall(): void;
  flow(): void;
  /** The connection is cut, and both ends know it. */
  disrupt(): void;
  /** The process has ended. */
  forget(): void;
}

export interface WayOptions {
  readonly clock: Clock;
  /** The engine's tasks are its. */
  readonly self: Owner;
  readonly store: Store;
  readonly service: Service;
  readonly appends: () => AppendFault;
  readonly closed: () => void;
}

interface Connection {
  /** `answers`: what is sent arrives, and nothing comes back. */
  hangs: 'no' | 'answers' | 'all';
  over: boolean;
  /** What flows when it hangs no longer. */
  readonly waiting: (() => void)[];
  /** How to refuse the calls that are under way. */
  readonly calls: Set<(error: Error) => void>;
}

export function createWay(node: Owner, link: EngineLink, plan: WayPlan, options: WayOptions): Way {
  const { clock, self, store, service, appends, closed } = options;
  let connection = connect();
  let hinted = false;

  function connect(): Connection {
    return { hangs: 'no', over: false, waiting: [], calls: new Set() };
  }

  /** Some clients reject what was under way on a connection that has ended; others say nothing any more. */
  function end(of: Connection): void {
    of.over = true;
    if (of === connection) connection = connect();
    const calls = [...of.calls];
    of.calls.clear();
    if (calls.length === 0 || self.random.chance(0.2)) return;
    clock.after(node, 0, () => {
      for (const refuse of calls) refuse(new Error('the connection has ended'));
    });
  }

  function ask<T>(what: string, answer: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      if (!clock.effect(node)) return;
      const by = connection;
      const delay = (): number => link.latency + self.random.int(0, 5);
      if (link.way === 'refused' || service.refuses > 0) {
        clock.after(node, delay(), () => reject(new Error(`${what}: the engine refuses`)));
        return;
      }
      by.calls.add(reject);
      if (link.way === 'void') return;
      const back = (settle: () => void): void => {
        const arrives = (): void => {
          if (by.over || !by.calls.delete(reject)) return;
          settle();
        };
        if (by.over || link.way !== 'up') return;
        if (by.hangs === 'no') clock.after(node, delay(), arrives);
        else by.waiting.push(() => clock.after(node, delay(), arrives));
      };
      const work = (): void => {
        let result: T;
        try {
          result = answer();
        } catch (error) {
          if (error !== HANGS) back(() => reject(error));
          return;
        }
        back(() => resolve(result));
      };
      const send = (): void => void clock.after(self, delay(), () => service.arrive(what === 'read', work));
      if (by.hangs === 'all') by.waiting.push(() => !by.over && send());
      else send();
    });
  }

  function give(added: readonly Logged[]): void {
    if (added.length > 0 && service.deaf === 0) for (const hint of service.watchers.values()) hint();
  }

  const claimed = (claim: Claim) => ({
    fence: claim.fence,
    renew: () => ask('renew', claim.renew),
    release: () => ask('release', claim.release),
    checkpoint: () => ask('checkpoint', claim.checkpoint),
    moveCheckpoint: (position: Parameters<Claim['moveCheckpoint']>[0]) =>
      ask('moveCheckpoint', () => claim.moveCheckpoint(position)),
  });

  const driver: EngineDriver = {
    name: 'simulated',
    capabilities: { shared: true, durable: true, dedupes: true },
    append: (entries) =>
      ask('append', () => {
        const fault = appends();
        if (fault === 'fails') throw new Error('append: the engine fails');
        if (fault === 'hangs') throw HANGS;
        service.look(true);
        const { positions, added } = store.take(entries);
        give(added);
        if (fault === 'unanswered') throw self.random.chance(0.5) ? HANGS : new Error('append: no answer');
        return positions;
      }),
    read: (after, limit) =>
      ask('read', () => {
        service.look(false);
        return store.after(after, Math.min(limit, plan.slice));
      }).then((slice) => {
        service.reached(node, slice.more ? (slice.entries.at(-1)?.position ?? after) : slice.top);
        return slice;
      }),
    renew: (epoch) =>
      ask('renew', () => {
        service.look(true);
        // The one that lost: of many nodes that see it one changes it.
        if (store.epoch() === epoch) store.renew(true);
      }),
    watch(hint) {
      service.watchers.set(node, () => {
        if (hinted || link.way !== 'up' || connection.hangs !== 'no') return;
        hinted = true;
        clock.after(node, link.latency, () => {
          hinted = false;
          if (service.watchers.has(node)) hint();
        });
      });
      return () => service.watchers.delete(node);
    },
    idle: () => plan.idle,
    async lease(name, ttlMs) {
      const claim = await ask('lease', () => store.claim(name, ttlMs));
      return claim && claimed(claim);
    },
    share: (record, ttlMs) => ask('share', () => store.share(node, record, ttlMs)),
    drop: () => end(connection),
    async close() {
      end(connection);
      store.leave(node);
      closed();
    },
  };

  return {
    driver,
    stall() {
      connection.hangs = self.random.chance(0.5) ? 'answers' : 'all';
    },
    flow() {
      connection.hangs = 'no';
      for (const run of connection.waiting.splice(0)) run();
    },
    disrupt: () => end(connection),
    forget() {
      connection.over = true;
      service.watchers.delete(node);
      service.reached(node, undefined);
    },
  };
}

/** Thrown in the place of an answer. */
const HANGS = new Error('no answer at all');
