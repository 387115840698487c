/** From what an application passes to `notify` and `revoke` to entries of the log: checked, with ids hashed. */
import { channelOf } from '../adapters/channel.js';
import type {
  Audience,
  LogEntry,
  Notification,
  NotificationEntry,
  ObjectRef,
  RevokeEntry,
} from '../adapters/contract.js';
import { checkAction, checkChangedDate, checkObject, checkWireSize } from '../adapters/notification.js';
import { mergeEntries, routeOf } from '../adapters/route.js';
import type { Secrets } from './secrets.js';
import type { ChangedObject, NotifyOptions, Recipients, User } from './types.js';

/** Recipients of one notification: with their hashes 20 KB for each secret in use, which every engine takes. */
const MOST_RECIPIENTS = 1_000;
/** Characters of a `dedupeKey`. */
const LONGEST_KEY = 512;

/** What of the options of `notify` becomes part of an entry. */
export interface EntryOptions extends Omit<NotifyOptions, 'to' | 'transaction'> {
  readonly to?: Recipients | undefined;
}

/** @throws TypeError or RangeError that names the field, before anything is sent. */
export function notificationEntry(
  action: string,
  object: ChangedObject,
  options: EntryOptions,
  secrets: Secrets,
  cause: string | undefined,
): NotificationEntry {
  const { notifier, to, except, spread, detail, dedupeKey } = options;
  if (notifier !== undefined && typeof notifier !== 'string')
    throw new TypeError(`notifier: is ${typeof notifier}, but must be text`);
  if (spread !== undefined && typeof spread !== 'boolean') throw new TypeError('spread: must be true or false');
  if (dedupeKey !== undefined && (typeof dedupeKey !== 'string' || dedupeKey === ''))
    throw new TypeError('dedupeKey: must be text');
  if (dedupeKey !== undefined && dedupeKey.length > LONGEST_KEY)
    throw new RangeError(`dedupeKey: has ${dedupeKey.length} characters, but at most ${LONGEST_KEY} are taken`);
  const recipients = (to?.users?.length ?? 0) + (to?.sessions?.length ?? 0);
  if (recipients > MOST_RECIPIENTS)
    throw new RangeError(
      `to: names ${recipients} recipients, but at most ${MOST_RECIPIENTS} in one call; notify in parts`,
    );
  const named = checkObject(object);
  const excluded = except && hashAll(except, 'except', secrets);
  const hidden = excluded && [...(excluded.users ?? []), ...(excluded.sessions ?? [])];
  // Field by field: with spreads a call took five times as long, and whatever read the hint later did so slowly, too.
  const changedDate = dateOf(object);
  const notification: Draft<Notification> =
    named.id === undefined
      ? { entity: named.entity, action: checkAction(action), changedDate }
      : { entity: named.entity, id: named.id, action: checkAction(action), changedDate };
  if (object.changedDate === undefined) notification.unordered = true;
  if (notifier !== undefined) notification.notifier = notifier;
  if (cause !== undefined) notification.cause = cause;
  if (hidden?.length) notification.except = hidden;
  if (detail !== undefined) notification.detail = jsonOf(detail);
  checkWireSize(notification);
  const entry: Draft<NotificationEntry> = { kind: 'notification', notification };
  if (to) entry.to = hashAll(to, 'to', secrets);
  if (spread === false) entry.spread = false;
  // One key may stand for a call with several objects: each of them is a notification of its own.
  if (dedupeKey !== undefined) entry.dedupeKey = `${dedupeKey} ${channelOf(named)} ${action}`;
  return entry;
}

type Draft<T> = { -readonly [Key in keyof T]: T[Key] };

function dateOf({ changedDate }: ChangedObject): string | number {
  return changedDate === undefined ? new Date().toISOString() : checkChangedDate(changedDate);
}

/** @throws TypeError that names the field. */
export function revokeEntry(user: User, object: ObjectRef | undefined, secrets: Secrets): RevokeEntry {
  return {
    kind: 'revoke',
    users: secrets.hashes('user', userId(user, 'user')),
    ...(object !== undefined && { object: checkObject(object) }),
  };
}

/** The id of a user, as text. @throws TypeError that names the field. */
export function userId(user: unknown, field: string): string {
  const id = typeof user === 'object' && user !== null ? (user as { id?: unknown }).id : user;
  if ((typeof id !== 'string' && typeof id !== 'number') || id === '')
    throw new TypeError(`${field}: must be a user's id, or an object with an id`);
  return String(id);
}

/** Every hash of each id, so that nodes in the middle of a change of secrets understand each other. */
function hashAll(recipients: Recipients, field: string, secrets: Secrets): Audience {
  // Anything else would look like an audience of nobody, and the notification would be lost without a word.
  if (typeof recipients !== 'object' || recipients === null || Array.isArray(recipients))
    throw new TypeError(`${field}: must be { users, sessions }`);
  const { users, sessions } = recipients;
  for (const [name, list] of [
    ['users', users],
    ['sessions', sessions],
  ] as const) {
    if (list !== undefined && !Array.isArray(list)) throw new TypeError(`${field}.${name}: must be an array of ids`);
  }
  return {
    users: (users ?? []).flatMap((id, index) => secrets.hashes('user', userId(id, `${field}.users[${index}]`))),
    sessions: (sessions ?? []).flatMap((id, index) =>
      secrets.hashes('session', userId(id, `${field}.sessions[${index}]`)),
    ),
  };
}

function jsonOf(detail: unknown): unknown {
  let text: string | undefined;
  try {
    text = JSON.stringify(detail);
  } catch (error) {
    throw new TypeError('detail: cannot be written as JSON', { cause: error });
  }
  if (text === undefined) throw new TypeError('detail: cannot be written as JSON');
  return JSON.parse(text);
}

/** Equal notifications that wait together become one; the order of the last of each is kept. */
export function mergeHeld(entries: readonly LogEntry[]): LogEntry[] {
  const merged = new Map<string | symbol, LogEntry>();
  for (const entry of entries) {
    if (entry.kind !== 'notification' || entry.dedupeKey !== undefined) {
      merged.set(Symbol(), entry);
      continue;
    }
    const route = routeOf(entry);
    const key = `${route.full.join()} ${route.key}`;
    const older = merged.get(key);
    merged.delete(key);
    merged.set(key, older?.kind === 'notification' ? mergeEntries(older, entry) : entry);
  }
  return [...merged.values()];
}
