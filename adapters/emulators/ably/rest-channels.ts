/** REST routes of channels: publishing, batches, history, presence, status. */

import { type Caller, demand } from './auth.js';
import type { Channel } from './channel.js';
import { AblyError, asAblyError } from './errors.js';
import { randomName } from './names.js';
import { type Placed, page, readLimit } from './paging.js';
import { PRESENCE, type WirePresence } from './protocol.js';
import { type Publisher, publish, readChannelName } from './publishing.js';
import type { Realtime } from './realtime.js';
import type { RestCall, Route } from './rest.js';
import { QUOTA } from './session.js';
import { render } from './wire.js';

/** Channels of one batch. */
const MAX_BATCH = 100;
/** Room for the items of one entry, when entries are numbered. */
const PER_ENTRY = 1_000;

export interface ChannelRoutes {
  readonly connectionOf: Realtime['connectionOf'];
  readonly count: { published: number };
  quota(): boolean;
}

export function channelRoutes({ connectionOf, count, quota }: ChannelRoutes): readonly Route[] {
  const find = (caller: Caller, name: string | undefined): Channel => caller.app.channel(readChannelName(name).base);

  function send(caller: Caller, name: string | undefined, given: unknown) {
    if (quota()) throw QUOTA;
    const publisher: Publisher = {
      caller,
      connectionId: undefined,
      base: randomName(12),
      connectionOf: (key) => connectionOf(caller, key),
    };
    return publish(find(caller, name), Array.isArray(given) ? given : [given], publisher, () => count.published++);
  }

  function each<T extends object>(names: readonly unknown[], one: (name: string) => T) {
    let failureCount = 0;
    const results = names.map((channel) => {
      try {
        return { channel, ...one(String(channel)) };
      } catch (thrown) {
        failureCount++;
        return { channel, error: asAblyError(thrown).info };
      }
    });
    return { successCount: names.length - failureCount, failureCount, results };
  }

  function batch({ caller, body }: RestCall) {
    const who = caller();
    const given = body();
    const specs = (Array.isArray(given) ? given : [given]).map((spec) => {
      const { channels, messages } = (spec ?? {}) as Record<string, unknown>;
      return { names: Array.isArray(channels) ? channels : [channels], messages };
    });
    const total = specs.reduce((sum, { names }) => sum + names.length, 0);
    if (total > MAX_BATCH)
      throw new AblyError(
        90010,
        `Max number of channels permitted in a single bulk publish request (${MAX_BATCH}) exceeded`,
        400,
      );
    const results = specs.map(({ names, messages }) =>
      each(names, (name) => {
        const entry = send(who, name, messages);
        return { messageId: entry.id, serials: entry.messages?.map(({ serial }) => serial) };
      }),
    );
    return { given, results };
  }

  function history(call: RestCall, kind: 'messages' | 'presence') {
    const caller = call.caller();
    const channel = find(caller, call.path[0]);
    demand(caller, channel.name, 'history');
    const until = call.query.get('from_serial') ?? call.query.get('fromSerial');
    const top = until === null ? Number.POSITIVE_INFINITY : channel.numberOf(until);
    if (top === undefined) throw new AblyError(90008, 'the attach point is not known any more', 400);
    const list = channel.kept().flatMap((entry): Placed[] => {
      if (entry.number > top) return [];
      return (entry[kind] ?? []).map((item, index) => ({
        place: entry.number * PER_ENTRY + index,
        at: entry.at,
        item: render(call.format, item),
      }));
    });
    return page(call.query, [...fixtures(channel, kind, call), ...list]);
  }

  return [
    {
      method: 'POST',
      path: /^\/channels\/([^/]*)\/(?:messages|publish)$/,
      answer(call) {
        const entry = send(call.caller(), call.path[0], call.body());
        const serials = entry.messages?.map(({ serial }) => serial);
        return { status: 201, body: { channel: call.path[0], messageId: entry.id, serials } };
      },
    },
    { method: 'GET', path: /^\/channels\/([^/]*)\/(?:messages|history)$/, answer: (call) => history(call, 'messages') },
    {
      // With version 2 and older, one spec: a flat list of what became of each channel.
      method: 'POST',
      path: /^\/messages$/,
      answer(call) {
        const { given, results } = batch(call);
        const isOld = Number(call.version.split('.')[0]) < 3;
        if (isOld) return { status: 201, body: results.flatMap((result) => result.results) };
        return { status: 201, body: Array.isArray(given) ? results : results[0] };
      },
    },
    {
      method: 'GET',
      path: /^\/presence$/,
      answer(call) {
        const caller = call.caller();
        const names = (call.query.get('channels') ?? '').split(',');
        if (names.length > MAX_BATCH)
          throw new AblyError(
            90010,
            `Max number of channels permitted in a single batch presence request (${MAX_BATCH}) exceeded`,
            400,
          );
        const body = each(names, (name) => {
          const channel = find(caller, name);
          demand(caller, channel.name, 'presence');
          return { presence: channel.members.list().map((item) => render(call.format, item)) };
        });
        return { body };
      },
    },
    {
      method: 'GET',
      path: /^\/channels\/([^/]*)\/presence$/,
      answer(call) {
        const caller = call.caller();
        const channel = find(caller, call.path[0]);
        demand(caller, channel.name, 'subscribe');
        const wants = (name: 'clientId' | 'connectionId', item: WirePresence): boolean =>
          [null, item[name]].includes(call.query.get(name));
        const members = channel.members.list().filter((item) => wants('clientId', item) && wants('connectionId', item));
        const limit = readLimit(call.query);
        return { body: members.slice(0, limit).map((item) => render(call.format, item)) };
      },
    },
    { method: 'GET', path: /^\/channels\/([^/]*)\/presence\/history$/, answer: (call) => history(call, 'presence') },
    {
      method: 'GET',
      path: /^\/channels\/([^/]*)$/,
      answer(call) {
        const caller = call.caller();
        const channel = find(caller, call.path[0]);
        demand(caller, channel.name, 'channel-metadata');
        const subscribers = channel.subscribers.size;
        const presenceMembers = channel.members.list().length;
        const metrics = {
          connections: subscribers,
          publishers: subscribers,
          subscribers,
          presenceConnections: subscribers,
          presenceMembers,
          presenceSubscribers: subscribers,
        };
        const isActive = subscribers > 0;
        return { body: { channelId: channel.name, status: { isActive, occupancy: { metrics } } } };
      },
    },
  ];
}

/** Members that were there from the beginning entered before everything else. */
function fixtures(channel: Channel, kind: string, { format }: RestCall): readonly Placed[] {
  if (kind !== 'presence') return [];
  const fixed = channel.members.of('fixture');
  return fixed.map((item, index) => ({
    place: index - fixed.length,
    at: 0,
    item: render(format, { ...item, action: PRESENCE.ENTER }),
  }));
}
