/** Takes what somebody publishes: checks names, ids, sizes, senders and rates, and gives it to the channel once. */
import type { Caller } from './auth.js';
import { demand } from './auth.js';
import type { Channel, Entry } from './channel.js';
import { AblyError } from './errors.js';
import type { WireMessage } from './protocol.js';
import { normalise, readItems, sizeOf } from './wire.js';

/** Characters of a name; more is advised against. */
const MAX_NAME = 2_048;
/** Messages of one publish. */
const MAX_MESSAGES = 1_000;

export interface ChannelName {
  /** What stands for the channel, without qualifiers that are parameters. */
  readonly base: string;
  readonly params: Readonly<Record<string, string>>;
}

/**
 * `[?rewind=1]name` -> the name and its parameters.
 *
 * @throws AblyError 40010 for a name that Ably does not take
 */
export function readChannelName(name: unknown): ChannelName {
  const bad = (why: string): AblyError => new AblyError(40010, `invalid channel name: ${why}`);
  if (typeof name !== 'string' || name === '') throw bad('it is empty');
  const [, qualifier, query, rest] = /^\[([^\]?]*)(?:\?([^\]]*))?\](.*)$/s.exec(name) ?? [];
  const base = rest === undefined ? name : (qualifier ? `[${qualifier}]` : '') + rest;
  const plain = rest ?? name;
  if (plain === '' || plain.startsWith('[') || plain.startsWith(':')) throw bad(JSON.stringify(name));
  if (/[\r\n]/.test(name)) throw bad('it has a line end');
  if (name.length > MAX_NAME) throw bad(`it has more than ${MAX_NAME} characters`);
  if (plain.includes(':') && plain.split(':', 1)[0]?.includes('*')) throw bad('its namespace has a *');
  return { base, params: Object.fromEntries(new URLSearchParams(query ?? '')) };
}

export interface Publisher {
  readonly caller: Caller;
  /** None: REST. */
  readonly connectionId: string | undefined;
  /** For messages without an id: its base. */
  readonly base: string;
  /** The connection that a key names, for messages on behalf of it. */
  connectionOf(key: string): { readonly id: string; readonly clientId: string | undefined } | undefined;
}

/** The messages of one publish, as they will be kept. @throws AblyError 40009, 40012, 40013, 40031, 40032, 40006 */
export function prepare(
  given: readonly unknown[],
  publisher: Publisher,
): { readonly id: string; readonly connectionId: string | undefined; readonly messages: readonly WireMessage[] } {
  const { caller, base } = publisher;
  if (given.length === 0 || given.length > MAX_MESSAGES)
    throw new AblyError(40034, `1 to ${MAX_MESSAGES} messages are published at once`);
  const messages = readItems<WireMessage>(given);
  const size = messages.reduce((sum, message) => sum + sizeOf(message), 0);
  const limit = caller.app.limits.messageSize;
  if (size > limit)
    throw new AblyError(40009, `Maximum message length exceeded; size was ${size} bytes, limit is ${limit} bytes`);
  const ids = readIds(messages, base);
  let { connectionId } = publisher;
  const kept = messages.map((message, index): WireMessage => {
    const { connectionKey, id: _, name, extras, clientId: said, ...rest } = message;
    // An update or a delete of another message must not look like a message of its own.
    if (message.action) throw new AblyError(40000, 'the emulator serves no updates and deletes of messages');
    if (extras !== undefined && (typeof extras !== 'object' || Array.isArray(extras)))
      throw new AblyError(40032, 'extras must be an object');
    let sender = caller.clientId;
    if (connectionKey !== undefined) {
      const behalf = publisher.connectionOf(connectionKey);
      if (!behalf) throw new AblyError(40006, 'no connection has this connectionKey');
      connectionId = behalf.id;
      sender = behalf.clientId;
    }
    const clientId = senderOf(said, sender);
    const { data, encoding } = normalise(rest);
    return {
      id: ids.each[index] as string,
      ...(typeof name === 'string' && { name }),
      ...(clientId !== undefined && { clientId }),
      ...(connectionId !== undefined && { connectionId }),
      ...(data !== undefined && { data }),
      ...(encoding !== undefined && { encoding }),
      ...(extras !== undefined && { extras }),
    };
  });
  return { id: ids.base, connectionId, messages: kept };
}

function senderOf(said: string | undefined, own: string | undefined): string | undefined {
  if (own === '*') {
    if (said === '*' || said === '') throw new AblyError(40012, 'invalid clientId');
    return said;
  }
  if (said !== undefined && said !== own) throw new AblyError(40012, 'the clientId is not that of the publisher');
  return own;
}

/** Either no message has an id, or all have: one alone any, several the same base with `:0`, `:1` and so on. */
function readIds(
  messages: readonly WireMessage[],
  base: string,
): { readonly base: string; readonly each: readonly string[] } {
  const given = messages.map(({ id }) => id);
  if (given.every((id) => id === undefined)) return { base, each: messages.map((_, index) => `${base}:${index}`) };
  const [first] = given;
  if (given.some((id) => typeof id !== 'string' || id === ''))
    throw new AblyError(40031, 'a message id is missing or empty');
  if (given.length === 1 && first) return { base: first, each: [first] };
  const stem = (first ?? '').replace(/:0$/, '');
  if (stem === first || given.some((id, index) => id !== `${stem}:${index}`))
    throw new AblyError(40031, 'ids of one publish have the same base, and :0, :1 and so on at their ends');
  return { base: stem, each: given as string[] };
}

/** Publishes, or finds what was published with the same id. `onNew`: counts what was not. @throws AblyError */
export function publish(channel: Channel, given: readonly unknown[], publisher: Publisher, onNew: () => void): Entry {
  demand(publisher.caller, channel.name, 'publish');
  const { id, connectionId, messages } = prepare(given, publisher);
  const before = channel.known(id);
  if (before) return before;
  if (!channel.rate.take(messages.length)) throw rateError(42913, 'channel.maxRate');
  onNew();
  return channel.add({ id, connectionId, messages });
}

export const rateError = (code: number, metric: string): AblyError =>
  new AblyError(code, `Rate limit exceeded; request rejected (nonfatal); metric = ${metric}`, 429);
