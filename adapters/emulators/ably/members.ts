/** Who is present on one channel: one member for each client of each connection. */
import { AblyError } from './errors.js';
import { PRESENCE, type WirePresence } from './protocol.js';

export interface Members {
  /** Takes one change; answers it as it is told to others, `undefined` when nothing changed. @throws AblyError 91003 */
  take(item: WirePresence): WirePresence | undefined;
  list(): readonly WirePresence[];
  of(connectionId: string): readonly WirePresence[];
  /** Members that were there before anybody came, and stay. */
  fix(items: readonly Partial<WirePresence>[]): void;
}

/** @param limit members at a time */
export function createMembers(limit: number): Members {
  const present = new Map<string, WirePresence>();
  const keyOf = ({ clientId, connectionId }: WirePresence): string => `${connectionId}:${clientId}`;

  return {
    take(item) {
      const key = keyOf(item);
      const held = present.get(key);
      if (item.action === PRESENCE.LEAVE) {
        if (!held) return undefined;
        present.delete(key);
        // Who leaves without a word is shown with what was last known of it.
        const { data, encoding } = held;
        return item.data === undefined ? { ...item, data, ...(encoding !== undefined && { encoding }) } : item;
      }
      if (!held && present.size >= limit) throw new AblyError(91003, `more than ${limit} members`, 400);
      const action =
        item.action === PRESENCE.UPDATE && held
          ? PRESENCE.UPDATE
          : item.action === PRESENCE.UPDATE || !held
            ? PRESENCE.ENTER
            : PRESENCE.UPDATE;
      present.set(key, { ...item, action: PRESENCE.PRESENT });
      return { ...item, action };
    },
    list: () => [...present.values()],
    of: (connectionId) => [...present.values()].filter((item) => item.connectionId === connectionId),
    fix(items) {
      for (const [index, item] of items.entries()) {
        const fixed = { ...item, action: PRESENCE.PRESENT, connectionId: 'fixture', id: `fixture:0:${index}` };
        present.set(keyOf(fixed), fixed);
      }
    },
  };
}
