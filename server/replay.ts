/** From what a history keeps to what a reader of some channels is sent: each position once, ascending. Pure. */
import type { Channel } from '../adapters/channel.js';
import { mergeNotifications } from '../adapters/notification.js';
import { comparePositions, isAfter, type Position } from '../adapters/position.js';
import type { Kept, Reading } from '../adapters/reading.js';
import { mergeEntries } from '../adapters/route.js';

/** All channels together, ascending; an entry on two of them once, in full if any of them entitles to that. */
export function replayOf(
  channels: ReadonlyMap<Channel, ReadonlyMap<string, Kept>>,
  from: ReadonlyMap<Channel, Position>,
): Reading['replay'] {
  const full = new Map<Position, Kept>();
  const reduced = new Map<Position, Kept>();
  for (const [channel, after] of from) {
    for (const kept of channels.get(channel)?.values() ?? []) {
      if (!isAfter(kept.position, after)) continue;
      if (kept.route.reduced === channel) {
        reduced.set(kept.position, kept);
        continue;
      }
      // On each of its channels it stands for what it replaced there: the one that is sent stands for all of that.
      const other = full.get(kept.position);
      full.set(kept.position, other ? { ...kept, entry: mergeEntries(other.entry, kept.entry) } : kept);
    }
  }
  const found: { kept: Kept; reduced: boolean }[] = [];
  for (const [position, kept] of full) {
    const list = reduced.get(position);
    found.push({ kept: list ? coverBoth(kept, list) : kept, reduced: false });
  }
  for (const [position, kept] of reduced) if (!full.has(position)) found.push({ kept, reduced: true });
  return found.sort((a, b) => comparePositions(a.kept.position, b.kept.position) ?? 0);
}

/**
 * The rendering of an object's entry that its list is told from, too. The list's own entry stands for other objects
 * as well: with only the object's cause, a page that caused the newest change would skip those of others.
 */
function coverBoth(object: Kept, list: Kept): Kept {
  const { notification } = object.entry;
  if (notification.cause === undefined && notification.except === undefined) return object;
  const { cause, except } = mergeNotifications(list.entry.notification, notification);
  const { cause: _, except: __, ...rest } = notification;
  return {
    ...object,
    entry: {
      ...object.entry,
      notification: { ...rest, ...(cause !== undefined && { cause }), ...(except && { except }) },
    },
  };
}
