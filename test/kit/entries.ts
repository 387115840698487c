/** Entries of a log, positions and a clock, as short as tests want to write them. */
import type { Logged, LogWindow, NotificationEntry } from '../../adapters/contract.js';
import { makePosition, type Position } from '../../adapters/position.js';

export const EPOCH = 'epoch';

/** The position with this offset in {@link EPOCH}. */
export const at = (offset: number): Position => makePosition(EPOCH, offset);

/** The window after `floor` up to `top`. */
export const windowOf = (floor: number, top: number): LogWindow => ({ floor: at(floor), top: at(top) });

/** A notification of `Order/id`; of `Order` as a whole for `undefined`. Its changed date is a version, 1. */
export function note(
  id: number | string | undefined,
  action = 'updated',
  notification: Partial<NotificationEntry['notification']> = {},
  entry: Partial<Omit<NotificationEntry, 'kind' | 'notification'>> = {},
): NotificationEntry {
  return {
    kind: 'notification',
    notification: {
      entity: 'Order',
      ...(id !== undefined && { id: String(id) }),
      action,
      changedDate: 1,
      ...notification,
    },
    ...entry,
  };
}

export const logged = (offset: number, entry: Logged['entry']): Logged => ({ position: at(offset), entry });

/** A clock that only the test moves. */
export function handClock(start = 1_000_000): { now: () => number; pass: (ms: number) => void } {
  let time = start;
  return {
    now: () => time,
    pass(ms) {
      time += ms;
    },
  };
}

/** Turns of the microtask queue: enough for what is only waiting for promises that are settled. */
export async function settle(turns = 30): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await Promise.resolve();
}
