/** The load race: whether something changed between the load of the page's data and the listening. Pure. */
import { isAfter, isNews, type Position } from '../../adapters/position.js';
import type { WireNotification } from '../../adapters/protocol.js';
import { selects } from './actions.js';

/** When the data of a listener, or of one of its rows, began to load. A position is exact and wins over the moment. */
export type LoadStart = readonly [began: number, position?: Position | undefined];

/** The newest notification of one action, and the moment when the server learned of it. */
export type News = readonly [notification: WireNotification, at: number];

/**
 * What is known of the past: the newest of each action, the moment and the position since which nothing is unknown.
 */
export type Knowledge = readonly [news: readonly News[], known: number | undefined, since: Position | null | undefined];

/** Whether to refresh, and the newest notification that says so, if it was one. */
export type Verdict = readonly [refresh: boolean, notification?: WireNotification | undefined];

/**
 * Decides for the rows that listen to `on`. `holds` may only take away a cause (the page says that it holds a newer
 * date); when in doubt, refresh.
 */
export function judgeLoad(
  [news, known, since]: Knowledge,
  [began, position]: LoadStart,
  on: readonly string[],
  holds: (notification: WireNotification) => boolean,
): Verdict {
  let newest: WireNotification | undefined;
  for (const [notification, at] of news) {
    if (
      selects(on, notification.action) &&
      (position ? isNews(notification.position, position) : at >= began) &&
      !holds(notification) &&
      !(newest && isAfter(newest.position, notification.position))
    ) {
      newest = notification;
    }
  }
  // What is not known is not below it.
  const doubt = position ? !since || isNews(since, position) : !((known as number) <= began);
  return [doubt || newest !== undefined, newest];
}
