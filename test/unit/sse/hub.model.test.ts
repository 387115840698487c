/** The hub against a naive oracle: readers that stop and go at random, and a full log of what happened. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Channel } from '../../../adapters/channel.js';
import type { LogEntry, Notification } from '../../../adapters/contract.js';
import { isAfter, makePosition, type Position, parsePosition } from '../../../adapters/position.js';
import type { Connection } from '../../../adapters/sse/connection.js';
import { createSseServer } from '../../../adapters/sse/server.js';
import { createHistory } from '../../../server/history.js';
import { at, handClock, windowOf } from '../../kit/entries.js';
import { type FakeSink, fakeSink, type Written } from '../../kit/fake-sink.js';
import { CHANNELS, concerns, notification, resync } from '../../kit/oracle.js';

const SHARED = CHANNELS.filter((channel) => !channel.startsWith('@'));
const pick = fc.nat(100);

const step = fc.oneof(
  {
    weight: 14,
    arbitrary: fc.record({ do: fc.constant('append' as const), entry: notification as fc.Arbitrary<LogEntry> }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('append' as const), entry: resync }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      entry: fc
        .constantFrom(undefined, { entity: 'A', id: '1' }, { entity: 'A' })
        .map((object): LogEntry => ({ kind: 'revoke', users: ['u'], ...(object && { object }) })),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('open' as const),
      user: fc.constantFrom('u', 'u', 'v'),
      channels: fc.uniqueArray(fc.constantFrom(...SHARED), { minLength: 1 }),
      // Of the way to the top; above 100: from now on; 0: of another epoch.
      from: fc.array(fc.integer({ min: 0, max: 160 }), { minLength: SHARED.length + 1, maxLength: SHARED.length + 1 }),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom('block' as const, 'unblock' as const), which: pick }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('uncover' as const), which: pick, channel: pick }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cut' as const), which: pick }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom('tick' as const, 'beat' as const) }) },
);

/** One stream, as the test knows it. */
interface Stream {
  readonly connection: Connection;
  readonly sink: FakeSink;
  readonly opened: number;
  /** Where each channel is read from: the position given, or where the stream was opened. */
  readonly from: ReadonlyMap<Channel, Position>;
  /** What was written, with the step in which it was. */
  readonly written: (Written & { step: number })[];
  cut: boolean;
}

interface Happened {
  readonly position: Position;
  readonly entry: LogEntry;
  readonly step: number;
}

const upTo = (position: Position, limit: Position): boolean => position === limit || isAfter(limit, position);

/** Whether a written event tells a reader of `channel` of what happened. */
function standsFor(event: Written & { step: number }, one: Happened, channel: Channel, stream: Stream): boolean {
  const { type, data } = event;
  if (type === 'resync') {
    return (
      (data.channels === null || data.channels.includes(channel)) && event.step >= Math.max(one.step, stream.opened)
    );
  }
  if (type !== 'notification' || one.entry.kind !== 'notification') return false;
  const told: Notification = one.entry.notification;
  const by = data;
  const addressed = channel.startsWith('@');
  const reduced = by.changedDate === undefined;
  return (
    upTo(one.position, by.position) &&
    by.action === told.action &&
    (by.to === true) === addressed &&
    by.entity === told.entity &&
    (addressed ? by.id === told.id : true) &&
    (channel.includes('/') && !addressed
      ? !reduced && (by.id ?? channel) === (by.id ? channel.split('/')[1] : channel)
      : true) &&
    (by.cause === undefined || by.cause === told.cause) &&
    (by.except ?? []).every((hash: string) => told.except?.includes(hash))
  );
}

/** The channels that the stream covered when it had written `index` events. */
function coveredAt(stream: Stream, index: number): Set<Channel> {
  const covered = new Set(stream.from.keys());
  for (const { type, data } of stream.written.slice(0, index))
    if (type === 'reauthorise' || type === 'refused') for (const channel of data.channels) covered.delete(channel);
  return covered;
}

function must(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(`not so: ${otherwise}`);
}

