/**
 * How many pages listen over a hosted provider: this node counts the connections that it has authorised until their
 * authorisation ends. A page that has left counts until then: a window that is somewhat too long harms nobody. Of other
 * nodes it is told totals (cluster.ts).
 */
import type { Channel } from '../adapters/channel.js';
import { EVERYBODY } from '../adapters/provider.js';
import { MOST_SPREAD } from '../adapters/spread.js';

/**
 * Pairs of connection and channel, about 20 MB: ten thousand pages with twenty objects each. Beyond it new ones are not
 * counted until old ones have ended, so that windows are shorter than they should be.
 */
export const MOST_COUNTED = 200_000;

/**
 * Pairs of one user, of those: 200 pages with fifty channels each. Nobody fills the table alone, by naming connections with
 * a thousand channels each: nobody else would be counted then.
 */
export const MOST_OF_USER: number = MOST_COUNTED / 20;

/** One authorisation, shared by its pairs. */
interface Listening {
  readonly user: Channel;
  /** On the monotonic clock. */
  readonly end: number;
}

export interface Audience {
  /**
   * A connection may hear these channels until `ends`, on the monotonic clock. `user`: the user's own channel, one of them.
   */
  note(user: Channel, connection: string, channels: readonly Channel[], ends: number): void;
  /** How many connections hear any of these channels, at most as many as make a difference for the spread. */
  count(channels: readonly Channel[]): number;
  /** How many connections there are, at most as many as make a difference. */
  total(): number;
  /** Forgets what has ended. */
  sweep(): void;
}

/**
 * @param now a monotonic clock in milliseconds
 * @param mostPerUser connections of one user that count: nobody makes everybody wait by naming ever new ones
 */
export function createAudience(now: () => number, mostPerUser: number): Audience {
  /** By channel, connections with their authorisation; renewed ones are put at the end. */
  const listeners = new Map<Channel, Map<string, Listening>>();
  /** By user, its pairs. */
  const pairs = new Map<Channel, number>();
  let counted = 0;

  function book(user: Channel, more: 1 | -1): void {
    counted += more;
    const rest = (pairs.get(user) ?? 0) + more;
    if (rest > 0) pairs.set(user, rest);
    else pairs.delete(user);
  }

  function remove(held: Map<string, Listening>, connection: string): void {
    const one = held.get(connection);
    if (!one) return;
    held.delete(connection);
    book(one.user, -1);
  }

  function expire(channel: Channel, held: Map<string, Listening>): void {
    for (const [connection, { end }] of held) {
      // Ends need not be in order, but those that are not are few, and go with the next one.
      if (end > now()) break;
      remove(held, connection);
    }
    if (held.size === 0) listeners.delete(channel);
  }

  function countOf(channel: Channel): number {
    const held = listeners.get(channel);
    if (!held) return 0;
    expire(channel, held);
    return held.size;
  }

  return {
    note(user, connection, channels, ends) {
      if (countOf(user) >= mostPerUser && !listeners.get(user)?.has(connection)) return;
      const one: Listening = { user, end: ends };
      for (const channel of channels) {
        const held = listeners.get(channel);
        if (held) remove(held, connection);
        const size = held === undefined ? 0 : countOf(channel);
        // From so many on, the window is the longest one.
        if (size >= MOST_SPREAD || counted >= MOST_COUNTED || (pairs.get(user) ?? 0) >= MOST_OF_USER) continue;
        if (size === 0) listeners.set(channel, new Map([[connection, one]]));
        else held?.set(connection, one);
        book(user, 1);
      }
    },
    count: (channels) =>
      Math.min(
        MOST_SPREAD,
        channels.reduce((sum, channel) => sum + countOf(channel), 0),
      ),
    total: () => countOf(EVERYBODY),
    sweep() {
      for (const [channel, held] of listeners) expire(channel, held);
    },
  };
}
