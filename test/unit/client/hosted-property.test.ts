/** Whatever a provider does to a page, nothing is missed: random orders of everything that can happen. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Refresh } from '../../../widget/client/index.js';
import { createHostedBench, type Entry, renderings } from '../../kit/hosted.js';
import { errorAnswer } from '../../kit/scripted-server.js';

const objects = [
  { entity: 'Order', id: '1' },
  { entity: 'Order', id: '2' },
  { entity: 'Order' },
  { entity: 'Report', id: '1' },
] as const;

const object = fc.nat({ max: objects.length - 1 });
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('notify' as const), object }) },
  // Kept back, to be carried later, in any order, twice, or never.
  { weight: 6, arbitrary: fc.record({ do: fc.constant('append' as const), object }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('carry' as const), which: fc.nat() }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(0, 20, 700, 3_000, 8_000) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constant(70_000) }) },
  ...(['attach', 'missed', 'rubbish', 'hold', 'letGo', 'wake', 'hide', 'show', 'fail', 'slow', 'prompt'] as const).map(
    (what) => ({ weight: 1, arbitrary: fc.constant({ do: what }) }),
  ),
  { weight: 1, arbitrary: fc.record({ do: fc.constant('down' as const), code: fc.constantFrom('network', 'limit') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('check' as const), ms: fc.nat({ max: 30_000 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('lag' as const), by: fc.nat({ max: 4 }) }) },
  // The set changes: an object more, or one less.
  { weight: 2, arbitrary: fc.record({ do: fc.constant('listen' as const), id: fc.nat({ max: 3 }) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const idOf = (each: { entity: string; id?: string }): string | undefined => each.id;

const concerns = ({ notification }: Entry, { entity, id }: { entity: string; id?: string }): boolean =>
  notification.entity === entity && (id === undefined || notification.id === undefined || notification.id === id);

async function play(steps: readonly Step[], most: number, chance: number): Promise<void> {
  const bench = createHostedBench({}, most);
  const { client, world, server, provider, log, lifecycle, errors, traces } = bench;
  const heard: { at: number; refresh: Refresh }[][] = objects.map(() => []);
  const more = new Map<number, () => void>();
  server.grantLife = 100_000;
  world.chance = chance;
  objects.forEach((each, at) => {
    client.listen(
      each,
      { '*': (refresh) => heard[at]?.push({ at: world.monotonic(), refresh }) },
      { loadedAt: world.now() },
    );
  });
  await world.until(() => client.status().state === 'connected');
  /** When each entry was appended, on the same clock as the runs. */
  const born = new Map<Entry, number>();
  const append = (which: number): Entry => {
    const entry = log.append(objects[which] as { entity: string; id?: string });
    born.set(entry, world.monotonic());
    return entry;
  };
  /** The provider carries it, if it carries anything. */
  let carries = true;
  const carry = (entry: Entry) => {
    if (carries) log.carry(entry);
  };

  for (const now of steps) {
    const { line } = provider;
    if (now.do === 'notify') carry(append(now.object));
    else if (now.do === 'append') append(now.object);
    else if (now.do === 'carry') {
      const entry = log.entries[now.which % Math.max(1, log.entries.length)];
      if (entry) carry(entry);
    } else if (now.do === 'pass') await world.advance(now.ms);
    else if (now.do === 'attach') {
      carries = true;
      line.attach();
    } else if (now.do === 'down') {
      carries = false;
      line.down(now.code as 'network');
    } else if (now.do === 'missed') line.missed();
    else if (now.do === 'rubbish') line.message('{');
    else if (now.do === 'check') line.message({ check: now.ms });
    else if (now.do === 'hold') log.held = true;
    else if (now.do === 'letGo') log.letGo();
    else if (now.do === 'wake') lifecycle.wake();
    else if (now.do === 'hide') lifecycle.hide();
    else if (now.do === 'show') lifecycle.show();
    else if (now.do === 'fail') log.insteadOfReads.push(() => errorAnswer(503, 'unavailable'));
    else if (now.do === 'slow') provider.attaches = false;
    else if (now.do === 'prompt') provider.attaches = true;
    else if (now.do === 'lag') log.tail = Math.max(log.tail === Infinity ? 0 : log.tail, log.entries.length - now.by);
    else if (now.do === 'listen') {
      const leave = more.get(now.id);
      more.delete(now.id);
      if (leave) leave();
      else more.set(now.id, client.listen({ entity: 'More', id: String(now.id) }, { '*': () => {} }).close);
    }
    await world.settle();
  }

  // Everything is well again: within the published bound each page is as new as the log.
  lifecycle.show();
  provider.attaches = true;
  log.tail = Number.POSITIVE_INFINITY;
  log.insteadOfReads.length = 0;
  log.letGo();
  provider.line.attach();
  await world.advance(70_000);
  expect(client.status().state).toBe('connected');
  expect(client.status().via).toBe('pusher');

  objects.forEach((each, at) => {
    const runs = heard[at] ?? [];
    for (const { refresh } of runs) {
      // Nothing runs for what does not concern it, and nothing but what was notified: no read was refused, no log changed.
      expect(refresh.reason).not.toBe('resync');
      const { notification } = refresh;
      const entry = log.entries.find(({ notification: { position } }) => position === notification?.position) as Entry;
      expect(concerns(entry, each)).toBe(true);
    }
    const last = [...born].filter(([entry]) => concerns(entry, each)).at(-1);
    if (last) expect(runs.at(-1)?.at, `${JSON.stringify(each)}: the last run`).toBeGreaterThanOrEqual(last[1]);
    // Each one was handed to the listener: no base moved over what had not arrived.
    const told = traces.filter((trace) => trace.object.entity === each.entity && trace.object.id === idOf(each));
    const missing = log.entries
      .filter((entry) => concerns(entry, each))
      .map(({ notification }) => notification.position)
      .filter((position) => !told.some((trace) => trace.notification?.position === position));
    expect(missing, `${JSON.stringify(each)}: never told`).toEqual([]);
  });
  // Bases never go back, and every read asks from them.
  for (const channel of ['Order/1', 'Order/2', 'Order', 'Report/1']) {
    const offsets = log.reads.map(({ channels }) => Number(channels[channel]?.slice(3) ?? 0));
    expect(
      [...offsets].sort((a, b) => a - b),
      channel,
    ).toEqual(offsets);
  }
  // What failed four times in a row is told.
  const passing = ['limit', 'network', 'unavailable'];
  expect(errors.filter((error) => 'code' in error && !passing.includes(error.code))).toEqual([]);
  client.close();
  log.letGo();
  await world.settle();
  expect([world.timers, provider.line.closed]).toEqual([0, true]);
}

test('property: every listener runs for the last notification of its object, or later, whatever the provider does', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 40 }),
      fc.constantFrom(1_000, 1_000, 2),
      fc.constantFrom(0, 0.5, 0.999),
      play,
    ),
    { numRuns: 100 },
  );
});

test('the renderings that the property relies on are those of the protocol', () => {
  const notification = { entity: 'Order', id: '1', action: 'a', position: 'e1:1', changedDate: 1 } as const;
  expect(renderings({ notification, at: 0 }).map(({ channel }) => channel)).toEqual(['Order/1', 'Order']);
  const { id: _, ...whole } = notification;
  expect(renderings({ notification: whole, at: 0 }).map(({ channel }) => channel)).toEqual(['Order', 'Order/*']);
});
