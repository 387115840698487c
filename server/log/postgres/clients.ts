/**
 * The application's own transaction, told by its shape: none of the libraries is imported. Each is given the statement and
 * its parameters as it wants them.
 */

/** Runs one statement within the application's transaction. `$1`, `$2`, … stand for the values. */
export type Execute = (sql: string, values: readonly string[]) => Promise<unknown>;

const ACCEPTED =
  'a client of pg on which BEGIN was called, or a transaction of Knex, Kysely, Drizzle or Prisma, as their callbacks get it';

type Method = (...args: unknown[]) => unknown;

/**
 * How to run a statement in it.
 *
 * @throws TypeError for what is no transaction: also for a pool or a database object, on which a statement would run in a
 * transaction of its own.
 */
export function executorOf(transaction: unknown): Execute {
  if ((typeof transaction !== 'object' && typeof transaction !== 'function') || transaction === null)
    throw new TypeError(`the transaction is ${transaction === null ? 'null' : typeof transaction}; give ${ACCEPTED}`);
  const it = transaction as Record<string, unknown>;
  const has = (name: string): boolean => typeof it[name] === 'function';
  const call = async (name: string, ...args: unknown[]): Promise<unknown> => (it[name] as Method).apply(it, args);
  const outside = (what: string): TypeError => new TypeError(`the transaction is ${what}; give ${ACCEPTED}`);

  // Prisma's own name; its client has $transaction, what a transaction's callback gets has not.
  if (has('$executeRawUnsafe')) {
    if (has('$transaction')) throw outside('the Prisma client itself, not what $transaction gives its callback');
    return (sql, values) => call('$executeRawUnsafe', sql, ...values);
  }
  // Kysely and Knex tell by `isTransaction`.
  if (has('executeQuery') && has('selectFrom')) {
    if (it.isTransaction !== true)
      throw outside('a Kysely instance, not what transaction().execute() gives its callback');
    return (sql, values) => call('executeQuery', compiled(sql, values));
  }
  if (has('raw') && has('savepoint')) return (sql, values) => call('raw', sql.replace(/\$\d+/g, '?'), [...values]);
  if (has('raw')) throw outside('a Knex instance, not what transaction() gives its callback');
  // Drizzle's transactions can be rolled back, its databases cannot.
  if (has('execute') && has('select')) {
    if (!has('rollback')) throw outside('a Drizzle database, not what transaction() gives its callback');
    return (sql, values) => call('execute', { getSQL: () => ({ toQuery: () => ({ sql, params: [...values] }) }) });
  }
  if (has('query')) {
    if (has('connect') && 'totalCount' in it) throw outside('a pool, whose statements run on any of its connections');
    // `I`: the server said that no transaction is open. Clients of before pg 8.17 do not tell.
    if (has('getTransactionStatus') && (it.getTransactionStatus as Method).call(it) === 'I')
      throw outside('a client on which no transaction is open');
    return (sql, values) => call('query', sql, [...values]);
  }
  throw outside('of an unknown kind');
}

/** What `CompiledQuery.raw` of Kysely makes. */
function compiled(sql: string, parameters: readonly string[]): unknown {
  const query = Object.freeze({ kind: 'RawNode', sqlFragments: Object.freeze([sql]), parameters: Object.freeze([]) });
  return Object.freeze({ sql, query, parameters, queryId: Object.freeze({ queryId: `notify-listen` }) });
}
