/** The retained entries of an engine that runs in this process: which there are, from where on, and under which keys. */
import type { LogEntry, Logged, LogWindow } from '../../adapters/contract.js';
import { makePosition, type Position } from '../../adapters/position.js';

/** Seven minutes: longer than any grant and than the wait of a client that looks for another node. */
export const RETENTION: number = 7 * 60_000;

/**
 * An engine keeps no more entries than this, about 10 MB. Only a tail that starts later reads them, and it may be told
 * that the floor is higher; the compacted history of a node is what clients are served from.
 */
export const MAX_ENTRIES = 20_000;

/** Dropped entries are cut off the array once they are this many and half of it, so that a drop costs O(1) on average. */
const SLACK = 1_024;

export interface Stored {
  readonly logged: Logged;
  /** When it was accepted, on the window's clock. */
  readonly at: number;
  /** Until when copies with its key count as it, on the window's clock. */
  readonly until: number;
}

export interface WindowOptions {
  readonly epoch: string;
  /** How long an entry is kept, in milliseconds. */
  readonly retention: number;
  /** How many entries are kept. */
  readonly cap: number;
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
  /** How many offsets to leave out before the next entry. */
  readonly gap?: () => number;
  /** What an earlier run left. Default: nothing, from 0 on. */
  readonly from?: WindowContent;
}

export interface WindowContent {
  readonly floor: number;
  readonly top: number;
  /** No offset up to this one is given again. */
  readonly offset: number;
  readonly stored: readonly Stored[];
}

/** Entries that have their places and are not accepted yet. A draft that is given up leaves a gap. */
export interface Draft {
  readonly added: readonly Logged[];
  /** Gives each entry its place: for a copy that of the first one. Throws, and adds nothing, for what is no entry. */
  add(entries: readonly LogEntry[]): readonly Position[];
}

export interface Window {
  /** What is retained at this moment. */
  bounds(): LogWindow;
  draft(): Draft;
  /** Accepts what a draft added. Drafts are accepted in the order in which they were made. */
  accept(draft: Draft): void;
  entries(): readonly Logged[];
  content(): WindowContent;
}

export function createWindow(options: WindowOptions): Window {
  const { epoch, retention, cap, now, gap = () => 0, from } = options;
  const place = (offset: number): Position => makePosition(epoch, offset);

  let stored: Stored[] = [...(from?.stored ?? [])];
  let first = 0; // index of the oldest entry that is not dropped
  let floor = place(from?.floor ?? 0);
  let top = place(from?.top ?? 0);
  let offset = from?.offset ?? 0;
  const byKey = new Map<string, Stored>();
  for (const one of stored) note(one);

  function keyOf(entry: LogEntry): string | undefined {
    return entry.kind === 'notification' ? entry.dedupeKey : undefined;
  }

  function note(one: Stored): void {
    const key = keyOf(one.logged.entry);
    if (key !== undefined) byKey.set(key, one);
  }

  function drop(at: number): void {
    const oldest = at - retention;
    let one = stored[first];
    while (one && (one.at <= oldest || stored.length - first > cap)) {
      floor = one.logged.position;
      const key = keyOf(one.logged.entry);
      if (key !== undefined && byKey.get(key) === one) byKey.delete(key);
      one = stored[++first];
    }
    if (first >= SLACK && first * 2 >= stored.length) {
      stored = stored.slice(first);
      first = 0;
    }
  }

  const kept = (): readonly Stored[] => {
    drop(now());
    return stored.slice(first);
  };

  return {
    bounds() {
      drop(now());
      return { floor, top };
    },
    draft() {
      const at = now();
      drop(at);
      const added: Logged[] = [];
      let own: Map<string, Position> | undefined;
      return {
        added,
        add(entries) {
          // Reading every entry before anything changes keeps the batch whole, whatever a caller passed.
          const keys = entries.map(keyOf);
          return entries.map((entry, index) => {
            const key = keys[index];
            if (key !== undefined) {
              const older = byKey.get(key);
              const known = own?.get(key) ?? (older && at < older.until ? older.logged.position : undefined);
              if (known) return known;
            }
            offset += 1 + gap();
            const position = place(offset);
            if (key !== undefined) own = (own ?? new Map<string, Position>()).set(key, position);
            added.push({ position, entry });
            return position;
          });
        },
      };
    },
    accept({ added }) {
      // Whole, since a fraction would be an object of its own in each entry.
      const at = Math.ceil(now());
      for (const logged of added) {
        const one = { logged, at, until: at + retention };
        stored.push(one);
        note(one);
        top = logged.position;
      }
      drop(at); // the cap holds after a large batch too
    },
    entries: () => kept().map(({ logged }) => logged),
    content: () => ({ stored: kept(), floor: offsetOf(floor), top: offsetOf(top), offset }),
  };
}

/** The offset of a position that a window made: such a number is safe. */
export function offsetOf(position: Position): number {
  return Number(position.slice(position.indexOf(':') + 1));
}

/** An epoch that no other log has. */
export function newEpoch(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
