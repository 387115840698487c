/**
 * The log in a Postgres database that several processes share, with notifications that commit with the application's own
 * transaction. The official client `pg` is loaded with the first use. See docs/postgres.md.
 */
import type { Log } from '../../adapters/contract.js';
import { consoleLogger, unbreakable } from '../reporting.js';
import type { LogLine } from '../types.js';
import { CAP, isCap, isSchema, readPostgresAddress, SCHEMA } from './postgres/address.js';
import { createConnections, type PgModule } from './postgres/connections.js';
import { createPostgresDriver } from './postgres/driver.js';
import { createSharedLog } from './shared/log.js';
import { RETENTION } from './window.js';

export { postgresMigration } from './postgres/by-hand.js';

export interface PostgresLogOptions {
  /**
   * `postgres://user:password@host:port/database`, with what `pg` takes as parameters (`sslmode`, …) and the log's own:
   * `schema`, `cap`, `migrate`, `listen`. The options below win over them.
   */
  readonly url: string;
  /** Environments with different ones do not hear each other. Default `default`, as that of `NOTIFY_LISTEN_NAMESPACE`. */
  readonly namespace?: string;
  /** How long an entry is kept, in milliseconds. Default 7 min. */
  readonly retention?: number;
  /** How many entries are kept. Default 100,000. */
  readonly cap?: number;
  /** The schema that holds the log. Default `notify_listen`. */
  readonly schema?: string;
  /** Makes what is missing in the database. Default true; `false` where {@link postgresMigration} was run by hand. */
  readonly migrate?: boolean;
  /** `false`: there is a pooler between that does not carry LISTEN; the log is polled. Default: it is tried out. */
  readonly listen?: boolean;
  /** Gets what the operator should know. Default: `console`. */
  readonly logger?: (line: LogLine) => void;
}

/**
 * Makes a log in Postgres 13 or newer. Nothing is loaded and nobody is asked before it is used. After `close`, everything
 * but `close` rejects.
 *
 * @throws Error when the address or an option is wrong. It never holds the password.
 */
export function createPostgresLog(options: PostgresLogOptions): Log {
  const { url, ...parameters } = readPostgresAddress(options.url);
  const { schema = SCHEMA, cap = CAP, migrate = true, listen = true } = { ...parameters, ...defined(options) };
  const { namespace = 'default', retention = RETENTION, logger = consoleLogger } = options;
  if (!isSchema(schema)) throw new Error('schema is a name of at most 63 bytes');
  if (!isCap(cap)) throw new Error('cap is a whole number of entries, at least 1');
  if (namespace.includes('\0')) throw new Error('a namespace has no NUL in it');
  const connections = createConnections({ load, url, schema, migrate });
  return createSharedLog(
    createPostgresDriver({ connections, schema, namespace, retention, cap, listen, logger: unbreakable(logger) }),
  );
}

/** Without the properties that are there and `undefined`. */
function defined({ schema, cap, migrate, listen }: PostgresLogOptions): Partial<PostgresLogOptions> {
  return {
    ...(schema !== undefined && { schema }),
    ...(cap !== undefined && { cap }),
    ...(migrate !== undefined && { migrate }),
    ...(listen !== undefined && { listen }),
  };
}

async function load(): Promise<PgModule> {
  try {
    const { default: pg } = await import('pg');
    return pg;
  } catch (cause) {
    throw new Error('the Postgres log needs the package "pg": npm install pg', { cause });
  }
}
