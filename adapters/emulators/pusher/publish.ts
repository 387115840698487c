/** `POST /events` and `POST /batch_events`: all of a request is checked before any of it is published. */
import type { House } from './house.js';
import { MAX_CHANNELS_PER_PUBLISH, MAX_EVENT_DATA, MAX_EVENT_NAME, MAX_EVENTS_PER_BATCH } from './limits.js';
import { isChannelName, isPresence, isSocketId, userOf } from './names.js';
import { isRecord } from './values.js';

/** A request that is not taken. */
export interface Fault {
  readonly status: number;
  readonly message: string;
}

export const isFault = <T extends object>(value: T | Fault): value is Fault => 'status' in value && 'message' in value;
export const bad = (message: string, status = 400): Fault => ({ status, message });

interface Event {
  readonly name: string;
  readonly data: string;
  readonly channels: readonly string[];
  readonly except: string | undefined;
  readonly info: readonly string[];
}

/** What can be asked about channels. */
const ATTRIBUTES: readonly string[] = ['user_count', 'subscription_count', 'cache'];

/** The attributes of an `info`: a list with commas; none when it is left out. */
export function attributesOf(info: unknown, app: House['app']): readonly string[] | Fault {
  if (info === undefined || info === null || info === '') return [];
  const names = typeof info === 'string' ? info.split(',') : [];
  if (names.length === 0 || names.some((name) => !ATTRIBUTES.includes(name))) {
    return bad(`info is a list of ${ATTRIBUTES.join(', ')}`);
  }
  if (names.includes('subscription_count') && !app.subscriptionCount) {
    return bad('subscription_count is not enabled in this app');
  }
  return names;
}

/** The attributes of one channel, those that it has. */
export function describe(house: House, channel: string, info: readonly string[]): Record<string, unknown> {
  const cached = info.includes('cache') ? house.cache.get(channel) : undefined;
  return {
    ...(info.includes('user_count') && isPresence(channel) && { user_count: house.channels.members(channel).length }),
    ...(info.includes('subscription_count') && { subscription_count: house.channels.subscribers(channel) }),
    ...(cached && { cache: { data: cached.data, ttl: cached.ttl } }),
  };
}

function eventOf(house: House, given: unknown, channels: unknown): Event | Fault {
  if (!isRecord(given)) return bad('An event is an object');
  const { name, data, socket_id } = given;
  if (typeof name !== 'string' || name === '' || name.length > MAX_EVENT_NAME) {
    return bad(`name is a text of 1 to ${MAX_EVENT_NAME} characters`);
  }
  if (typeof data !== 'string') return bad('data is a text: JSON in JSON');
  if (Buffer.byteLength(data) > MAX_EVENT_DATA) {
    return bad(`The data of this event exceeds the allowed maximum (${MAX_EVENT_DATA} bytes)`, 413);
  }
  if (!Array.isArray(channels) || channels.length === 0 || channels.length > MAX_CHANNELS_PER_PUBLISH) {
    return bad(`channels is a list of 1 to ${MAX_CHANNELS_PER_PUBLISH} names`);
  }
  const wrong = channels.find((channel) => typeof channel !== 'string' || !isAddress(channel));
  if (wrong !== undefined) return bad(`${JSON.stringify(wrong)} is not a channel name`);
  if (socket_id !== undefined && socket_id !== null && !(typeof socket_id === 'string' && isSocketId(socket_id))) {
    return bad('socket_id is not the id of a connection');
  }
  const info = attributesOf(given.info, house.app);
  if (isFault(info)) return info;
  return { name, data, channels, except: socket_id ?? undefined, info };
}

const isAddress = (channel: string): boolean => isChannelName(channel) || userOf(channel) !== undefined;

function send(house: House, { name, channels, data, except }: Event): void {
  for (const channel of channels) house.publish(name, channel, data, except);
}

const OVER_QUOTA = bad('The account is over its message quota', 403);

export function publishOne(house: House, body: unknown): object | Fault {
  if (!isRecord(body)) return bad('The body is a JSON object');
  const event = eventOf(house, body, body.channels ?? (body.channel === undefined ? undefined : [body.channel]));
  if (isFault(event)) return event;
  if (!house.mayPublish) return OVER_QUOTA;
  send(house, event);
  if (event.info.length === 0) return {};
  const described = event.channels.map((channel) => [channel, describe(house, channel, event.info)] as const);
  return { channels: Object.fromEntries(described) };
}

export function publishBatch(house: House, body: unknown): object | Fault {
  const batch = isRecord(body) ? body.batch : undefined;
  if (!Array.isArray(batch) || batch.length === 0 || batch.length > MAX_EVENTS_PER_BATCH) {
    return bad(`batch is a list of 1 to ${MAX_EVENTS_PER_BATCH} events`);
  }
  const events: Event[] = [];
  for (const given of batch) {
    const event = eventOf(house, given, isRecord(given) ? [given.channel] : undefined);
    if (isFault(event)) return event;
    events.push(event);
  }
  if (!house.mayPublish) return OVER_QUOTA;
  for (const event of events) send(house, event);
  if (events.every(({ info }) => info.length === 0)) return {};
  return { batch: events.map(({ channels, info }) => describe(house, channels[0] ?? '', info)) };
}
