/** Which channels an entry of the log is on, and under which key a newer one replaces it. Pure, and the only place. */
import { audienceChannel, type Channel, channelOf, everyChannelOf } from './channel.js';
import type { NotificationEntry, ObjectRef } from './contract.js';
import { mergeNotifications } from './notification.js';

export interface Route {
  /** Those who hold one of these get the full rendering. */
  readonly full: readonly Channel[];
  /** Those who hold only this one get the reduced rendering; none for an addressed entry. */
  readonly reduced: Channel | undefined;
  /** Within one channel, a newer entry with the same key replaces this one. */
  readonly key: string;
}

/**
 * Names that a channel holds as they are. To find that out takes a third of the time that escaping takes. Here and not in
 * `channelOf`, since pages download that one and name few channels.
 */
const PLAIN = /^(?!__proto__$)[\w.-]+$/;

/** The answer before: the history asks, and right behind it those who carry the entry to its listeners. */
let routed: NotificationEntry | undefined;
let route: Route;

/** The route of a notification: `Order/42` and `Order`; `Order/*` and `Order`; or its users' and sessions' own channels. */
export function routeOf(entry: NotificationEntry): Route {
  if (entry !== routed) {
    route = newRoute(entry);
    routed = entry;
  }
  return route;
}

function newRoute({ notification, to }: NotificationEntry): Route {
  if (to) {
    const users = (to.users ?? []).map((hash) => audienceChannel('user', hash));
    const sessions = (to.sessions ?? []).map((hash) => audienceChannel('session', hash));
    // A channel holds no space, so the two parts cannot run into each other.
    return {
      full: [...users, ...sessions],
      reduced: undefined,
      key: `${channelOf(notification)} ${notification.action}`,
    };
  }
  const { entity, id, action: key } = notification;
  if (id !== undefined && PLAIN.test(entity) && PLAIN.test(id))
    return { full: [`${entity}/${id}`], reduced: entity, key };
  const own = id === undefined ? everyChannelOf(entity) : channelOf(notification);
  return { full: [own], reduced: own.slice(0, own.indexOf('/')), key };
}

/** The channels whose listeners a `resync` of these objects concerns; an entity as a whole includes its objects. */
export function channelsOf(object: ObjectRef): readonly Channel[] {
  const list = channelOf({ entity: object.entity });
  return object.id === undefined ? [list, everyChannelOf(object.entity)] : [channelOf(object), list];
}

/**
 * The answer before, and what the channels begin with that have it: those of one stream come one behind the other, and an
 * opening asks three times for each. No channel begins with a space.
 */
let prefix = ' ';
let every: Channel;

/** `Order/*` of `Order/42`; `undefined` for a channel that is not one object's. */
export function everyOf(channel: Channel): Channel | undefined {
  if (channel.startsWith(prefix)) return every;
  const slash = channel.startsWith('@') ? -1 : channel.indexOf('/');
  if (slash < 0) return undefined;
  prefix = channel.slice(0, slash + 1);
  every = `${prefix}*`;
  return every;
}

/** Merges two entries of one key: see `mergeNotifications`; nobody waits (`spread: false`) only if that held for both. */
export function mergeEntries(older: NotificationEntry, newer: NotificationEntry): NotificationEntry {
  const notification = mergeNotifications(older.notification, newer.notification);
  if (notification === newer.notification && (newer.spread === undefined || older.spread === false)) return newer;
  const { spread, ...rest } = newer;
  const merged = { ...rest, notification };
  return spread === false && older.spread === false ? { ...merged, spread } : merged;
}
