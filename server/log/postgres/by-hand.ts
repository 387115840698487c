/** The migration for an operator who runs it by hand. */
import { isSchema, SCHEMA } from './address.js';
import { migrationSql } from './migration.js';

export interface PostgresMigrationOptions {
  /** The schema that holds the log. Default `notify_listen`. */
  readonly schema?: string;
}

/**
 * The SQL that makes what the log needs, in one transaction; running it again changes nothing. All namespaces share it.
 * What the application's role needs beside is in docs/postgres.md.
 */
export function postgresMigration({ schema = SCHEMA }: PostgresMigrationOptions = {}): string {
  if (!isSchema(schema)) throw new Error('schema is a name of at most 63 bytes');
  return `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;\n${migrationSql(schema)}\nCOMMIT;\n`;
}
