import { MAX_NAME_LENGTH } from './channel.js';
import { MAX_WIRE_BYTES, type Notification, type ObjectRef } from './contract.js';
import { isPosition, type Position } from './position.js';
import { WIRE_KEYS, type WireNotification } from './protocol.js';

/** The longest action name, in UTF-16 units: it is a name in code, not a text. */
export const MAX_ACTION_LENGTH = 100;

/** The action that listens to all; nobody can notify it. */
export const EVERY_ACTION = '*';

/** Whether it can be a name (entity, id, action). */
export function isName(name: unknown, longest: number = MAX_NAME_LENGTH): boolean {
  // Surrogates not by trying to encode them: minifiers take that for a call without effect and leave it out.
  return typeof name === 'string' && name !== '' && name.length <= longest && !/\p{Surrogate}/u.test(name);
}

/** Says what is wrong with a name; `undefined` when nothing is. */
function flawOf(name: unknown, longest: number): string | undefined {
  if (typeof name !== 'string') return `is ${name === null ? 'null' : typeof name}, but must be text`;
  if (name === '') return 'is empty';
  if (name.length > longest) return `has ${name.length} characters, but at most ${longest} are allowed`;
  return isName(name, longest) ? undefined : 'holds half of a surrogate pair, which no encoding can carry';
}

/**
 * Checks an object of an application and returns it with a text id.
 *
 * @throws TypeError that names the field and the fix. A key `id` that holds nothing is an error and never means the
 *   entity as a whole, since a forgotten id would otherwise reach everybody.
 */
export function checkObject(object: unknown, field = 'object'): { entity: string; id?: string } {
  if (typeof object !== 'object' || object === null) {
    throw new TypeError(`${field}: is ${object === null ? 'null' : typeof object}, but must be { entity, id }`);
  }
  const { entity, id } = object as { entity?: unknown; id?: unknown };
  const entityFlaw = flawOf(entity, MAX_NAME_LENGTH);
  if (entityFlaw) throw new TypeError(`${field}.entity: ${entityFlaw}`);
  if (!('id' in object)) return { entity: entity as string };
  if (id === undefined || id === null) {
    throw new TypeError(`${field}.id: is ${id}; leave the key out to mean every ${entity as string}`);
  }
  if (typeof id === 'number' && !(Number.isFinite(id) && Math.abs(id) <= Number.MAX_SAFE_INTEGER)) {
    throw new TypeError(`${field}.id: the number ${id} is not exact; pass the id as text`);
  }
  const text = typeof id === 'number' ? String(id) : id;
  const idFlaw = flawOf(text, MAX_NAME_LENGTH);
  if (idFlaw) throw new TypeError(`${field}.id: ${idFlaw}`);
  return { entity: entity as string, id: text as string };
}

/** Checks an action's name. @throws TypeError that names the field and the fix. */
export function checkAction(action: unknown, field = 'action'): string {
  const flaw = flawOf(action, MAX_ACTION_LENGTH);
  if (flaw) throw new TypeError(`${field}: ${flaw}`);
  if (action === EVERY_ACTION) throw new TypeError(`${field}: "*" listens to every action and cannot be notified`);
  // Actions are keys of plain objects everywhere, and this key would be lost there without a word.
  if (action === '__proto__') throw new TypeError(`${field}: "__proto__" cannot be an action`);
  return action as string;
}

/**
 * Checks a changed date: a valid `Date`, ISO 8601 text, or a safe whole number (a version). Text is brought to UTC, since
 * only then it compares as text, and keeps its digits after the seconds: cutting the microseconds of a database off would
 * make two changes of one millisecond look like one.
 *
 * @throws TypeError that names the field and the fix.
 */
