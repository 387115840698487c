/** The history against a naive full log: whoever reads from wherever is told of everything that changed, or to refresh. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { channelOf } from '../../../adapters/channel.js';
import type { LogEntry, Logged } from '../../../adapters/contract.js';
import { isAfter } from '../../../adapters/position.js';
import { createHistory } from '../../../server/history.js';
import { at, handClock, windowOf } from '../../kit/entries.js';
import { CHANNELS, concerns, notification, resync } from '../../kit/oracle.js';

const RETENTION = 1_000;

const step = fc.oneof(
  { weight: 12, arbitrary: fc.tuple(notification, fc.integer({ min: 1, max: 3 })) },
  { weight: 1, arbitrary: fc.tuple(resync, fc.constant(1)) },
  { weight: 3, arbitrary: fc.constantFrom(10, 400, 700) },
);

describe('promise 1, never silently stale: every reader is told to refresh, or of everything', () => {
  test('DESIGN 6, "Merging": for every entry after its position a reader gets one that stands for it, or a resync', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 40 }),
        fc.constantFrom(3, 6, 1_000),
        fc.array(fc.tuple(fc.constantFrom(...CHANNELS), fc.double({ min: 0, max: 1, noNaN: true })), {
          minLength: 1,
          maxLength: 5,
        }),
        (steps, cap, wanted) => {
          const { now, pass } = handClock();
          const history = createHistory(windowOf(0, 0), { retention: RETENTION, cap, now });
          const log: Logged[] = [];
          let offset = 0;
          for (const one of steps) {
            if (typeof one === 'number') {
              pass(one);
              history.expire();
              continue;
            }
            const [entry, gap] = one;
            offset += gap;
            log.push({ position: at(offset), entry });
            history.apply({ position: at(offset), entry }, true);
          }

          const after = new Map(wanted.map(([channel, part]) => [channel, at(Math.round(part * offset))]));
          const { replay, resync: lost } = history.read(after);
          for (let n = 1; n < replay.length; n++) {
            const [one, next] = [replay[n - 1], replay[n]] as [(typeof replay)[number], (typeof replay)[number]];
            expect(isAfter(next.kept.position, one.kept.position)).toBe(true);
          }
          for (const [channel, from] of after) {
            if (lost.includes(channel)) continue;
            const object = channel.startsWith('@') ? undefined : channel.split('/')[1];
            for (const { position, entry } of log) {
              if (!isAfter(position, from) || !concerns(entry, channel)) continue;
              expect(entry.kind).toBe('notification'); // a resync entry would have made this channel a lost one
              if (entry.kind !== 'notification') continue;
              const told = entry.notification;
              const stands = replay.some(({ kept, reduced }) => {
                const by = kept.entry.notification;
                return (
                  (position === kept.position || isAfter(kept.position, position)) &&
                  concerns(kept.entry, channel) &&
                  by.action === told.action &&
                  // Only whose cause and whose exceptions are those of all does not run.
                  (by.cause === undefined || by.cause === told.cause) &&
                  (by.except ?? []).every((hash) => told.except?.includes(hash)) &&
                  // For an object and on own channels it is in full, and names the same object.
                  (channelOf({ entity: channel }) === channel && !channel.includes('/')
                    ? true
                    : !reduced && (object !== undefined || by.id === told.id)) &&
                  (channel.includes('/')
                    ? Number(by.changedDate) >= Number(told.changedDate) || by.id !== told.id
                    : true)
                );
              });
              if (!stands) {
                throw new Error(`nothing stands for ${position} ${JSON.stringify(told)} on ${channel} after ${from}`);
              }
            }
          }
        },
      ),
      { numRuns: 800 },
    );
  });

  test('DESIGN 6, "the load race": what a page could have missed is younger than its load, or unknown', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), fc.constantFrom(3, 1_000), (steps, cap) => {
        const { now, pass } = handClock();
        const history = createHistory(windowOf(0, 0), { retention: RETENTION, cap, now });
        const happened: { entry: LogEntry; time: number }[] = [];
        let offset = 0;
        for (const one of steps) {
          if (typeof one === 'number') {
            pass(one);
            history.expire();
            continue;
          }
          happened.push({ entry: one[0], time: now() });
          history.apply({ position: at(++offset), entry: one[0] }, true);
        }
        const own = CHANNELS.filter((channel) => channel.startsWith('@'));
        for (const channel of CHANNELS) {
          if (channel.startsWith('@')) continue;
          const latest = history.latest(channel, own) ?? {};
          for (const { entry, time } of happened) {
            if (entry.kind !== 'notification') continue;
            const about = { ...entry, to: undefined } as unknown as LogEntry; // addressed ones concern the same channels
            if (!concerns(about, channel)) continue;
            const elapsed = now() - time;
            const { action } = entry.notification;
            const age = latest[action]?.age ?? Number.POSITIVE_INFINITY;
            expect(age <= elapsed || history.known() <= elapsed).toBe(true);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});
