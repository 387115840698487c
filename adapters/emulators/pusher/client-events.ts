/** Events that clients trigger themselves: `client-…`. */
import { errorFrame } from './frames.js';
import type { House } from './house.js';
import { MAX_CLIENT_EVENTS, MAX_EVENT_DATA, MAX_EVENT_NAME } from './limits.js';
import { isPresence, isPrivate } from './names.js';
import type { Client } from './subscribe.js';

const SECOND = 1000;

/** Handles the client events of one connection; what is returned is the frame that refuses one. */
export function createClientEvents(
  house: House,
  client: Client,
): (event: string, channel: unknown, data: unknown) => string | undefined {
  /** When the last ones were sent, on the monotonic clock; at most {@link MAX_CLIENT_EVENTS}. */
  const recent: number[] = [];

  function isTooOften(): boolean {
    const now = house.world.monotonic();
    while (recent[0] !== undefined && now - recent[0] >= SECOND) recent.shift();
    if (recent.length >= MAX_CLIENT_EVENTS) return true;
    recent.push(now);
    return false;
  }

  function refusal(event: string, channel: unknown, data: string): string | undefined {
    if (!house.app.clientEvents) return errorFrame('Client events are not enabled in this app');
    if (typeof channel !== 'string' || !(isPrivate(channel) || isPresence(channel))) {
      return errorFrame('Client events are only supported on private and presence channels');
    }
    if (!client.held.has(channel)) return errorFrame(`Client event without a subscription to ${channel}`);
    if (event.length > MAX_EVENT_NAME) return errorFrame(`The event name is longer than ${MAX_EVENT_NAME} characters`);
    if (Buffer.byteLength(data) > MAX_EVENT_DATA) return errorFrame(`The data is larger than ${MAX_EVENT_DATA} bytes`);
    if (isTooOften()) {
      return errorFrame(`Client event rejected: more than ${MAX_CLIENT_EVENTS} client events in a second`, 4301);
    }
    return house.mayPublish ? undefined : errorFrame('The account is over its message quota', 4004);
  }

  return (event, channel, data) => {
    const text = typeof data === 'string' ? data : (JSON.stringify(data) ?? '');
    const refused = refusal(event, channel, text);
    if (refused !== undefined) return refused;
    const name = channel as string;
    house.relay(event, name, text, client.socketId, house.channels.memberOf(name, client.socketId));
    return undefined;
  };
}
