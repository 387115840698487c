/** The last event of each cache channel. */
import type { EmulatorWorld } from '../emulator.js';
import { CACHE_LIFE, MAX_CACHED } from './limits.js';

export interface Cached {
  readonly frame: string;
  readonly data: string;
  /** For how long it is kept yet, in whole seconds. */
  readonly ttl: number;
}

export interface EventCache {
  put(channel: string, frame: string, data: string): void;
  get(channel: string): Cached | undefined;
  clear(): void;
}

export function createEventCache(world: EmulatorWorld): EventCache {
  const events = new Map<string, { readonly frame: string; readonly data: string; readonly until: number }>();
  return {
    put(channel, frame, data) {
      // Deleted first, so that the map's order is that of the last publish.
      events.delete(channel);
      events.set(channel, { frame, data, until: world.monotonic() + CACHE_LIFE });
      const [oldest] = events.keys();
      if (events.size > MAX_CACHED && oldest !== undefined) events.delete(oldest);
    },
    get(channel) {
      const event = events.get(channel);
      if (!event) return undefined;
      const left = event.until - world.monotonic();
      if (left > 0) return { frame: event.frame, data: event.data, ttl: Math.ceil(left / 1000) };
      events.delete(channel);
      return undefined;
    },
    clear: () => events.clear(),
  };
}
