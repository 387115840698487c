/** From an entry to the frame that its listeners get, with the random wait that so many of them need. */
import type { NotificationEntry } from '../contract.js';
import { renderFull, renderReduced } from '../notification.js';
import type { Position } from '../position.js';
import type { Frame } from '../streams.js';
import { frameEvent, frameNotification } from './framing.js';

/** How many refreshes a second a notification may cause: the window of the random wait is the listeners over this. */
const REFRESHES_PER_SECOND = 30;
/** Below this a wait is felt and saves nothing; above the longest, being late is worse than the load. Milliseconds. */
const SHORTEST_SPREAD = 3_000;
const LONGEST_SPREAD = 60_000;
/** Who gets the id, action and date of an entry, and who only learns that there is something new in a list. */
export type Rendering = 'full' | 'reduced';

/** The window of the random wait for so many listeners, in milliseconds; 0: none. */
export function spreadFor(audience: number): number {
  const window = Math.round((audience / REFRESHES_PER_SECOND) * 1_000);
  return window < SHORTEST_SPREAD ? 0 : Math.min(window, LONGEST_SPREAD);
}

/** @param id whether everything up to the entry's position is written before it */
export function frameOf(
  { entry, position }: { readonly entry: NotificationEntry; readonly position: Position },
  rendering: Rendering,
  audience: number,
  id: boolean,
): Frame {
  const options = { to: entry.to !== undefined, spread: entry.spread === false ? 0 : spreadFor(audience) };
  const render = rendering === 'full' ? renderFull : renderReduced;
  return frameNotification(render(entry.notification, position, options), id ? position : undefined);
}

/** @param position what the node has proved; without it the node is degraded */
export function heartbeatFrame(position: Position | undefined, audience: number): Frame {
  const spread = spreadFor(audience);
  if (position === undefined) return frameEvent({ type: 'heartbeat', degraded: true, spread });
  return frameEvent({ type: 'heartbeat', position, spread }, position);
}
