/**
 * How many pages listen over a hosted provider: this node counts the connections that it has authorised until their
 * authorisation ends. A page that has left counts until then: a window that is somewhat too long harms nobody. What other
 * nodes authorised is not counted.
 */
import type { Channel } from '../adapters/channel.js';
import { EVERYBODY } from '../adapters/provider.js';
import { MOST_SPREAD } from '../adapters/spread.js';

/**
 * Pairs of connection and channel, about 20 MB: ten thousand pages with twenty objects each. Beyond it new ones are not
 * counted until old ones have ended, so that windows are shorter than they should be.
 */
export const MOST_COUNTED = 200_000;

export interface Audience {
  /**
   * A connection may hear these channels until `expires`, on the wall clock. `user`: the user's own channel, one of them.
   */
  note(user: Channel, connection: string, channels: readonly Channel[], expires: number): void;
  /** How many connections hear any of these channels, at most as many as make a difference for the spread. */
  count(channels: readonly Channel[]): number;
  /** How many connections there are, at most as many as make a difference. */
  total(): number;
  /** Forgets what has ended. */
  sweep(): void;
}

/**
 * @param now the wall clock in milliseconds
 * @param mostPerUser connections of one user that count: nobody makes everybody wait by naming ever new ones
 */
export function createAudience(now: () => number, mostPerUser: number): Audience {
  /** By channel, connections with the end of their authorisation; renewed ones are put at the end. */
  const listeners = new Map<Channel, Map<string, number>>();
  let counted = 0;

  function expire(channel: Channel, ends: Map<string, number>): void {
    for (const [connection, end] of ends) {
      // Ends need not be in order, but those that are not are few, and go with the next one.
      if (end > now()) break;
      ends.delete(connection);
      counted -= 1;
    }
    if (ends.size === 0) listeners.delete(channel);
  }

  function countOf(channel: Channel): number {
    const ends = listeners.get(channel);
    if (!ends) return 0;
    expire(channel, ends);
    return ends.size;
  }

  return {
    note(user, connection, channels, expires) {
      if (countOf(user) >= mostPerUser && !listeners.get(user)?.has(connection)) return;
      for (const channel of channels) {
        const ends = listeners.get(channel);
        if (ends?.delete(connection)) counted -= 1;
        const size = ends === undefined ? 0 : countOf(channel);
        // From so many on, the window is the longest one.
        if (size >= MOST_SPREAD || counted >= MOST_COUNTED) continue;
        if (size === 0) listeners.set(channel, new Map([[connection, expires]]));
        else ends?.set(connection, expires);
        counted += 1;
      }
    },
    count: (channels) =>
      Math.min(
        MOST_SPREAD,
        channels.reduce((sum, channel) => sum + countOf(channel), 0),
      ),
    total: () => countOf(EVERYBODY),
    sweep() {
      for (const [channel, ends] of listeners) expire(channel, ends);
    },
  };
}
