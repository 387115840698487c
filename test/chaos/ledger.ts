/** What every page must come to show: the values whose notification was accepted, and how late pages were. */

export interface Ledger {
  readonly ids: readonly string[];
  /** The next value of an item; it counts only once its notification was accepted. */
  next(id: string): number;
  accepted(id: string, value: number): void;
  /** The newest value whose notification was accepted. */
  due(id: string): number;
  /** For how long a page that shows this has been stale, in milliseconds; 0 when it is not. */
  staleness(id: string, shown: number | undefined): number;
  total(): number;
}

export function ledger(ids: readonly string[], now: () => number = Date.now): Ledger {
  const values = new Map(ids.map((id) => [id, 0]));
  /** Accepted values with their times, ascending. */
  const accepted = new Map<string, { readonly value: number; readonly at: number }[]>(ids.map((id) => [id, []]));
  const of = (id: string) => accepted.get(id) ?? [];
  return {
    ids,
    next(id) {
      const value = (values.get(id) ?? 0) + 1;
      values.set(id, value);
      return value;
    },
    accepted(id, value) {
      const entries = of(id);
      // An answer that comes late says nothing that a newer one has not said.
      if (value > (entries.at(-1)?.value ?? 0)) entries.push({ value, at: now() });
    },
    due: (id) => of(id).at(-1)?.value ?? 0,
    staleness(id, shown = 0) {
      const missed = of(id).find(({ value }) => value > shown);
      return missed ? now() - missed.at : 0;
    },
    total: () => [...accepted.values()].reduce((sum, { length }) => sum + length, 0),
  };
}
