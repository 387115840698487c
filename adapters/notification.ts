import { MAX_NAME_LENGTH } from './channel.js';
import { MAX_WIRE_BYTES, type Notification, type ObjectRef } from './contract.js';
import { parsePosition, type Position } from './position.js';
import { WIRE_KEYS, type WireNotification } from './protocol.js';

/** The longest action name, in UTF-16 units: it is a name in code, not a text. */
export const MAX_ACTION_LENGTH = 100;

/** The action that listens to all; nobody can notify it. */
export const EVERY_ACTION = '*';

/** Says what is wrong with a name (entity, id, action); `undefined` when nothing is. */
function flawOf(name: unknown, longest: number): string | undefined {
  if (typeof name !== 'string') return `is ${name === null ? 'null' : typeof name}, but must be text`;
  if (name === '') return 'is empty';
  if (name.length > longest) return `has ${name.length} characters, but at most ${longest} are allowed`;
  try {
    encodeURIComponent(name);
    return undefined;
  } catch {
    return 'holds half of a surrogate pair, which no encoding can carry';
  }
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
  return action as string;
}

/**
 * Checks a changed date: a valid `Date`, ISO 8601 text, or a safe whole number (a version).
 *
 * @throws TypeError that names the field and the fix.
 */
export function checkChangedDate(value: unknown, field = 'changedDate'): string | number {
  if (value instanceof Date && !Number.isNaN(value.getTime())) return value.toISOString();
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  // Only UTC in one form compares as text; other offsets are brought to it, keeping the digits after milliseconds.
  if (typeof value === 'string' && ISO_DATE.test(value)) {
    if (value.endsWith('Z') && !Number.isNaN(Date.parse(value))) return value;
    const time = Date.parse(value);
    if (!Number.isNaN(time)) return new Date(time).toISOString();
  }
  throw new TypeError(`${field}: must be a valid Date, ISO 8601 text with a time zone, or a whole number`);
}

const ISO_DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/;

/** Two changed dates of one kind compared; `undefined` when one is a version and the other a date. */
export function compareChangedDates(a: string | number, b: string | number): number | undefined {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a === 'string' && typeof b === 'string') {
    const [left, right] = [comparable(a), comparable(b)];
    return left < right ? -1 : left > right ? 1 : 0;
  }
  return undefined;
}

/** ISO text in UTC with seconds and nine digits of fraction, so that comparing as text compares as time. */
function comparable(date: string): string {
  const [, head = '', fraction = ''] = /^(.{16}(?::\d\d)?)(?:\.(\d+))?Z$/.exec(date) ?? [date, date];
  return `${head.length === 16 ? `${head}:00` : head}.${fraction.padEnd(9, '0')}`;
}

/**
 * Merges two notifications of one channel, action and (on users' channels) object: the hint that covers both. The latest
 * notifier and detail, the greatest changed date, the common cause or none, `except` only as far as both had it.
 */
export function mergeNotifications(older: Notification, newer: Notification): Notification {
  const order = compareChangedDates(older.changedDate, newer.changedDate);
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

/** What the hub adds to a rendering beside the notification itself. */
export interface RenderOptions {
  readonly to?: boolean;
  /** Milliseconds; 0 or nothing: no wait. */
  readonly spread?: number;
}

/** The full rendering, for those who hold the object's channel: exactly the keys of {@link WIRE_KEYS} that have a value. */
export function renderFull(notification: Notification, position: Position, options: RenderOptions = {}): string {
  return stringify({ ...notification, position, ...(options.to && { to: true }), ...(options.spread && { spread: options.spread }) });
}

/** The reduced rendering, for those who hold only the entity's channel: neither id nor notifier. */
export function renderReduced(notification: Notification, position: Position, options: RenderOptions = {}): string {
  const { entity, action, cause, except } = notification;
  return stringify({ entity, action, position, cause, except, ...(options.spread && { spread: options.spread }) });
}

function stringify(wire: Record<string, unknown>): string {
  // A list of keys as the replacer would filter `detail` inside too, so the keys are picked by hand.
  const picked: Record<string, unknown> = {};
  for (const key of WIRE_KEYS) if (wire[key] !== undefined) picked[key] = wire[key];
  return JSON.stringify(picked);
}

/**
 * Makes sure that every rendering of the notification stays within {@link MAX_WIRE_BYTES}, whatever its position.
 *
 * @throws RangeError that names the largest field.
 */
export function checkWireSize(notification: Notification): void {
  const bytes = utf8Length(renderFull(notification, LONGEST_POSITION, { to: true, spread: 60_000 }));
  if (bytes <= MAX_WIRE_BYTES) return;
  const sizes = Object.entries(notification).map(([key, value]) => [key, utf8Length(JSON.stringify(value) ?? '')] as const);
  const [largest] = sizes.sort((a, b) => b[1] - a[1])[0] ?? ['notification'];
  throw new RangeError(
    `${largest}: the notification would have ${bytes} bytes, but at most ${MAX_WIRE_BYTES} are allowed; shorten ${largest}`,
  );
}

const LONGEST_POSITION: Position = `${'e'.repeat(40)}:${'9'.repeat(20)}`;

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** Reads a rendering that came over the wire. Anything that is not one is `undefined`; it never throws. */
export function parseNotification(value: unknown): WireNotification | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const wire = value as Record<string, unknown>;
  const fits =
    typeof wire.entity === 'string' &&
    typeof wire.action === 'string' &&
    parsePosition(wire.position) &&
    (wire.id === undefined || typeof wire.id === 'string') &&
    (wire.except === undefined || Array.isArray(wire.except));
  return fits ? (wire as unknown as WireNotification) : undefined;
}

/** Whether two references mean the same object: a number and its text are the same id. */
export function sameObject(a: ObjectRef, b: ObjectRef): boolean {
  return a.entity === b.entity && (a.id === undefined ? b.id === undefined : b.id !== undefined && String(a.id) === String(b.id));
}