export function checkChangedDate(value: unknown, field = 'changedDate'): string | number {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  const text = value instanceof Date && !Number.isNaN(value.getTime()) ? value.toISOString() : value;
  if (typeof text === 'string' && UTC_DATE.test(text)) return text;
  const match = typeof text === 'string' ? ISO_DATE.exec(text) : null;
  if (match && !Number.isNaN(Date.parse(match[0]))) {
    const [, minute = '', rest = '', zone = ''] = match;
    // `Date` takes 30 February for 1 March and 24:00 for the next day; as text they would sort wrongly.
    const exists = new Date(`${minute}Z`).toISOString().startsWith(minute);
    const utc = new Date(`${minute}${zone}`).toISOString();
    // Shifting a year 0 or 9999 can leave the four digits.
    if (exists && utc.length === 24) return `${utc.slice(0, 16)}${rest}Z`;
  }
  throw new TypeError(`${field}: must be a valid Date, ISO 8601 text with a time zone, or a whole number`);
}

/** What is in UTC already and exists in every year, so that nothing of it would change: a tenth of the cost of working it out. */
const UTC_DATE =
  /^\d{4}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)T(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?Z$/;
const ISO_DATE = /^(\d{4}-\d\d-\d\dT\d\d:\d\d)(:\d\d(?:\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/;

/** Two changed dates of one kind compared; `undefined` when one is a version and the other a date. */
export function compareChangedDates(a: string | number, b: string | number): number | undefined {
  if (typeof a === 'string' && typeof b === 'string') {
    const [left, right] = [comparable(a), comparable(b)];
    return left < right ? -1 : Number(left > right);
  }
  return typeof a === typeof b ? Number(a) - Number(b) : undefined;
}

/** ISO text in UTC with seconds and nine digits of fraction, so that comparing as text compares as time. */
function comparable(date: string): string {
  return date.slice(0, -1) + ':00.000000000'.slice(date.length - 17);
}

/**
 * Merges two notifications of one channel, action and (on users' channels) object: the hint that covers both. The latest
 * notifier and detail, the greatest changed date, the common cause or none, `except` only as far as both had it.
 */
export function mergeNotifications(older: Notification, newer: Notification): Notification {
  const order = orderOf(older.changedDate, newer.changedDate);
  // The rule, where nothing of the older one shows. Without a copy the history takes an entry in half of the time.
  if (
    order !== undefined &&
    order <= 0 &&
    newer.cause === undefined &&
    newer.except === undefined &&
    (newer.unordered || !older.unordered)
  )
    return newer;
  const { cause, except, unordered, ...rest } = newer;
  const both = except?.filter((hash) => older.except?.includes(hash));
  return {
    ...rest,
    changedDate: order !== undefined && order > 0 ? older.changedDate : newer.changedDate,
    ...((unordered || older.unordered || order === undefined) && { unordered: true as const }),
    ...(cause !== undefined && cause === older.cause && { cause }),
    ...(both?.length && { except: both }),
  };
}

/** As {@link compareChangedDates}. Texts of one length are of one form, which compares as it is. */
function orderOf(a: string | number, b: string | number): number | undefined {
  if (typeof a !== 'string' || typeof b !== 'string' || a.length !== b.length) return compareChangedDates(a, b);
  return a < b ? -1 : Number(a > b);
}

/** What the hub adds to a rendering beside the notification itself. */
export interface RenderOptions {
  readonly to?: boolean;
  /** Milliseconds; 0 or nothing: no wait. */
  readonly spread?: number;
}

/**
 * The full rendering, for those who hold the object's channel: exactly the keys of {@link WIRE_KEYS} that have a value. One
 * literal in their order, since what has no value is not written: a fifth of the time of picking them one by one.
 */
export function renderFull(notification: Notification, position: Position, { to, spread }: RenderOptions = {}): string {
  const { entity, id, action, changedDate, unordered, notifier, cause, except, detail } = notification;
  return JSON.stringify({
    entity,
    id,
    action,
    changedDate,
    unordered,
    notifier,
    position,
    cause,
    except,
    to: to || undefined,
    spread: spread || undefined,
    detail,
  } satisfies Record<(typeof WIRE_KEYS)[number], unknown>);
}

/** The reduced rendering, for those who hold only the entity's channel: neither id nor notifier. */
export function renderReduced(notification: Notification, position: Position, { spread }: RenderOptions = {}): string {
  const { entity, action, cause, except } = notification;
  return JSON.stringify({ entity, action, position, cause, except, spread: spread || undefined });
}

/**
 * Makes sure that every rendering of the notification stays within {@link MAX_WIRE_BYTES}, whatever its position and
 * whatever it is merged with: a merge can add `unordered` and take a longer changed date of the same kind.
 *
 * @throws RangeError that names the largest field; TypeError when `detail` cannot be JSON.
 */
export function checkWireSize(notification: Notification): void {
  if (isSmall(notification)) return;
  jsonOf('detail', notification.detail);
  const changedDate = typeof notification.changedDate === 'number' ? Number.MIN_SAFE_INTEGER : LONGEST_DATE;
  const widest: Notification = { ...notification, changedDate, unordered: true };
  const bytes = utf8Length(renderFull(widest, LONGEST_POSITION, { to: true, spread: 60_000 }));
  if (bytes <= MAX_WIRE_BYTES) return;
  const sizes = WIRE_KEYS.map(
    (key) => [key, utf8Length(jsonOf(key, (notification as WireNotification)[key]))] as const,
  );
  const [largest] = sizes.reduce((most, size) => (size[1] > most[1] ? size : most));
  throw new RangeError(
    `${largest}: the notification would have ${bytes} bytes, but at most ${MAX_WIRE_BYTES} are allowed; shorten ${largest}`,
  );
}

/** The most bytes of one UTF-16 unit in JSON: `\\u0000`. */
const MOST_PER_UNIT = 6;
/** More than a rendering has beside its texts: 234 bytes of keys, longest position and date, `unordered`, `to` and `spread`. */
const MOST_BESIDE = 300;

/** Whether it stays below the limit however its texts are encoded: to write it and count would cost fifty times as much. */
function isSmall({ entity, id = '', action, notifier = '', cause = '', except, detail }: Notification): boolean {
  const units = entity.length + id.length + action.length + notifier.length + cause.length;
  return except === undefined && detail === undefined && units * MOST_PER_UNIT + MOST_BESIDE <= MAX_WIRE_BYTES;
}

/** Not made by a call: bundlers keep calls, and no page needs it. */
const LONGEST_POSITION: Position = 'eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee:99999999999999999999999999999999';
const LONGEST_DATE = '2000-01-01T00:00:00.000000000Z';

function jsonOf(field: string, value: unknown): string {
  try {
    return JSON.stringify(value) ?? '';
  } catch (error) {
    throw new TypeError(`${field}: cannot be written as JSON`, { cause: error });
  }
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length;
}

/**
 * Reads a rendering that came over the wire. Anything that is not one is `undefined`; it never throws, and neither does
 * what takes its result: every name in it has a channel. Keys of a later version are let through.
 */
export function parseNotification(value: unknown): WireNotification | undefined {
  // What need not be there is something that fits.
  const {
    entity,
    id = 'none',
    action,
    changedDate = 0,
    position,
    except = [],
    spread = 0,
  } = (value ?? {}) as Partial<Record<keyof WireNotification, unknown>>;
  const fits =
    isName(entity) &&
    isName(id) &&
    isName(action, MAX_ACTION_LENGTH) &&
    isPosition(position) &&
    ['string', 'number'].includes(typeof changedDate) &&
    Array.isArray(except) &&
    except.every((hash) => typeof hash === 'string') &&
    Number.isFinite(spread);
  return fits ? (value as WireNotification) : undefined;
}

/** Whether two references mean the same object: a number and its text are the same id. */
export function sameObject(a: ObjectRef, b: ObjectRef): boolean {
  return (
    a.entity === b.entity &&
    (a.id === undefined ? b.id === undefined : b.id !== undefined && String(a.id) === String(b.id))
  );
}
