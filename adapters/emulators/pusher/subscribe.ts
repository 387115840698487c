/** `pusher:subscribe` and `pusher:unsubscribe`. */
import { isSignedBy } from './app.js';
import type { Member, Subscriber } from './channels.js';
import { errorFrame, missFrame, refusalFrame } from './frames.js';
import type { House } from './house.js';
import { MAX_PRESENCE_MEMBERS, MAX_SUBSCRIPTIONS, MAX_USER_ID, MAX_USER_INFO } from './limits.js';
import { isCache, isChannelName, isPresence, isPrivate, userOf } from './names.js';
import type { SignedIn } from './sign-in.js';
import { isRecord, parsed } from './values.js';

/** A connection as a subscriber. */
export interface Client extends Subscriber {
  /** The channels that it holds. */
  readonly held: Set<string>;
  readonly user: SignedIn | undefined;
}

interface Refused {
  readonly type: string;
  readonly error: string;
  readonly status: number;
}

const unauthorised = (error: string): Refused => ({ type: 'AuthError', error, status: 401 });
/** The status is that of other servers of this protocol; Pusher documents none. */
const tooMuch = (error: string): Refused => ({ type: 'LimitReached', error, status: 4004 });

/** @returns the frame that refuses it; `undefined` when it was done */
export function subscribe(house: House, client: Client, data: Readonly<Record<string, unknown>>): string | undefined {
  const { channel } = data;
  if (typeof channel !== 'string' || !(isChannelName(channel) || userOf(channel) !== undefined)) {
    return errorFrame(`Invalid channel name ${JSON.stringify(channel)}`);
  }
  if (client.held.has(channel)) return errorFrame(`Existing subscription to channel ${channel}`);
  if (client.held.size >= MAX_SUBSCRIPTIONS) {
    return errorFrame(`More than ${MAX_SUBSCRIPTIONS} subscriptions on one connection`);
  }
  const right = rightTo(house, client, channel, data);
  if (right && 'status' in right) {
    return refusalFrame(channel, right.type, right.error, right.status);
  }
  client.held.add(channel);
  house.channels.join(channel, client, right);
  if (isCache(channel)) {
    const cached = house.cache.get(channel);
    if (cached) client.message(channel, cached.frame);
    else client.send(missFrame(channel));
  }
  return undefined;
}

/** @returns the frame that refuses it */
export function unsubscribe(
  house: House,
  client: Client,
  { channel }: Readonly<Record<string, unknown>>,
): string | undefined {
  if (typeof channel !== 'string' || !client.held.delete(channel)) {
    return errorFrame(`No current subscription to channel ${String(channel)}`);
  }
  house.channels.leave(channel, client);
  return undefined;
}

/** Why not, or as whom. `undefined`: as nobody in particular. */
function rightTo(
  house: House,
  client: Client,
  channel: string,
  { auth, channel_data }: Readonly<Record<string, unknown>>,
): Refused | Member | undefined {
  const owner = userOf(channel);
  if (owner !== undefined) {
    return client.user?.id === owner ? undefined : unauthorised('The connection is not signed in as this user');
  }
  if (!isPrivate(channel) && !isPresence(channel)) return undefined;
  // What was signed is the text of channel_data as it is, not what it means.
  const data = typeof channel_data === 'string' ? channel_data : undefined;
  const signed = [client.socketId, channel, ...(data === undefined ? [] : [data])].join(':');
  if (!isSignedBy(house.app, auth, signed)) {
    return unauthorised(`The signature is not that of "${signed}" with the secret of this app`);
  }
  return isPresence(channel) ? memberOf(house, client, channel, data) : undefined;
}

function memberOf(house: House, client: Client, channel: string, data: string | undefined): Refused | Member {
  const given = data === undefined ? undefined : parsed(data);
  if (data === undefined && !client.user) return unauthorised('channel_data is missing, and nobody is signed in');
  if (data !== undefined && !isRecord(given)) return unauthorised('channel_data is not a JSON object');
  const id = isRecord(given) ? given.user_id : client.user?.id;
  const info = isRecord(given) ? given.user_info : client.user?.info;
  if (typeof id !== 'string' && typeof id !== 'number') return unauthorised('user_id is missing in channel_data');
  const member: Member = { id: String(id), info };
  if (member.id === '' || member.id.length > MAX_USER_ID) {
    return tooMuch(`user_id is empty or longer than ${MAX_USER_ID} characters`);
  }
  if (Buffer.byteLength(JSON.stringify(info) ?? '') > MAX_USER_INFO) {
    return tooMuch(`user_info is larger than ${MAX_USER_INFO} bytes`);
  }
  const present = house.channels.members(channel);
  if (present.length >= MAX_PRESENCE_MEMBERS && !present.includes(member.id)) {
    return tooMuch(`The channel has ${MAX_PRESENCE_MEMBERS} members`);
  }
  return member;
}
