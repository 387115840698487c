/**
 * The database for processes that do not have it open: the one that has serves the others over the channel between them.
 * An application's database is a server of its own; PGlite lives in one process.
 */
import type { Call } from './calls.js';
import type { Database, Queryable } from './database.js';

/** What the process with the database answers. */
export interface DatabaseAnswers {
  query(sql: string, params?: unknown[]): Promise<{ rows: unknown[] }>;
  /** Begins a transaction and answers with its number. */
  begin(): Promise<number>;
  queryWithin(transaction: number, sql: string, params?: unknown[]): Promise<{ rows: unknown[] }>;
  end(transaction: number, commit: boolean): Promise<void>;
}

/** Postgres's own code for a transaction whose client stands still. */
const IDLE_IN_TRANSACTION = '25P03';
/** How long a transaction may take: nobody else gets at the database meanwhile. Those of the desk take milliseconds. */
const TRANSACTION_MS = 10_000;
/** How many transactions of one process may wait for each other. */
const MOST_TRANSACTIONS = 1_000;

interface Open {
  readonly id: number;
  readonly tx: Queryable;
  readonly commit: () => void;
  readonly rollBack: (why: Error) => void;
  /** Settles when the database has ended it. */
  readonly over: Promise<void>;
}

/** Serves one other process. Call `release` when that one has left: what it had begun is rolled back. */
export function serveDatabase(
  db: Database,
  { patience = TRANSACTION_MS }: { readonly patience?: number } = {},
): { readonly answers: DatabaseAnswers; release(): void } {
  let open: Open | undefined;
  let begun = 0;
  let released = false;

  function opened(id: number): Open {
    if (open?.id !== id) throw fault(`transaction ${id} is over`, IDLE_IN_TRANSACTION);
    return open;
  }

  function begin(): Promise<number> {
    if (open) throw new Error('a process has one transaction at a time');
    begun += 1;
    const id = begun;
    return new Promise((resolve, reject) => {
      const over = Promise.resolve().then(() => db.transaction(within));
      over.catch(reject);
      async function within(tx: Queryable): Promise<void> {
        if (released) throw new Error('the process has left');
        let timer: NodeJS.Timeout | undefined;
        try {
          await new Promise<void>((commit, rollBack) => {
            open = { id, tx, commit, rollBack, over };
            const late = `transaction ${id} was rolled back: it took more than ${patience} ms`;
            timer = setTimeout(() => rollBack(fault(late, IDLE_IN_TRANSACTION)), patience);
            resolve(id);
          });
        } finally {
          clearTimeout(timer);
          open = undefined;
        }
      }
    });
  }

  return {
    answers: {
      query: (sql, params) => db.query(sql, params),
      begin,
      queryWithin: (id, sql, params) => opened(id).tx.query(sql, params),
      async end(id, commit) {
        const { over, ...ending } = opened(id);
        if (commit) ending.commit();
        else ending.rollBack(new Error('rolled back'));
        await (commit ? over : over.catch(() => {}));
      },
    },
    release() {
      released = true;
      open?.rollBack(new Error('the process has left'));
    },
  };
}

/** The database as the other processes have it. Their transactions wait for each other; the rest is as with the real one. */
export function remoteDatabase(call: Call<DatabaseAnswers>): Database {
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;

  async function run<T>(work: (tx: Queryable) => Promise<T>): Promise<T> {
    const id = await call('begin');
    let result: T;
    try {
      result = await work({ query: async (sql, params) => typed(await call('queryWithin', id, sql, params)) });
    } catch (error) {
      // The process with the database may have ended it already; what went wrong here is the reason to tell.
      await call('end', id, false).catch(() => {});
      throw error;
    }
    await call('end', id, true);
    return result;
  }

  return {
    query: async (sql, params) => typed(await call('query', sql, params)),
    async transaction(work) {
      if (waiting >= MOST_TRANSACTIONS) throw new Error(`${MOST_TRANSACTIONS} transactions wait for the database`);
      waiting += 1;
      const mine = last.then(() => run(work));
      last = mine.catch(() => {});
      return mine.finally(() => {
        waiting -= 1;
      });
    },
  };
}

/** What comes over the channel has no type: the caller says what it asked for, as with any database. */
const typed = <T>({ rows }: { rows: unknown[] }): { rows: T[] } => ({ rows: rows as T[] });

const fault = (message: string, code: string): Error => Object.assign(new Error(message), { code });
