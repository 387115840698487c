/** Checks what an application gives us, with the long texts of the ground floor in development only. */
import type { ObjectRef } from '../../adapters/contract.js';
import { checkObject, isName } from '../../adapters/notification.js';
import { DEV } from './dev.js';

/** An object with its id as text. @throws TypeError that names the field; in production without the fix. */
export function readObject(object: ObjectRef): { entity: string; id?: string } {
  if (DEV) return checkObject(object);
  const { entity, id } = object;
  if (!isName(entity)) throw new TypeError('object.entity');
  // A key `id` that holds nothing must never mean the entity as a whole.
  if (!('id' in object)) return { entity };
  if (!isName(id) && !Number.isFinite(id)) throw new TypeError('object.id');
  return { entity, id: String(id) };
}

/** A changed date of the page in the form in which it travels: UTC text, or a version. @throws RangeError for no date. */
export function readDate(value: Date | string | number): string | number {
  if (typeof value === 'number' || (typeof value === 'string' && value.endsWith('Z'))) return value;
  return new Date(value).toISOString();
}
