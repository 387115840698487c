/** The load race: whether something changed between the load of the page's data and the listening. Pure but for clocks. */
import type { World } from '../../adapters/contract.js';
import { comparePositions, type Position } from '../../adapters/position.js';
import type { WireNotification } from '../../adapters/protocol.js';
import { selects } from './actions.js';
import { longest, type Mark, shortest } from './world.js';

/** When the data of a listener, or of one of its rows, began to load. A position is exact and wins over the moment. */
export interface LoadStart {
  readonly mark: Mark;
  readonly position?: Position | undefined;
}

/** The newest notification of one action, and when the server learned of it. */
export interface News {
  readonly notification: WireNotification;
  readonly at: Mark;
}

/** What a subscription can say about the past. */
export interface Knowledge {
  /** By action. */
  readonly latest: ReadonlyMap<string, News>;
  /** Nothing since this moment is unknown. */
  readonly known: Mark | undefined;
  /** Nothing after this position is unknown. */
  readonly since: Position | undefined;
}

/** `refresh: false`: the data is as new as the news. `notification`: the newest that says otherwise, if it was one. */
export interface RaceVerdict {
  readonly refresh: boolean;
  readonly notification?: WireNotification;
}

/**
 * Decides for the rows that listen to `on`. `holds` may only take away a cause (the page says that it holds a newer
 * date); when in doubt, refresh.
 */
export function judgeLoad(
  world: World,
  { latest, known, since }: Knowledge,
  start: LoadStart,
  on: readonly string[],
  holds: (notification: WireNotification) => boolean,
): RaceVerdict {
  const { position, mark } = start;
  let newest: WireNotification | undefined;
  for (const { notification, at } of latest.values()) {
    if (!selects(on, notification.action)) continue;
    // Of another epoch, a position says nothing: younger, until a run says otherwise.
    const younger = position
      ? (comparePositions(notification.position, position) ?? 1) > 0
      : shortest(world, at) <= longest(world, mark);
    if (
      younger &&
      !holds(notification) &&
      !(newest && (comparePositions(newest.position, notification.position) ?? 0) > 0)
    ) {
      newest = notification;
    }
  }
  const doubt = position
    ? !since || (comparePositions(position, since) ?? -1) < 0
    : !known || shortest(world, known) < longest(world, mark);
  return { refresh: doubt || newest !== undefined, ...(newest && { notification: newest }) };
}
