import type { ObjectRef } from './contract.js';

/**
 * The address of one object's, entity's, user's or session's notifications, as text. The grammar, in the order in which
 * a reader can tell the cases apart:
 *
 * ```
 * channel  = [ namespace ":" ] local
 * local    = entity "/" id      one object
 *          | entity             the entity as a whole: a list
 *          | entity "/*"        what concerns every object of the entity (internal, never asked for by a page)
 *          | "@user/" hash      one user
 *          | "@session/" hash   one login session
 * ```
 *
 * Entity and id are escaped as `encodeURIComponent` does, and `*` too; `__proto__` is `%5F_proto__`, since channels are
 * keys of plain objects everywhere and that key alone would be lost without a word. So `/ : @ *` of the grammar never come from
 * inside a name: every entity and id has exactly one channel, and no two share one.
 */
export type Channel = string;

/** The longest entity name or id, in UTF-16 units: room for a path or a composite key; a peer cannot make it grow. */
export const MAX_NAME_LENGTH = 300;

const NAMESPACE = /^[\w-]{1,40}$/;

function escapeName(text: string): string {
  return encodeURIComponent(text)
    .replaceAll('*', '%2A')
    .replace(/^__proto__$/, '%5F_proto__');
}

/** The local channel of an object, or of an entity when there is no id. The object must be valid (`checkObject`). */
export function channelOf(object: ObjectRef): Channel {
  return object.id === undefined
    ? escapeName(object.entity)
    : `${escapeName(object.entity)}/${escapeName(String(object.id))}`;
}

/** The internal channel of notifications that concern every object of the entity. */
export function everyChannelOf(entity: string): Channel {
  return `${escapeName(entity)}/*`;
}

/** The channel of one user or one login session, by its keyed hash. */
export function audienceChannel(kind: 'user' | 'session', hash: string): Channel {
  return `@${kind}/${hash}`;
}

/**
 * The object (or entity) of a local channel: the inverse of {@link channelOf}. Internal channels and anything that
 * `channelOf` would not have written are `undefined`; it never throws.
 */
export function objectOf(channel: unknown): { entity: string; id?: string } | undefined {
  if (typeof channel !== 'string') return undefined;
  const [entity = '', id, more] = channel.split('/');
  if (more !== undefined) return undefined;
  try {
    const object =
      id === undefined
        ? { entity: decodeURIComponent(entity) }
        : { entity: decodeURIComponent(entity), id: decodeURIComponent(id) };
    const fits = [object.entity, object.id ?? 'x'].every((name) => name !== '' && name.length <= MAX_NAME_LENGTH);
    return fits && channelOf(object) === channel ? object : undefined;
  } catch {
    return undefined; // a broken percent sequence or a lone surrogate
  }
}

/** Puts a namespace in front of a local channel. Throws a `TypeError` when the namespace is not as the grammar says. */
export function qualify(namespace: string, channel: Channel): Channel {
  if (!NAMESPACE.test(namespace)) {
    throw new TypeError(`namespace: ${JSON.stringify(namespace)} must be 1 to 40 letters, digits, "_" or "-"`);
  }
  return `${namespace}:${channel}`;
}

/** The local channel of a qualified one; `undefined` when it is of another namespace, or of none. */
export function unqualify(namespace: string, channel: Channel): Channel | undefined {
  return channel.startsWith(`${namespace}:`) ? channel.slice(namespace.length + 1) : undefined;
}
