/** From an entry to the frame that its listeners get, with the random wait that so many of them need. */
import type { NotificationEntry } from '../contract.js';
import { renderFull, renderReduced } from '../notification.js';
import type { Position } from '../position.js';
import { spreadFor } from '../spread.js';
import type { Frame } from '../streams.js';
import { frameEvent, frameNotification } from './framing.js';

/** Who gets the id, action and date of an entry, and who only learns that there is something new in a list. */
export type Rendering = 'full' | 'reduced';

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
