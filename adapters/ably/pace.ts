/** How fast one channel may be published to. */

/**
 * Ably refuses more than 50 messages a second on one channel (42913). A burst of 10, then one every 25 ms: 50 in any
 * second at most, wherever that second begins.
 */
const BURST = 10;
const INTERVAL = 25;

export interface Pace {
  /** Takes one message's place on each of these channels: 0, or the milliseconds to wait, and then none was taken. */
  take(names: readonly string[]): number;
}

/** @param now milliseconds of a clock that only goes forward. */
export function createPace(now: () => number): Pace {
  /** By channel, when its burst will be whole again. Bounded: what is in the past says nothing, and is dropped. */
  const busyUntil = new Map<string, number>();
  return {
    take(names) {
      const at = now();
      for (const [name, until] of busyUntil) {
        if (until > at) break; // oldest first, since every taking moves its channel to the end
        busyUntil.delete(name);
      }
      const until = names.map((name) => Math.max(busyUntil.get(name) ?? at, at));
      const wait = Math.ceil(Math.max(0, ...until.map((time) => time - at - (BURST - 1) * INTERVAL)));
      if (wait > 0) return wait;
      for (const [index, name] of names.entries()) {
        busyUntil.delete(name);
        busyUntil.set(name, (until[index] ?? at) + INTERVAL);
      }
      return 0;
    },
  };
}
