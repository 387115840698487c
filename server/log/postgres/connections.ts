/**
 * The connections of one log: a pool of two, whose sockets can all be destroyed at once, and single ones that listen. No
 * statement leaves anything behind in its session, so a pooler in transaction mode may stand between.
 */
import { Socket } from 'node:net';
import { inTime } from '../../in-time.js';
import { CALL_PATIENCE } from '../shared/driver.js';
import { migrationDone, migrationLock, migrationSql, WRONG_MODE } from './migration.js';

/** One for what waits for its turn to write, one for the rest. A third is the listener's. */
const POOLED = 2;
/** How long opening a connection may take, in milliseconds: less than a node waits for a call. */
const CONNECT_MS = 2_500;
/** How long ending may take, in milliseconds, before sockets are destroyed. */
const END_MS = 1_000;

/** The part of a client of `pg` that is used. */
export interface PgClient {
  connect(): Promise<unknown>;
  query(text: string, values?: unknown[]): Promise<{ readonly rows: readonly Row[] }>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'end', listener: () => void): unknown;
  on(event: 'notification', listener: (message: { readonly payload?: string | undefined }) => void): unknown;
  end(): Promise<void>;
}
export type Row = Readonly<Record<string, unknown>>;

interface PooledClient {
  query(text: string, values?: unknown[]): Promise<{ readonly rows: readonly Row[] }>;
  release(error?: boolean): void;
}
interface PgPool {
  connect(): Promise<PooledClient>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'connect', listener: (client: PgClient) => void): unknown;
  end(): Promise<void>;
}
interface ClientSettings {
  readonly connectionString: string;
  readonly application_name: string;
  readonly keepAlive: boolean;
  readonly connectionTimeoutMillis: number;
  readonly stream: () => Socket;
}
/** The part of the module `pg` that is used; its own types stay in the file that loads it. */
export interface PgModule {
  readonly Client: new (settings: ClientSettings) => PgClient;
  readonly Pool: new (
    settings: ClientSettings & { readonly max: number; readonly idleTimeoutMillis: number },
  ) => PgPool;
}

export interface ConnectionsOptions {
  readonly load: () => Promise<PgModule>;
  readonly url: string;
  readonly schema: string;
  /** Whether what is missing in the database may be made. */
  readonly migrate: boolean;
}

export interface Connections {
  /** One statement in a transaction of its own. What is missing in the database is made first. */
  query(text: string, values: readonly unknown[]): Promise<readonly Row[]>;
  /** A connection beside the pool, not opened yet. */
  single(): Promise<PgClient>;
  /** For calls that the log does not make, so that nothing waits for ever: those that hang drop the connections. */
  own<T>(work: Promise<T>, what: string): Promise<T>;
  /** Destroys all sockets. The next call opens new ones. */
  drop(): void;
  close(): Promise<void>;
}

/** SQLSTATE: the schema, a table or a function is not there. */
const MISSING: readonly unknown[] = ['3F000', '42P01', '42883'];
/** SQLSTATE: a right is missing. */
const NO_RIGHT = '42501';
/** SQLSTATE: a standby. The name may lead to the primary next time. */
const READ_ONLY = '25006';

export const codeOf = (error: unknown): unknown => (error as { code?: unknown } | undefined)?.code;

