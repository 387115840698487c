/** What comes from an engine may be of a newer version, or of somebody else: it is looked at before it is worked with. */
import type { LogEntry, Logged } from '../../../adapters/contract.js';

type Loose = Readonly<Record<string, unknown>>;

/** As it came where this version can read it. What it cannot may concern everybody, and becomes a `resync` for all. */
export function legible(batch: readonly Logged[]): readonly Logged[] {
  if (batch.every(({ entry }) => isLegible(entry))) return batch;
  return batch.map((logged) => {
    const { position, entry } = logged;
    return isLegible(entry) ? logged : { position, entry: { kind: 'resync' } satisfies LogEntry };
  });
}

function isLegible(entry: unknown): boolean {
  if (!isRecord(entry)) return false;
  const { kind, notification, to, users, object, objects } = entry;
  if (kind === 'notification')
    return isRecord(notification) && isObject(notification) && isText(notification.action) && isAudience(to);
  if (kind === 'revoke') return isTexts(users) && (object === undefined || isObject(object));
  return kind === 'resync' && (objects === undefined || (Array.isArray(objects) && objects.every(isObject)));
}

const isRecord = (value: unknown): value is Loose => typeof value === 'object' && value !== null;
const isText = (value: unknown): value is string => typeof value === 'string';
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText);

function isObject(value: unknown): boolean {
  return (
    isRecord(value) &&
    isText(value.entity) &&
    (value.id === undefined || isText(value.id) || typeof value.id === 'number')
  );
}

function isAudience(to: unknown): boolean {
  if (to === undefined) return true;
  if (!isRecord(to)) return false;
  const { users, sessions } = to;
  return (users === undefined || isTexts(users)) && (sessions === undefined || isTexts(sessions));
}
