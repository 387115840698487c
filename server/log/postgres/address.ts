/** The address of the log: a URL as the client takes it, and on it the log's own parameters. */

/** The schema that holds the log. */
export const SCHEMA = 'notify_listen';
/** An engine keeps no more entries than this; more than a node's history keeps would serve nobody. */
export const CAP = 100_000;

/** What the URL says beside where the database is; nothing: the defaults. */
export interface PostgresAddress {
  /** The URL without the log's own parameters. */
  readonly url: string;
  readonly schema?: string;
  readonly cap?: number;
  readonly migrate?: boolean;
  readonly listen?: boolean;
}

/** Whether it is an address of this log. */
export function isPostgresAddress(address: string): boolean {
  return /^postgres(ql)?:/i.test(address);
}

/**
 * Reads an address.
 *
 * @throws Error with a sentence for each mistake. It never repeats the address: there may be a password in it.
 */
export function readPostgresAddress(address: string): PostgresAddress {
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    throw new Error('the address of the Postgres log is no URL; special characters of a password are written %xx');
  }
  if (!isPostgresAddress(address)) throw new Error('the address of the Postgres log begins with postgres://');
  const mistakes: string[] = [];
  const take = (name: string): string | undefined => {
    const value = url.searchParams.get(name) ?? undefined;
    url.searchParams.delete(name);
    return value;
  };
  const flag = (name: string): boolean | undefined => {
    const value = take(name);
    if (value !== undefined && value !== 'true' && value !== 'false') mistakes.push(`${name} is true or false`);
    return value === undefined ? undefined : value === 'true';
  };
  const schema = take('schema');
  if (schema !== undefined && !isSchema(schema)) mistakes.push('schema is a name of at most 63 bytes');
  const capText = take('cap');
  const cap = capText === undefined ? undefined : Number(capText);
  if (cap !== undefined && !isCap(cap)) mistakes.push('cap is a whole number of entries, at least 1');
  const migrate = flag('migrate');
  const listen = flag('listen');
  if (mistakes.length > 0) throw new Error(`the address of the Postgres log: ${mistakes.join('; ')}`);
  return {
    url: url.href,
    ...(schema !== undefined && { schema }),
    ...(cap !== undefined && { cap }),
    ...(migrate !== undefined && { migrate }),
    ...(listen !== undefined && { listen }),
  };
}

/** A name that Postgres takes as it is. */
export function isSchema(name: string): boolean {
  return name !== '' && !name.includes('\0') && Buffer.byteLength(name) <= 63;
}

export function isCap(cap: number): boolean {
  return Number.isSafeInteger(cap) && cap >= 1;
}
