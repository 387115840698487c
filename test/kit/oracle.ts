/** Random entries over a few names, and what each of them concerns, told without the code under test. */
import fc from 'fast-check';
import { audienceChannel, type Channel } from '../../adapters/channel.js';
import type { LogEntry, NotificationEntry } from '../../adapters/contract.js';

/** The channels that the entries can concern. */
export const CHANNELS: readonly Channel[] = ['A', 'A/1', 'A/2', 'B', 'B/1', '@user/u', '@session/s'];

export const notification: fc.Arbitrary<NotificationEntry> = fc
  .record({
    entity: fc.constantFrom('A', 'B'),
    id: fc.constantFrom('1', '2', undefined),
    action: fc.constantFrom('x', 'y'),
    changedDate: fc.nat(9),
    cause: fc.constantFrom('c', 'd', undefined),
    except: fc.constantFrom(['p'], ['p', 'q'], undefined),
    to: fc.constantFrom(undefined, undefined, undefined, { users: ['u'] }, { users: ['u'], sessions: ['s'] }),
  })
  .map(({ entity, id, action, changedDate, cause, except, to }) => ({
    kind: 'notification',
    notification: {
      entity,
      action,
      changedDate,
      ...(id !== undefined && { id }),
      ...(cause !== undefined && { cause }),
      ...(except !== undefined && { except }),
    },
    ...(to && { to }),
  }));

export const resync: fc.Arbitrary<LogEntry> = fc
  .constantFrom(undefined, { entity: 'A', id: '1' }, { entity: 'A' })
  .map((object) => ({ kind: 'resync', ...(object && { objects: [object] }) }));

/** What an entry is about, told without the code under test. */
export function concerns(entry: LogEntry, channel: Channel): boolean {
  const [entity, id] = channel.split('/');
  if (entry.kind === 'revoke') return false;
  if (entry.kind === 'resync') {
    return (
      entry.objects?.some(
        (object) => object.entity === entity && (!id || object.id === undefined || object.id === id),
      ) ?? true
    );
  }
  const { notification: told, to } = entry;
  if (to) {
    return (
      (to.users ?? []).some((user) => audienceChannel('user', user) === channel) ||
      (to.sessions ?? []).some((session) => audienceChannel('session', session) === channel)
    );
  }
  return told.entity === entity && (!id || told.id === undefined || told.id === id);
}