function check(stream: Stream, log: readonly Happened[]): void {
  const { written } = stream;
  // Ascending, each entry in one rendering only.
  let last: Position | undefined;
  let lastId: Position | undefined;
  for (const { type, id, data } of written) {
    if (id !== undefined) {
      if (lastId) must(upTo(lastId, id as Position), `${id} after ${lastId}`);
      lastId = id as Position;
    }
    if (type !== 'notification') continue;
    must(parsePosition(data.position) !== undefined, 'a position');
    if (last) must(isAfter(data.position, last), `${data.position} after ${last}`);
    if (id !== undefined) must(id === data.position, `${id} for ${data.position}`);
    last = data.position;
  }

  written.forEach(({ type, id, data, step: when }, index) => {
    const covered = coveredAt(stream, index);
    if (type === 'notification') {
      const { entity, to, changedDate } = data;
      // The reduced rendering does not tell the object; the log does.
      const source = log.find(({ position }) => position === data.position)?.entry;
      const object = source?.kind === 'notification' ? source.notification.id : undefined;
      const full = to
        ? [...covered].some((channel) => channel.startsWith('@'))
        : [...covered].some((channel) =>
            object === undefined ? channel.startsWith(`${entity}/`) : channel === `${entity}/${object}`,
          );
      // Nobody hears what they may not see: in full only with the object, reduced only with the list.
      if (changedDate !== undefined) must(full, `full ${JSON.stringify(data)}`);
      // At the opening the object may have been seen already, or be one to refresh, while the list is replayed.
      else must(covered.has(entity) && (!full || when === stream.opened), `reduced ${JSON.stringify(data)}`);
    }
    if (id === undefined) return;
    // Positions cannot run ahead of what was written.
    for (const channel of covered) {
      const from = stream.from.get(channel) as Position;
      for (const one of log) {
        const { position, entry } = one;
        if (entry.kind === 'revoke' || !isAfter(position, from) || !upTo(position, id as Position)) continue;
        if (!concerns(entry, channel)) continue;
        const standing = written.slice(0, index + 1).some((event) => standsFor(event, one, channel, stream));
        // What was merged into something later is replayed with it.
        const later =
          entry.kind === 'notification' &&
          log.some(
            (other) =>
              isAfter(other.position, id as Position) &&
              other.step <= (written[index] as { step: number }).step &&
              other.entry.kind === 'notification' &&
              concerns(other.entry, channel) &&
              other.entry.notification.action === entry.notification.action &&
              (!channel.includes('/') || other.entry.notification.id === entry.notification.id),
          );
        if (!standing && !later)
          throw new Error(
            `id ${id} (event ${index}) was written before ${position} ${JSON.stringify(entry)} for ${channel}`,
          );
      }
    }
  });

  // Nothing is missing in the end.
  if (stream.cut || stream.connection.closed) return;
  for (const channel of coveredAt(stream, written.length)) {
    const from = stream.from.get(channel) as Position;
    for (const one of log) {
      if (one.entry.kind === 'revoke' || !concerns(one.entry, channel)) continue;
      if (upTo(one.position, from)) continue;
      if (!written.some((event) => standsFor(event, one, channel, stream)))
        throw new Error(`${one.position} ${JSON.stringify(one.entry)} was never told to ${channel}`);
    }
  }
}

describe('DESIGN 6, "Positions cannot run ahead of what was written" and "Conflation makes slow readers harmless"', () => {
  test('row 15, row 18, row 33: any order of notifications, openings, stops, revocations and ticks', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 50 }), (steps) => {
        const { now, pass } = handClock();
        const history = createHistory(windowOf(0, 0), { retention: 1e9, cap: 1e6, now });
        const soon: (() => void)[] = [];
        const server = createSseServer({ history, monotonic: now, soon: (run) => soon.push(run) });
        const { hub } = server;
        const log: Happened[] = [];
        const streams: Stream[] = [];
        let offset = 0;

        const tick = (): void => {
          for (const run of soon.splice(0)) run();
        };
        const collect = (index: number): void => {
          for (const { sink, written } of streams)
            written.push(...sink.take().map((event) => ({ ...event, step: index })));
        };

        steps.forEach((one, index) => {
          const at100 = (which: number): Stream | undefined => streams[which % streams.length];
          switch (one.do) {
            case 'append': {
              const position = at(++offset);
              log.push({ position, entry: one.entry, step: index });
              history.apply({ position, entry: one.entry }, true);
              server.deliver({ position, entry: one.entry });
              break;
            }
            case 'open': {
              const sink = fakeSink();
              const own = one.user === 'u' ? ['@user/u', '@session/s'] : ['@user/v'];
              const connection = hub.open(
                sink,
                { users: [one.user], own, standard: false },
                { protocol: 1, epoch: 'epoch', user: one.user, heartbeat: 15_000 },
              );
              const after = one.from.map((part): Position | null =>
                part > 100 ? null : part === 0 ? makePosition('other', 1) : at(Math.round((part / 100) * offset)),
              );
              const read = (position: Position | null): Position => position ?? at(offset);
              const given = new Map<Channel, Position>();
              for (const [n, channel] of one.channels.entries()) {
                const position = after[n];
                if (position) given.set(channel, position);
              }
              const from = new Map<Channel, Position>();
              for (const channel of one.channels) from.set(channel, read(given.get(channel) ?? null));
              for (const channel of own) from.set(channel, read(after.at(-1) ?? null));
              hub.cover(connection, {
                channels: new Map(one.channels.map((channel) => [channel, 1e15])),
                after: given,
                own: after.at(-1) ?? null,
                refused: [],
                reauthorise: [],
              });
              streams.push({ connection, sink, opened: index, from, written: [], cut: false });
              break;
            }
            case 'block': {
              const stream = at100(one.which);
              if (stream) stream.sink.blocked = true;
              break;
            }
            case 'unblock':
              at100(one.which)?.sink.unblock();
              break;
            case 'uncover': {
              const stream = at100(one.which);
              const channel = SHARED[one.channel % SHARED.length] as Channel;
              if (stream) hub.uncover(stream.connection, [channel], 'reauthorise');
              break;
            }
            case 'cut': {
              const stream = at100(one.which);
              stream?.sink.cut();
              if (stream) stream.cut = true;
              break;
            }
            case 'tick':
              tick();
              break;
            case 'beat':
              hub.beat(history.top);
              break;
          }
          pass(10);
          collect(index);
        });
        for (const { sink } of streams) sink.unblock();
        tick();
        for (const { sink } of streams) sink.unblock();
        hub.beat(history.top);
        collect(steps.length);

        for (const stream of streams) check(stream, log);
        // Row 57: whoever went away takes no memory with it.
        for (const { sink } of streams) sink.cut();
        expect(server.hub.counts()).toMatchObject({ connections: 0, channels: 0, users: 0 });
        void server.close(0);
      }),
      { numRuns: 300 },
    );
  });
});
