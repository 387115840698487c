/** Entries and keys as they stand in the tables: ASCII only, whatever encoding the database has. */
import { createHash } from 'node:crypto';
import type { LogEntry, Logged } from '../../../adapters/contract.js';
import { makePosition } from '../../../adapters/position.js';

/** JSON without characters that a database in LATIN1 could not hold. */
export function toAscii(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** An application's key may be of any length and any characters; an index holds its hash, one for each namespace. */
function keyOf(namespace: string, entry: LogEntry): string | null {
  const key = entry.kind === 'notification' ? entry.dedupeKey : undefined;
  if (key === undefined) return null;
  // As JSON: no two pairs give one text, and half a surrogate pair is escaped, which UTF-8 would replace.
  return createHash('sha256')
    .update(JSON.stringify([namespace, key]))
    .digest('base64url');
}

/**
 * A JSON array of `[key or null, entry]`. The entry is JSON within JSON: so the database reads a `\u0000` of it as six
 * characters of a text, which it could not hold as one.
 */
export function encodeBatch(namespace: string, entries: readonly LogEntry[]): string {
  return JSON.stringify(entries.map((entry) => [keyOf(namespace, entry), toAscii(entry)]));
}

/** Entries as `read_1` gives them. */
export function decodeEntries(epoch: string, text: string | null): Logged[] {
  const rows = text === null ? [] : (JSON.parse(text) as [offset: string, entry: LogEntry][]);
  return rows.map(([offset, entry]) => ({ position: makePosition(epoch, offset), entry }));
}

/** What a node shared, in a list; an empty one for what no node has written, which shall not hide the others. */
export function decodeRecord(text: unknown): string[] {
  try {
    const record: unknown = JSON.parse(text as string);
    return typeof record === 'string' ? [record] : [];
  } catch {
    return [];
  }
}

/** The name under which nodes of a namespace are woken: of any length in, of at most 63 bytes out. */
export function channelOf(schema: string, namespace: string): string {
  return `notify_listen_${createHash('sha256').update(`${schema}\n${namespace}`).digest('hex').slice(0, 24)}`;
}
