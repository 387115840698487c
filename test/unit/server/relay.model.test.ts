/** The relay against a naive list of what was appended, in any order of faults, takeovers and waits. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Channel, channelOf } from '../../../adapters/channel.js';
import type { LogEntry, Logged } from '../../../adapters/contract.js';
import { comparePositions, isAfter, type Position } from '../../../adapters/position.js';
import { CHECK_ACTION, EVERYBODY, type Outgoing } from '../../../adapters/provider.js';
import { routeOf } from '../../../adapters/route.js';
import { createMemoryEngine, createMemoryLog } from '../../../server/log/memory.js';
import { ASK_EVERY, LEASE_LIFE } from '../../../server/relay.js';
import { CHANNELS, concerns, notification, resync } from '../../kit/oracle.js';
import { ACCEPTED, later, scriptedProvider } from '../../kit/provider.js';
import { type RelayNode, relayNode } from '../../kit/relay-node.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

type Mood = 'accepts' | 'broken' | 'held' | 'picky' | 'slow';
type Step =
  | { readonly append: LogEntry[] }
  | { readonly wait: number }
  | { readonly mood: Mood }
  | { readonly fault: 'kill' | 'cut' | 'mend' | 'close' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc
      .array(fc.oneof({ weight: 8, arbitrary: notification }, { weight: 1, arbitrary: resync }), {
        minLength: 1,
        maxLength: 4,
      })
      .map((append) => ({ append })),
  },
  { weight: 4, arbitrary: fc.constantFrom(0, 200, 1_500, 9_000, 40_000).map((wait) => ({ wait })) },
  {
    weight: 4,
    arbitrary: fc.constantFrom<Mood>('accepts', 'broken', 'held', 'picky', 'slow').map((mood) => ({ mood })),
  },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom('kill' as const, 'cut' as const, 'mend' as const, 'close' as const)
      .map((fault) => ({ fault })),
  },
);

/** Whether an item makes those who hear it on `channel` learn of an entry: by a hint as new, or by reading. */
function stands(
  { channels, action, position, json }: Outgoing,
  channel: Channel,
  { position: at, entry }: Logged,
): boolean {
  if (isAfter(at, position)) return false;
  if (action === CHECK_ACTION) return channels.includes(EVERYBODY) || channels.includes(channel);
  if (entry.kind !== 'notification' || !channels.includes(channel) || action !== entry.notification.action)
    return false;
  const { cause, id } = JSON.parse(json) as { cause?: string; id?: string };
  // A page skips its own cause: a hint that stands for a change of somebody else must not carry it.
  if (cause !== undefined && cause !== entry.notification.cause) return false;
  return entry.to === undefined || id === entry.notification.id;
}

/** The provider's channels on which an entry must be told: those of its route, or of the objects of a resync. */
function channelsFor(entry: LogEntry): readonly Channel[] {
  if (entry.kind === 'notification') {
    const { full, reduced } = routeOf(entry);
    return reduced === undefined ? full : [...full, reduced];
  }
  return CHANNELS.filter((channel) => !channel.startsWith('@') && concerns(entry, channel)).filter(
    (channel) => entry.kind === 'resync' && (!entry.objects || entry.objects.some((one) => channelOf(one) === channel)),
  );
}

describe('promise 1, never silently stale: whatever the provider, the engine and the nodes do', () => {
  test('rows 14, 15: every entry is told on each of its channels; the checkpoint never passes one that was not', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 30 }),
        fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
        async (steps, dice) => {
          const engine = createMemoryEngine();
          const random = (): number => dice.next().value as number;
          const provider = scriptedProvider();
          const log: Logged[] = [];
          const nodes: RelayNode[] = [];
          /** What a checkpoint was moved past although nobody had been told. */
          const passed: unknown[] = [];
          let since: Position | undefined;

          const untold = (upTo: Position): unknown[] =>
            log
              .filter(({ position }) => since !== undefined && isAfter(position, since) && !isAfter(position, upTo))
              .flatMap((logged) =>
                channelsFor(logged.entry)
                  .filter((channel) => !provider.accepted.some((item) => stands(item, channel, logged)))
                  .map((channel) => [channel, logged]),
              );
          const join = (): void => {
            const node = relayNode(createMemoryLog({ engine }), provider.adapter, { random });
            node.checkpoints.push = (position: Position) => {
              since ??= position;
              passed.push(...untold(position));
              return 0;
            };
            nodes.push(node);
          };
          const mood = (next: Mood): void => {
            provider.broken = next === 'broken' ? new Error('down') : undefined;
            provider.outcome = () =>
              next === 'picky' && random() < 0.5
                ? later('picky')
                : next === 'slow' && random() < 0.3
                  ? later('slow', 5_000)
                  : ACCEPTED;
            provider.held = next === 'held';
          };

          join();
          join();
          await vi.advanceTimersByTimeAsync(1_100); // the first check, and the first checkpoint
          for (const one of steps) {
            if ('append' in one) {
              const positions = await createMemoryLog({ engine }).append(one.append);
              log.push(...one.append.map((entry, n) => ({ entry, position: positions[n] as Position })));
              await vi.advanceTimersByTimeAsync(0);
            } else if ('wait' in one) await vi.advanceTimersByTimeAsync(one.wait);
            else if ('mood' in one) mood(one.mood);
            else {
              const node = nodes.find(({ relay }) => relay.metrics().holds) ?? nodes[0];
              if (one.fault === 'cut' && node) node.engine = 'fails';
              if (one.fault === 'mend') for (const each of nodes) each.engine = 'works';
              if ((one.fault === 'kill' || one.fault === 'close') && node) {
                nodes.splice(nodes.indexOf(node), 1);
                if (one.fault === 'kill') node.kill();
                else {
                  const closed = node.relay.close();
                  await vi.advanceTimersByTimeAsync(10_000);
                  await closed;
                }
                join();
              }
            }
          }
          mood('accepts');
          for (const node of nodes) node.engine = 'works';
          await vi.advanceTimersByTimeAsync(LEASE_LIFE + ASK_EVERY + 70_000);

          const { top } = engine.window();
          expect([passed, untold(top)]).toEqual([[], []]);
          expect(nodes.filter(({ relay }) => relay.metrics().holds)).toHaveLength(1);
          expect(nodes.map(({ relay }) => relay.metrics().waiting)).toEqual([0, 0]);
          for (const channel of CHANNELS) {
            // What comes last on a channel is never older than the log's last: nothing old overtakes something new.
            const newest = log.filter(({ entry }) => channelsFor(entry).includes(channel)).at(-1);
            const last = provider.accepted
              .filter(
                (item) =>
                  item.channels.includes(channel) ||
                  (newest && item.channels.includes(EVERYBODY) && stands(item, channel, newest)),
              )
              .at(-1);
            if (newest?.entry.kind === 'notification' && last && !isAfter(since ?? last.position, newest.position))
              expect(comparePositions(last.position, newest.position)).toBeGreaterThanOrEqual(0);
          }
          for (const node of nodes) node.kill();
          vi.clearAllTimers();
        },
      ),
      { numRuns: 60 },
    );
  });
});