export function createConnections({ load, url, schema, migrate }: ConnectionsOptions): Connections {
  const sockets = new Set<Socket>();
  let pool: Promise<PgPool> | undefined;
  let migrating: Promise<void> | undefined;
  /** The role's or the database's default is another isolation: each statement then says what it needs. */
  let explicit = false;
  let closed = false;
  /** How many clients of the pool are in use, and how many uses have ended. */
  let inUse = 0;
  let ended = 0;

  const settings: ClientSettings = {
    connectionString: url,
    application_name: 'notify-listen',
    keepAlive: true,
    connectionTimeoutMillis: CONNECT_MS,
    stream() {
      const socket = new Socket();
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      return socket;
    },
  };

  async function open(): Promise<PgPool> {
    const { Pool } = await load();
    // Idle ones stay: opening one takes longer than a statement.
    const opened = new Pool({ ...settings, max: POOLED, idleTimeoutMillis: 0 });
    opened.on('error', () => {}); // an idle connection has ended; the pool has already forgotten it
    // One that ends in anybody's hands tells its query; untold here, it would end the process.
    opened.on('connect', (client) => client.on('error', () => {}));
    return opened;
  }

  async function withClient<T>(work: (client: PooledClient) => Promise<T>): Promise<T> {
    if (closed) throw new Error('the connections to Postgres are closed');
    pool ??= open().catch((error: unknown) => {
      pool = undefined;
      throw error;
    });
    const client = await take(pool);
    inUse++;
    let sound = false;
    try {
      const result = await work(client);
      sound = true;
      return result;
    } catch (error) {
      // A server's refusal leaves the connection as it was. What is no refusal may have left it in the middle of something.
      sound = typeof codeOf(error) === 'string' && codeOf(error) !== READ_ONLY;
      throw error;
    } finally {
      inUse--;
      ended++;
      client.release(!sound);
    }
  }

  /**
   * A client of the pool. When none becomes free in time, and all are still at the statements that they were at before, then
   * these hang. The pool's refusal comes before a call is given up for late, so the call cannot tell.
   */
  async function take(from: Promise<PgPool>): Promise<PooledClient> {
    const before = ended;
    try {
      return await (await from).connect();
    } catch (error) {
      if (pool === from && inUse === POOLED && ended === before) drop();
      throw error;
    }
  }

  function drop(): void {
    const last = pool;
    pool = undefined;
    for (const socket of [...sockets]) socket.destroy();
    void last?.then((it) => it.end()).catch(() => {});
  }

  const run = (text: string, values: readonly unknown[]): Promise<readonly Row[]> =>
    withClient(async (client) => {
      if (!explicit) return (await client.query(text, [...values])).rows;
      await client.query('BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE');
      try {
        const { rows } = await client.query(text, [...values]);
        await client.query('COMMIT');
        return rows;
      } catch (error) {
        await client.query('ROLLBACK');
        throw error;
      }
    });

  async function make(): Promise<void> {
    if (!migrate) throw new Error(`the schema "${schema}" of the Postgres log is not complete; ${BY_HAND}`);
    try {
      await withClient(async (client) => {
        await client.query('BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE');
        try {
          // One node makes it; those that waited find it made.
          await client.query(migrationLock(schema));
          const { rows } = await client.query(migrationDone(schema));
          if (rows[0]?.done !== true) await client.query(migrationSql(schema));
          await client.query('COMMIT');
        } catch (error) {
          await client.query('ROLLBACK');
          throw error;
        }
      });
    } catch (error) {
      if (codeOf(error) !== NO_RIGHT) throw error;
      throw new Error(`this role may not make the schema "${schema}" of the Postgres log; ${BY_HAND}`, {
        cause: error,
      });
    }
  }

  return {
    async query(text, values) {
      // A mended cause may uncover the other one; a third refusal is one.
      for (let mended = 0; ; mended++) {
        const wasExplicit = explicit;
        try {
          return await run(text, values);
        } catch (error) {
          if (mended === 2) throw error;
          if (codeOf(error) === WRONG_MODE && !wasExplicit) explicit = true;
          else if (MISSING.includes(codeOf(error))) {
            migrating ??= make().finally(() => {
              migrating = undefined;
            });
            await migrating;
          } else if (codeOf(error) === NO_RIGHT) {
            throw new Error(`this role may not use the schema "${schema}" of the Postgres log; ${BY_HAND}`, {
              cause: error,
            });
          } else throw error;
        }
      }
    },
    async single() {
      const { Client } = await load();
      return new Client(settings);
    },
    async own(work, what) {
      let settled = false;
      const made = work.finally(() => {
        settled = true;
      });
      try {
        return await inTime(made, CALL_PATIENCE, what);
      } catch (error) {
        if (!settled) drop();
        throw error;
      }
    },
    drop,
    async close() {
      closed = true;
      // Whatever does not end in time is destroyed: it would keep the process alive.
      setTimeout(() => {
        for (const socket of [...sockets]) socket.destroy();
      }, END_MS).unref();
      try {
        await (await pool)?.end();
      } catch {
        // it was not even open
      }
    },
  };
}

const BY_HAND = 'run what postgresMigration() of notify-listen/log/postgres returns, and grant the role its use';
