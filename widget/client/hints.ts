/** Notifications addressed to this user or login session, kept for listeners that attach later. */
import { channelOf } from '../../adapters/channel.js';
import type { World } from '../../adapters/contract.js';
import type { WireNotification } from '../../adapters/protocol.js';
import type { News } from './load-race.js';
import { reduce } from './subscriptions.js';
import { mark, shortest } from './world.js';

/** Addressed objects and actions that are kept; a person's page is told of a handful. The oldest goes first. */
const MAX_HINTS = 500;

export interface Hints {
  add(notification: WireNotification): void;
  /** By action the newest that concerns an object, or the entity as a whole. */
  of(entity: string, id: string | undefined): Map<string, News>;
  clear(): void;
}

/** @param retention how long a hint is kept, in milliseconds */
export function createHints(world: World, retention: () => number): Hints {
  const hints = new Map<string, News>();
  return {
    add(notification) {
      const key = `${channelOf(notification)} ${notification.action}`;
      hints.delete(key);
      hints.set(key, { notification, at: mark(world) });
      const [oldest] = hints.keys();
      if (hints.size > MAX_HINTS && oldest) hints.delete(oldest);
    },
    of(entity, id) {
      const found = new Map<string, News>();
      for (const [key, news] of hints) {
        const { notification } = news;
        if (shortest(world, news.at) > retention()) hints.delete(key);
        else if (
          notification.entity === entity &&
          (id === undefined || notification.id === undefined || notification.id === id)
        ) {
          found.set(notification.action, id === undefined ? { ...news, notification: reduce(notification) } : news);
        }
      }
      return found;
    },
    clear: () => hints.clear(),
  };
}
