/** What was handed on above the bases, where no order tells: over a provider, and in tabs that share such a connection. */
import type { Link } from '../../adapters/contract.js';
import { isAfter, isNews, type Position } from '../../adapters/position.js';

/** Notifications that are remembered above the bases, for the whole page: some 0.3 kB each, 4 kB at most. */
const MAX_REMEMBERED = 1_000;

/** Memory of single notifications. */
export interface Seen {
  readonly sees: NonNullable<Link['sees']>;
  /** Everything up to the position was received: what lies there is old by its place. */
  settle(position: Position): void;
}

/** @param doubt something was forgotten, or is of another log: only a read can tell what is missing */
export function createSeen(doubt: () => void): Seen {
  /**
   * To whom each was handed. One by one, since the provider keeps no order across channels; by its text, since the log may
   * hold a merge at the same place, which stands for more.
   */
  const remembered = new Map<string, WeakSet<object>>();
  return {
    sees(cursor, form) {
      const { position } = form;
      // Each copy has a wait of its own.
      const text = JSON.stringify({ ...form, spread: undefined });
      const seers = remembered.get(text) ?? new WeakSet();
      if (!isNews(position, cursor.position) || seers.has(cursor)) return false;
      // Of another log only a read can tell what came before it; too many are forgotten, which repeats but loses nothing.
      if ((cursor.position && !isAfter(position, cursor.position)) || remembered.size >= MAX_REMEMBERED) {
        remembered.clear();
        doubt();
      }
      remembered.set(text, seers.add(cursor));
      return true;
    },
    settle(position) {
      for (const text of remembered.keys()) if (!isAfter(JSON.parse(text).position, position)) remembered.delete(text);
    },
  };
}
