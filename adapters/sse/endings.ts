/** When the cover of a connection ends because a grant does: by interval, so that a look costs only what is due. */
import type { Channel } from '../channel.js';
import type { Connection } from './connection.js';

/**
 * How often the ends of grants are looked at, in milliseconds. A cover ends at the last look before its grant does: never
 * later than the grant, and less than two of these earlier.
 */
export const EXPIRY_INTERVAL = 250;
export interface Endings {
  /** Looks for the earliest end of this connection from now on. */
  watch(connection: Connection): void;
  forget(connection: Connection): void;
  /**
   * The connections of which something ends before the next look, each with the channels that do; `stream`: it must be
   * opened anew; `farewell`: it is to be told so.
   */
  due(now: number): {
    readonly connection: Connection;
    readonly channels: Channel[];
    readonly stream: boolean;
    readonly farewell: boolean;
  }[];
}

export function createEndings(): Endings {
  const slots = new Map<number, Set<Connection>>();

  function forget(connection: Connection): void {
    const slot = connection.endsIn;
    if (slot === undefined) return;
    const waiting = slots.get(slot);
    waiting?.delete(connection);
    if (waiting?.size === 0) slots.delete(slot);
    connection.endsIn = undefined;
  }

  return {
    watch(connection) {
      let earliest = Math.min(connection.until, farewellOf(connection));
      for (const ends of connection.covered.values()) earliest = Math.min(earliest, ends);
      if (connection.closed || earliest === Number.POSITIVE_INFINITY) return;
      const slot = slotOf(earliest);
      if (connection.endsIn === slot) return;
      forget(connection);
      connection.endsIn = slot;
      const waiting = slots.get(slot);
      if (waiting) waiting.add(connection);
      else slots.set(slot, new Set([connection]));
    },
    forget,
    due(now) {
      // What ends before the next look ends now.
      const last = slotOf(now) + 1;
      return [...slots].flatMap(([slot, waiting]) => {
        if (slot > last) return [];
        slots.delete(slot);
        return [...waiting].map((connection) => {
          connection.endsIn = undefined;
          return {
            connection,
            channels: [...connection.covered].filter(([, ends]) => slotOf(ends) <= last).map(([channel]) => channel),
            stream: slotOf(connection.until) <= last,
            farewell: slotOf(farewellOf(connection)) <= last,
          };
        });
      });
    },
  };
}

/** When goodbye is still to be said. */
function farewellOf({ farewell, leaving }: Connection): number {
  return farewell && !leaving ? farewell.at : Number.POSITIVE_INFINITY;
}

/** The interval in which a moment lies. */
function slotOf(time: number): number {
  return Math.floor(time / EXPIRY_INTERVAL);
}
