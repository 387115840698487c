/** Chance from a seed: the same seed strikes the same faults in the same order. */

export interface Chance {
  /** From 0 up to, not including, 1. */
  next(): number;
  /** A whole number of a range, both ends included. */
  between(low: number, high: number): number;
  pick<T>(among: readonly T[]): T;
  shuffled<T>(items: readonly T[]): T[];
  /** Another one, which does not move this one on: what runs beside must not disturb the order. */
  fork(): Chance;
}

/** Mulberry32: small, even enough for choosing faults. */
export function chance(seed: number): Chance {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const between = (low: number, high: number): number => low + Math.floor(next() * (high - low + 1));
  return {
    next,
    between,
    pick: (among) => among[between(0, among.length - 1)] as (typeof among)[number],
    shuffled(items) {
      const rest = [...items];
      return items.map(() => rest.splice(between(0, rest.length - 1), 1)[0] as (typeof items)[number]);
    },
    fork: () => chance(between(0, 2 ** 31)),
  };
}
