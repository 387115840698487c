/** Entries as Redis holds them. */
import type { LogEntry, Logged } from '../../../adapters/contract.js';
import { makePosition } from '../../../adapters/position.js';

const KINDS: readonly unknown[] = ['notification', 'resync', 'revoke'] satisfies readonly LogEntry['kind'][];

/** Two arguments of the script for each entry. A key is sent as JSON, which escapes lone surrogates: in UTF-8 all are one. */
export function encode(entries: readonly LogEntry[]): string[] {
  return entries.flatMap((entry) => {
    const key = entry.kind === 'notification' ? entry.dedupeKey : undefined;
    return [key === undefined ? '' : `=${JSON.stringify(key)}`, JSON.stringify(entry)];
  });
}

/** Of the reply of XRANGE: `[id, ['at', time, 'entry', json]]` for each entry; what was dropped since is left out. */
export function decode(epoch: string, found: unknown, floor: string): Logged[] {
  const lowest = Number(floor);
  return (found as [string, string[]][]).flatMap(([id, fields]) => {
    const offset = id.slice(0, id.indexOf('-'));
    return Number(offset) > lowest ? [{ position: makePosition(epoch, offset), entry: entryOf(fields[3]) }] : [];
  });
}

/** What this version cannot read, of a newer one perhaps, may concern everybody. */
function entryOf(json = ''): LogEntry {
  try {
    const entry = JSON.parse(json) as LogEntry;
    if (KINDS.includes(entry.kind)) return entry;
  } catch {
    // as below
  }
  return { kind: 'resync' };
}
