/** What Ably's own clients send to `/auth`: the `authParams` of `authUrl`, in the query or as a form, beside fields of Ably's. */
import { type Channel, objectOf } from '../channel.js';

/** What one connection at Ably can attach. */
const MOST_CHANNELS = 200;
/** What concerns every object of an entity, and the user's, the session's and everybody's own: the server judges them too. */
const INTERNAL = /^(?<entity>[^/]+)\/\*$|^@(?:user|session)\/[\w-]{1,64}$|^@all$/;

function isChannel(text: string): boolean {
  if (objectOf(text)) return true;
  const match = INTERNAL.exec(text);
  const entity = match?.groups?.entity;
  return match !== null && (entity === undefined || objectOf(entity) !== undefined);
}

/**
 * The local channels that `objects` names, separated by commas; the field may come several times.
 *
 * @throws TypeError that names the field and the fix.
 */
export function readForm(fields: URLSearchParams): readonly Channel[] {
  const channels = new Set(fields.getAll('objects').flatMap((list) => list.split(',')));
  if (channels.size === 0) throw new TypeError('objects: name what to listen to, such as objects=Order/42,Order');
  for (const channel of channels) {
    if (!isChannel(channel))
      throw new TypeError(
        `objects: ${JSON.stringify(channel)} is not an entity, or an entity, "/" and an id, each escaped as encodeURIComponent does`,
      );
  }
  if (channels.size > MOST_CHANNELS)
    throw new TypeError(
      `objects: names ${channels.size}, but one connection at Ably has at most ${MOST_CHANNELS} channels`,
    );
  return [...channels];
}
