/** Nodes on a Redis log, and what tests ask of them. */
import { expect, onTestFinished, vi } from 'vitest';
import type { Log, Logged } from '../../../adapters/contract.js';
import type { Position } from '../../../adapters/position.js';
import { type Reader, read } from '../../../adapters/testing/reader.js';
import { createRedisLog, type RedisLogOptions } from '../../../server/log/redis.js';
import type { LogLine } from '../../../server/types.js';
import { note } from '../entries.js';
import { type FaultProxy, faultProxy } from '../fault-proxy.js';
import { type RedisOptions, type RedisServer, startRedis } from './redis.js';

/** How long a tail is waited for, in milliseconds. */
const PATIENCE = 20_000;

/** What lives until its test ends; a test that runs beside others says itself when that is. */
export interface Stage {
  redis(options?: RedisOptions): Promise<RedisServer>;
  proxyTo(port: number): Promise<FaultProxy>;
  open(options?: Partial<RedisLogOptions>): RedisNode;
  /** Two nodes, each with a tail. */
  two(options?: Partial<RedisLogOptions>): Promise<TwoNodes>;
}

export interface RedisNode {
  readonly log: Log;
  readonly lines: readonly LogLine[];
}

export interface TwoNodes {
  readonly a: Log;
  readonly b: Log;
  readonly nodes: readonly [RedisNode, RedisNode];
  readonly readers: readonly [Reader, Reader];
}

export const urlOf = (port: number): string => `redis://127.0.0.1:${port}`;

export function stage(finished: (end: () => Promise<void>) => void = onTestFinished): Stage {
  const it: Stage = {
    async redis(options) {
      const server = await startRedis(options);
      finished(() => server.remove());
      return server;
    },
    async proxyTo(target) {
      const proxy = await faultProxy({ target });
      finished(() => proxy.close());
      return proxy;
    },
    open(options = {}) {
      const lines: LogLine[] = [];
      const log = createRedisLog({ url: '', retention: 60_000, logger: (line) => lines.push(line), ...options });
      finished(() => log.close());
      return { log, lines };
    },
    async two(options) {
      const nodes = [it.open(options), it.open(options)] as const;
      const readers = [await read(nodes[0].log, PATIENCE), await read(nodes[1].log, PATIENCE)] as const;
      return { a: nodes[0].log, b: nodes[1].log, nodes, readers };
    },
  };
  return it;
}

export async function append(log: Log, id: string): Promise<Position> {
  const [position] = await log.append([note(id)]);
  return position as Position;
}

/** Appends until it is accepted: the server is back, and the node has found it. */
export function appendAgain(log: Log, id: string): Promise<Position> {
  return vi.waitFor(() => append(log, id));
}

/** Resolves when every one of these tails has given it. */
export async function given(readers: readonly Reader[], position: Position): Promise<void> {
  for (const reader of readers) await reader.until((logged) => logged.position === position, position);
}

export function idOf({ entry }: Logged): string | undefined {
  return entry.kind === 'notification' ? entry.notification.id : undefined;
}

/** No tail was told that it may have missed something. */
export function expectNoReset(readers: readonly Reader[]): void {
  expect(readers.flatMap(({ resets }) => resets)).toEqual([]);
}
