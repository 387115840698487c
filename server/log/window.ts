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
  /** Both at once, for an engine that has nothing to wait for. The draft is accepted. */
  append(entries: readonly LogEntry[]): Appended;
  entries(): readonly Logged[];
  content(): WindowContent;
}

export interface Appended {
  /** One for each entry. */
  readonly positions: readonly Position[];
  /** Those that are no copies. */
  readonly added: readonly Logged[];
}

/** The same, while it is being made. */
interface Adding {
  readonly positions: Position[];
  readonly added: Logged[];
  /** By key, once one has a key. */
  own: Map<string, Position> | undefined;
}

/** Where the first entry with a key is, and until when copies count as it, on the window's clock. */
interface Keyed {
  readonly position: Position;
  readonly until: number;
}

export function createWindow(options: WindowOptions): Window {
  const { epoch, retention, cap, now, gap = () => 0, from } = options;
  const place = (offset: number): Position => makePosition(epoch, offset);

  // In two arrays: an object for both would be one more for the collector to move with each entry.
  let kept: Logged[] = [];
  let times: number[] = [];
  let first = 0; // index of the oldest entry that is not dropped
  let floor = place(from?.floor ?? 0);
  let top = place(from?.top ?? 0);
  let offset = from?.offset ?? 0;
  const byKey = new Map<string, Keyed>();
  for (const { logged, at, until } of from?.stored ?? []) keep(logged, at, until);

  function keyOf(entry: LogEntry): string | undefined {
    return entry.kind === 'notification' ? entry.dedupeKey : undefined;
  }

  function keep(logged: Logged, at: number, until: number): void {
    kept.push(logged);
    times.push(at);
    const key = keyOf(logged.entry);
    if (key !== undefined) byKey.set(key, { position: logged.position, until });
  }

  function drop(at: number): void {
    const oldest = at - retention;
    while (first < kept.length && ((times[first] as number) <= oldest || kept.length - first > cap)) {
      const { position, entry } = kept[first++] as Logged;
      floor = position;
      const key = keyOf(entry);
      if (key !== undefined && byKey.get(key)?.position === position) byKey.delete(key);
    }
    if (first >= SLACK && first * 2 >= kept.length) {
      kept = kept.slice(first);
      times = times.slice(first);
      first = 0;
    }
  }

  /** Gives entries their places, and adds those that are no copies. */
  function put(entries: readonly LogEntry[], draft: Adding, at: number): void {
    // Reading every entry before anything changes keeps the batch whole, whatever a caller passed.
    for (const entry of entries) keyOf(entry);
    for (const entry of entries) {
      const key = keyOf(entry);
      let position = key === undefined ? undefined : placeOf(key, draft, at);
      if (!position) {
        offset += 1 + gap();
        position = place(offset);
        draft.added.push({ position, entry });
        if (key !== undefined) {
          draft.own ??= new Map();
          draft.own.set(key, position);
        }
      }
      draft.positions.push(position);
    }
  }

  /** Where the first entry with this key is, as long as copies count as it. */
  function placeOf(key: string, { own }: Adding, at: number): Position | undefined {
    const older = byKey.get(key);
    return own?.get(key) ?? (older && at < older.until ? older.position : undefined);
  }

  function accept(added: readonly Logged[], at: number): void {
    for (const logged of added) {
      keep(logged, at, at + retention);
      top = logged.position;
    }
    drop(at); // the cap holds after a large batch too
  }

  const adding = (): Adding => ({ positions: [], added: [], own: undefined });

  /** Whole, since a fraction would be an object of its own in each entry. */
  const wholeNow = (): number => Math.ceil(now());

  return {
    bounds() {
      drop(now());
      return { floor, top };
    },
    draft() {
      const at = now();
      drop(at);
      const draft = adding();
      return {
        added: draft.added,
        add(entries) {
          const from = draft.positions.length;
          put(entries, draft, at);
          return draft.positions.slice(from);
        },
      };
    },
    accept: ({ added }) => accept(added, wholeNow()),
    append(entries) {
      const at = wholeNow();
      const draft = adding();
      put(entries, draft, at);
      accept(draft.added, at);
      return draft;
    },
    entries() {
      drop(now());
      return kept.slice(first);
    },
    content() {
      drop(now());
      const stored = kept.slice(first).map((logged, n): Stored => {
        const at = times[first + n] as number;
        return { logged, at, until: at + retention };
      });
      return { stored, floor: offsetOf(floor), top: offsetOf(top), offset };
    },
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
