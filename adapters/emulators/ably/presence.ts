/** Takes what clients say of their presence, and tells the channel. */
import type { Channel } from './channel.js';
import { AblyError } from './errors.js';
import { PRESENCE, type WirePresence } from './protocol.js';
import { normalise } from './wire.js';

/** Members that one frame may change. */
const MAX_ITEMS = 1_000;

export interface PresenceSource {
  readonly connectionId: string;
  /** Of the ids. */
  readonly base: string;
  /** Who the connection is: `*` may speak for anybody. None: each item says whose it is, and is believed. */
  readonly clientId?: string | undefined;
}

/** @throws AblyError 40012 (whose it is), 91003 (too many), 40000 */
export function takePresence(channel: Channel, items: readonly WirePresence[], source: PresenceSource): void {
  if (items.length > MAX_ITEMS) throw new AblyError(40034, `more than ${MAX_ITEMS} changes of presence at once`);
  const { connectionId, base } = source;
  const changes = items.flatMap((item, index) => {
    const clientId = memberOf(item.clientId, source);
    if (![PRESENCE.ENTER, PRESENCE.UPDATE, PRESENCE.LEAVE, PRESENCE.PRESENT].includes(item.action as 1))
      throw new AblyError(40000, `unknown presence action ${item.action}`);
    const { data, encoding, extras } = normalise(item);
    const change: WirePresence = {
      id: item.id ?? `${base}:${index}`,
      action: item.action,
      clientId,
      connectionId,
      timestamp: channel.now(),
      ...(data !== undefined && { data }),
      ...(encoding !== undefined && { encoding }),
      ...(extras !== undefined && { extras }),
    };
    return channel.members.take(change) ?? [];
  });
  if (changes.length > 0) channel.add({ id: base, connectionId, presence: changes });
}

function memberOf(said: string | undefined, source: PresenceSource): string {
  if (!('clientId' in source)) return said ?? '';
  const own = source.clientId;
  const clientId = said ?? (own === '*' ? undefined : own);
  if (clientId === undefined || clientId === '*' || clientId === '')
    throw new AblyError(40012, 'a clientId is needed to be present');
  if (own !== '*' && clientId !== own) throw new AblyError(40012, 'the clientId is not that of the connection');
  return clientId;
}
