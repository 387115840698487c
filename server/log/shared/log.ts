/** Makes of an engine's driver what the contract calls a `Log`. See docs/shared-log.md for its states and races. */
import type { Log, LogEntry, Tail, TailSink } from '../../../adapters/contract.js';
import type { Position } from '../../../adapters/position.js';
import { inTime } from '../../in-time.js';
import { createAppends } from './appends.js';
import { CALL_PATIENCE, type EngineDriver } from './driver.js';
import { legible } from './legible.js';
import { createReader, type Reader } from './reader.js';

/** After `close`, everything but `close` rejects. */
export function createSharedLog(driver: EngineDriver): Log {
  const readers = new Set<Reader>();
  let closing: Promise<void> | undefined;
  let unwatch: (() => void) | undefined;

  function assertOpen(): void {
    if (closing) throw new Error(`log: the ${driver.name} log is closed`);
  }

  /** A call to the engine. One that hangs tells that its connection is dead, for which TCP alone would need minutes. */
  async function call<T>(what: string, work: () => Promise<T>): Promise<T> {
    let settled = false;
    const made = work().finally(() => {
      settled = true;
    });
    try {
      return await inTime(made, CALL_PATIENCE, `${what} of the ${driver.name} log`);
    } catch (error) {
      if (!settled && !closing) driver.drop();
      throw error;
    }
  }

  const hint = (): void => {
    for (const reader of readers) reader.hint();
  };
  const append = createAppends((entries: readonly LogEntry[]) => call('append', () => driver.append(entries)));

  return {
    name: driver.name,
    capabilities: driver.capabilities,

    async append(entries) {
      assertOpen();
      if (entries.length === 0) return [];
      const positions = await append(entries);
      // The own nodes need not wait for the engine's hint.
      hint();
      return positions;
    },

    ...(driver.appendWithin && {
      async appendWithin(transaction: unknown, entries: readonly LogEntry[]): Promise<void> {
        assertOpen();
        // Not in time: the connection is the application's, and may wait for a lock of its own.
        await driver.appendWithin?.(transaction, entries);
      },
    }),

    async tail(sink: TailSink, after?: Position): Promise<Tail> {
      assertOpen();
      unwatch ??= driver.watch(hint);
      const reader = createReader({
        sink,
        async read(after, limit) {
          const slice = await call('read', () => driver.read(after, limit));
          return { ...slice, entries: legible(slice.entries) };
        },
        renew: (epoch) => call('renew', () => driver.renew(epoch)),
        idle: driver.idle,
        name: driver.name,
      });
      readers.add(reader);
      const close = async (): Promise<void> => {
        readers.delete(reader);
        reader.close();
      };
      try {
        const start = await reader.load(after);
        assertOpen();
        return { start, prove: reader.prove, close };
      } catch (error) {
        await close();
        throw error;
      }
    },

    async lease(name, ttlMs) {
      assertOpen();
      const lease = await call('lease', () => driver.lease(name, ttlMs));
      if (!lease) return undefined;
      const whileOpen = async <T>(what: string, act: () => Promise<T>): Promise<T> => {
        assertOpen();
        return call(what, act);
      };
      return {
        fence: lease.fence,
        renew: () => whileOpen('renewal of a lease', lease.renew),
        release: () => whileOpen('release of a lease', lease.release),
        checkpoint: () => whileOpen('checkpoint', lease.checkpoint),
        moveCheckpoint: (position) => whileOpen('checkpoint', () => lease.moveCheckpoint(position)),
      };
    },

    async share(record, ttlMs) {
      assertOpen();
      return call('share', () => driver.share(record, ttlMs));
    },

    close() {
      closing ??= (async () => {
        unwatch?.();
        for (const reader of readers) reader.close();
        readers.clear();
        await driver.close();
      })();
      return closing;
    },
  };
}
