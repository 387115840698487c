/** The engine's calls, each one statement. What they do in the database stands in migration.ts. */
import { randomUUID } from 'node:crypto';
import type { LogEntry } from '../../../adapters/contract.js';
import { epochOf, makePosition, type Position } from '../../../adapters/position.js';
import type { LogLine } from '../../types.js';
import type { EngineDriver, Slice } from '../shared/driver.js';
import { executorOf } from './clients.js';
import { channelOf, decodeEntries, decodeRecord, encodeBatch, toAscii } from './codec.js';
import type { Connections, Row } from './connections.js';
import { claim, type LeaseCall } from './leases.js';
import { createListener, deafListener, type Listener } from './listener.js';
import { within } from './migration.js';
import { hereSql, writeOutbox } from './outbox.js';
import { createSequencer, type Drained } from './sequencer.js';

/** How often a node drops what is too old, in milliseconds, half of it random; and how much at a time. */
const TRIM_MS = 5_000;
const TRIM_PIECE = 2_000;
/** Larger than any offset: there is no such place in the log. */
const NOWHERE = '9'.repeat(18);
/** How often a read is tried again because the engine turned out not to be what it was. */
const READS = 3;

export interface PostgresDriverOptions {
  readonly connections: Connections;
  readonly schema: string;
  readonly namespace: string;
  readonly retention: number;
  readonly cap: number;
  readonly listen: boolean;
  readonly logger: (line: LogLine) => void;
}

export function createPostgresDriver(options: PostgresDriverOptions): EngineDriver {
  const { connections, schema, namespace, retention, cap, logger } = options;
  const { own } = connections;
  const channel = channelOf(schema, namespace);
  const node = randomUUID();
  const hints = new Set<() => void>();
  let listener: Listener | undefined;
  let trimming: NodeJS.Timeout | undefined;
  let shared = false;
  /** Which database the log is in. What is missing in it was made, before an application's transaction could fail for it. */
  let ready: Promise<readonly Row[]> | undefined;
  /** Up to where the outbox was moved by this process: what is older need not be looked at. It says nothing of another epoch. */
  let drained: { readonly epoch: string; readonly snapshot: string } | undefined;

  const call = (name: string, values: readonly unknown[]): Promise<readonly Row[]> =>
    connections.query(
      `SELECT * FROM ${within(schema, name)}(${values.map((_, index) => `$${index + 1}`).join(', ')})`,
      values,
    );
  const first = async (name: string, values: readonly unknown[]): Promise<Row> => (await call(name, values))[0] ?? {};
  const hint = (): void => {
    for (const one of [...hints]) one();
  };

  const sequencer = createSequencer({
    now: () => performance.now(),
    moved: hint,
    async drain(wait): Promise<Drained> {
      const values = [namespace, drained?.epoch, drained?.snapshot, retention, channel, wait];
      const row = await own(first('drain_1', values), 'a look at the outbox');
      const { outcome, epoch, tokens } = row as Record<string, string | null>;
      if (row.drained) drained = { epoch: epoch as string, snapshot: row.drained as string };
      return { outcome: outcome as Drained['outcome'], tokens: tokens ? tokens.split(',') : [] };
    },
  });

  /** Drops all that is too old, or the pieces that one call may drop. */
  async function trim(piece: () => Promise<Row>): Promise<void> {
    while ((await piece()).trim_1 === true);
  }
  const trimPiece = (wait: boolean): Promise<Row> => first('trim_1', [namespace, retention, cap, TRIM_PIECE, wait]);

  function trimLater(): void {
    trimming = setTimeout(
      () => {
        // Each piece has its time: many of them are much work, and nothing that hangs.
        trim(() => own(trimPiece(false), 'a trim'))
          .catch(() => {}) // the engine's troubles are told by reads
          .finally(() => {
            if (trimming) trimLater();
          });
      },
      Math.min(TRIM_MS, retention) * (0.5 + Math.random() / 2),
    );
    trimming.unref();
  }

  async function renew(epoch: string | undefined): Promise<void> {
    drained = undefined;
    const now = (await first('renew_1', [namespace, epoch, channel])).renew_1;
    if (epoch !== undefined && now !== epoch)
      logger({ level: 'warn', message: 'the Postgres log is not what it was: its epoch is a new one', epoch: now });
  }

  async function read(after: Position | undefined, limit: number): Promise<Slice> {
    // A window that begins now holds nothing that is too old.
    if (after === undefined) await trim(() => trimPiece(true));
    const offset = after?.slice(after.indexOf(':') + 1);
    for (let attempt = 0; attempt < READS; attempt++) {
      const row = await first('read_1', [
        namespace,
        after && epochOf(after),
        offset && offset.length > NOWHERE.length ? NOWHERE : offset,
        limit,
        drained?.epoch,
        drained?.snapshot,
      ]);
      const epoch = row.epoch as string | null;
      if (row.sound === true && epoch !== null) {
        if (row.pending === true) sequencer.look();
        const entries = decodeEntries(epoch, row.entries as string | null);
        const top = makePosition(epoch, row.top as string);
        const more = entries.length > 0 && entries.at(-1)?.position !== top;
        return { floor: makePosition(epoch, row.floor as string), top, entries, more };
      }
      await renew(epoch ?? undefined);
    }
    throw new Error('log: the Postgres server is another one at every read');
  }

  return {
    name: 'postgres',
    capabilities: { shared: true, durable: true, dedupes: true },

    async append(entries: readonly LogEntry[]) {
      const row = await first('append_1', [namespace, encodeBatch(namespace, entries), retention, channel]);
      const { epoch, offsets } = row as Record<string, string>;
      return (offsets as string).split(',').map((offset) => makePosition(epoch as string, offset));
    },

    async appendWithin(transaction, entries) {
      const execute = executorOf(transaction);
      if (entries.length === 0) return;
      ready ??= own(connections.query(hereSql(schema), []), 'the first look at the database');
      const [home] = await ready.catch((error: unknown) => {
        ready = undefined;
        throw error;
      });
      const token = randomUUID();
      await writeOutbox(execute, schema, home ?? {}, { namespace, token, entries: encodeBatch(namespace, entries) });
      sequencer.expect(token);
    },

    read,
    renew,

    watch(one) {
      hints.add(one);
      listener ??= options.listen
        ? createListener({
            connections,
            channel,
            hint,
            deaf: () => logger({ level: 'info', message: 'LISTEN brings nothing here (a pooler?): the log is polled' }),
          })
        : deafListener;
      if (!trimming) trimLater();
      return () => {
        hints.delete(one);
      };
    },
    idle: () => listener?.idle() ?? deafListener.idle(),

    lease(name, ttlMs) {
      const act: LeaseCall = (what, fence, checkpoint) =>
        call('lease_1', [namespace, name, what, fence, ttlMs, checkpoint]);
      return claim(act);
    },

    async share(record, ttlMs) {
      shared = true;
      const rows = await call('share_1', [namespace, node, toAscii(record), ttlMs]);
      return rows.flatMap((row) => decodeRecord(row.record));
    },

    drop: connections.drop,

    async close() {
      listener?.close();
      clearTimeout(trimming);
      trimming = undefined;
      await sequencer.close();
      if (shared) {
        const gone = call('share_1', [namespace, node, '""', 0]);
        await own(gone, 'the end of a record').catch(() => {}); // its time will be over by itself
      }
      await connections.close();
    },
  };
}
