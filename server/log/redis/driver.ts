/** The driver of Redis: each call is one script. What all shared logs have in common is in `shared/`. */
import type { Lease, LogEntry } from '../../../adapters/contract.js';
import { isAfter, makePosition, type Position, parsePosition } from '../../../adapters/position.js';
import type { LogLine } from '../../types.js';
import type { EngineDriver, Slice } from '../shared/driver.js';
import { newEpoch } from '../window.js';
import { type Argument, createLink, type RedisConnection } from './connection.js';
import { decode, encode } from './entries.js';
import { createHints } from './hints.js';
import { APPEND, LEASE, LOOK, MEMORY, RENEW, SHARE } from './scripts.js';

/** Records of other nodes that one call answers with; the one that was renewed least recently goes first. */
const MOST_NODES = 1_000;
/** How long the end of a log waits for its record to be taken away, in milliseconds. */
const FAREWELL = 500;

/** Why an epoch was made a new one, as the scripts tell it. */
const REASONS: Readonly<Record<string, string>> = {
  none: 'its keys were gone: flushed, evicted or deleted',
  incomplete: 'its keys were not whole: one was evicted or deleted',
  restarted: 'the server restarted, or is another one',
  promoted: 'the server was a replica meanwhile',
  behind: 'it was behind what had been read of it',
};

export interface RedisDriverOptions {
  readonly connect: () => RedisConnection;
  readonly namespace: string;
  readonly db: number;
  readonly retention: number;
  readonly cap: number;
  readonly logger: (line: LogLine) => void;
}

export function createRedisDriver(options: RedisDriverOptions): EngineDriver {
  const { connect, namespace, db, retention, cap, logger } = options;
  /** The braces put all keys into one slot of a cluster. */
  const prefix = `{notify-listen:${namespace}}`;
  const [meta, entriesKey] = [`${prefix}:meta`, `${prefix}:entries`];
  const keys = [meta, entriesKey, `${prefix}:copies`];
  const [leases, nodes] = [`${prefix}:leases`, `${prefix}:nodes`];
  // Channels know nothing of databases.
  const channel = `${prefix}:${db}:hints`;
  const node = newEpoch();
  const link = createLink(connect);
  const own = `${channel}:${node}`;
  const hints = createHints({ connect, channel, own, say: () => link.call('PUBLISH', own, '') });
  let calls = 0;
  let known: string | undefined;
  let looked = false;
  let shared = false;

  /** One that no other call of any node has. Counted: random bytes for each were a tenth of what reading a hint costs. */
  const nextEpoch = (): string => `${node}-${(calls++).toString(36)}`;
  /** The arguments of a script that opens the log. */
  const opening = (...more: readonly Argument[]): Argument[] => [...keys, nextEpoch(), retention, cap, ...more];

  /** Its answer begins with the epoch and why it was changed. */
  function opened<T extends readonly unknown[]>(answer: unknown): T {
    const [epoch, why] = answer as [string, string];
    const reason = why === 'none' && known === undefined ? undefined : REASONS[why];
    if (reason) logger({ level: 'warn', message: 'the redis log has a new epoch', reason });
    known = epoch;
    if (!looked) void look();
    return answer as T;
  }

  /** Once: a server that throws keys away when its memory is full is not for this. */
  async function look(): Promise<void> {
    looked = true;
    try {
      const [most, policy] = (await link.run(MEMORY, meta)) as [string, string];
      if (most === '0' || !policy.startsWith('allkeys-')) return; // no key of the log expires, so volatile-… leaves them
      logger({
        level: 'warn',
        message:
          'the Redis of the log may evict its keys, and every page would refresh: set maxmemory-policy noeviction',
        policy,
      });
    } catch {
      looked = false;
    }
  }

  const claimed = (name: string, ttlMs: number, fence: string): Lease => {
    const act = (what: string, ...more: string[]): Promise<unknown> =>
      link.run(LEASE, leases, what, name, fence, ...more);
    return {
      fence: Number(fence),
      renew: async () => (await act('renew', String(ttlMs))) === 1,
      async release() {
        await act('release');
      },
      checkpoint: async () => ((await act('checkpoint')) ?? undefined) as Position | undefined,
      moveCheckpoint: async (position) => (await act('move', position)) === 1,
    };
  };

  return {
    name: 'redis',
    capabilities: { shared: true, durable: true, dedupes: true },

    async append(entries: readonly LogEntry[]) {
      const answer = await link.run(APPEND, ...opening(channel, ...encode(entries)));
      const [epoch, , ...offsets] = opened<[epoch: string, why: string, ...offsets: string[]]>(answer);
      return offsets.map((offset) => makePosition(epoch, offset));
    },

    async read(after, limit): Promise<Slice> {
      const asked = parsePosition(after);
      const [before, found, answer] = await link.runAfter(
        [
          ['HGET', meta, 'epoch'],
          ['XRANGE', entriesKey, asked ? `(${asked.offset}-0` : '-', '+', 'COUNT', limit],
        ],
        LOOK,
        ...opening(),
      );
      const [epoch, , floor, top] = opened<[epoch: string, why: string, floor: string, top: string]>(answer);
      // Entries of one epoch, and of the one that was asked: else nothing of them can be told.
      const mine = before === epoch && (asked === undefined || asked.epoch === epoch);
      const entries = mine ? decode(epoch, found, floor) : [];
      const start = asked && asked.epoch === epoch ? asked.offset : floor;
      const reached = entries.at(-1)?.position ?? makePosition(epoch, start);
      return {
        floor: makePosition(epoch, floor),
        top: makePosition(epoch, top),
        entries,
        more: isAfter(makePosition(epoch, top), reached),
      };
    },

    async renew(epoch) {
      opened(await link.run(RENEW, ...opening(epoch)));
    },

    watch: hints.watch,
    idle: hints.idle,

    async lease(name, ttlMs) {
      const fence = (await link.run(LEASE, leases, 'claim', name, ttlMs)) as string | null;
      return fence === null ? undefined : claimed(name, ttlMs, fence);
    },

    async share(record, ttlMs) {
      shared = true;
      return (await link.run(SHARE, nodes, node, ttlMs, record, MOST_NODES)) as string[];
    },

    drop() {
      link.drop();
      hints.drop();
    },

    async close() {
      if (shared)
        await Promise.race([link.run(SHARE, nodes, node, 0, '', MOST_NODES).catch(() => {}), pause(FAREWELL)]);
      link.close();
    },
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
