/** Writes into the outbox with the application's own transaction, and makes sure that somebody will read it there. */
import type { Execute } from './clients.js';
import { codeOf, type Row } from './connections.js';
import { within } from './migration.js';

/** SQLSTATE: text that is no JSON; a right that is missing; a table, a schema, a function that is not there. */
const NO_JSON = '22P02';
const NO_RIGHT = '42501';
const MISSING: readonly unknown[] = ['42P01', '3F000', '42883'];

const ELSEWHERE =
  'transaction: it is not in the database of NOTIFY_LISTEN_LOG, where the log would read it; give a transaction of that one, or wrap it: notifier.transaction(() => …)';

/** Which database this is, as `oid` and, where it may be asked, `system`. */
export function hereSql(schema: string): string {
  return `SELECT (SELECT d.oid::text FROM pg_database d WHERE d.datname = current_database()) AS oid,
    coalesce((SELECT i.system_id FROM ${within(schema, 'identity_1')}() i), '') AS system`;
}

/**
 * One statement. All parameters are text, for clients that take the types that they are told, and each stands once, in
 * order, for those that know no numbers.
 *
 * @param home what {@link hereSql} gives in the log's own database
 * @throws Error when the transaction is in another database, or its role may not write; as the client does for the rest
 */
export async function writeOutbox(
  execute: Execute,
  schema: string,
  home: Row,
  row: { readonly namespace: string; readonly token: string; readonly entries: string },
): Promise<void> {
  const sql = `INSERT INTO ${within(schema, 'outbox')} (namespace, token, entries)
    SELECT $1::text, $2::text, (CASE WHEN here.oid = $3::text AND (here.system = '' OR $4::text IN ('', here.system))
      THEN $5::text ELSE 'elsewhere' END)::json FROM (${hereSql(schema)}) here`;
  try {
    await execute(sql, [row.namespace, row.token, String(home.oid), String(home.system), row.entries]);
  } catch (error) {
    const code = sqlStateOf(error);
    if (code === NO_JSON || MISSING.includes(code)) throw new Error(ELSEWHERE, { cause: error });
    if (code === NO_RIGHT) {
      const grants = `GRANT USAGE ON SCHEMA "${schema}", INSERT ON "${schema}".outbox`;
      throw new Error(`transaction: its role may not write to the outbox of the log; ${grants} to it`, {
        cause: error,
      });
    }
    throw error;
  }
}

/** Some libraries wrap the client's error. */
function sqlStateOf(error: unknown): unknown {
  const code = codeOf(error);
  return typeof code === 'string' && code.length === 5
    ? code
    : codeOf((error as { cause?: unknown } | undefined)?.cause);
}
