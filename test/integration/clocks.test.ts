/** Steps of the server's wall clock change nothing: docs/deploying.md, "Clocks". The monotonic clock is the real one. */
import { createMemoryLog } from 'notify-listen/log/memory';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { EXPIRY_INTERVAL } from '../../adapters/sse/hub.js';
import { createMemoryEngine } from '../../server/log/memory.js';
import { type EventStream, readEvents } from '../kit/event-stream.js';
import { serve, type TestServer } from '../kit/server.js';

const HOUR = 3_600_000;
const YEAR = 365 * 24 * HOUR;
const STEPS = [HOUR, -HOUR, YEAR, -YEAR];

const real = Date.now.bind(Date);
/** Sets the wall clock of this process so far from the true one. */
const setWall = (ahead: number) => vi.spyOn(Date, 'now').mockImplementation(() => real() + ahead);
afterEach(() => {
  vi.restoreAllMocks();
});

const typesOf = (stream: EventStream): string[] =>
  stream.events.map(({ type }) => type).filter((type) => type !== 'heartbeat');

/** Lets the node look for what has ended, more than twice, and prove its tail meanwhile. */
async function looks(stream: EventStream, heartbeat: number): Promise<void> {
  for (let beat = 0; beat * heartbeat < 2.5 * EXPIRY_INTERVAL; beat++)
    expect((await stream.next('heartbeat')).data.position).toBeDefined();
}

describe('one node', () => {
  test('a step by an hour or a year, either way: no stream ends, nothing is asked again, and the history stays', async () => {
    const heartbeat = 200;
    const can = vi.fn(() => true);
    const server = await serve('Express 5', { heartbeat, canListen: { Order: { one: can } } });
    const { grant } = await server.authorise({ user: 'ann' }, 'Order/42');
    const from = await server.notifier.position();
    const reopen = async (): Promise<EventStream> =>
      readEvents(await server.stream({ user: 'ann' }, { grants: [grant], channels: { 'Order/42': from } }));
    const streams = [
      await reopen(),
      readEvents(await server.send('/stream?object=Order/42', { user: 'bob' })),
      await server.listen({ user: 'cid' }, ['Order/42']),
    ];
    for (const stream of streams) await stream.next('ready');
    const asked = can.mock.calls.length;
    for (const [n, step] of STEPS.entries()) {
      setWall(step);
      await looks(streams[0] as EventStream, heartbeat);
      await server.notifier.notify(`step ${n}`, { entity: 'Order', id: 42 });
      for (const stream of streams) expect((await stream.next('notification')).data.action).toBe(`step ${n}`);
      // A page that comes back shows the grant of before, and is told all that it missed.
      const back = await reopen();
      await back.next('ready');
      expect(typesOf(back)).toEqual(['hello', ...Array(n + 1).fill('notification'), 'ready']);
      back.dispose();
      await expect.poll(async () => (await server.ask('/health')).status).toBe(200);
    }
    for (const stream of streams)
      expect(typesOf(stream)).toEqual(['hello', 'ready', ...STEPS.map(() => 'notification')]);
    expect(can).toHaveBeenCalledTimes(asked);
    expect(server.errors).toEqual([]);
  });

  test.each(STEPS)('a step by %i ms prolongs nothing: cover and stream end when the grant does', async (step) => {
    const server = await serve('Express 5', { grantLife: 700 });
    const began = performance.now();
    const stream = await server.listen({ user: 'ann' }, ['Order/42']);
    await stream.next('ready');
    setWall(step);
    expect((await stream.next('reauthorise')).data.channels).toEqual(['Order/42']);
    await stream.next('goodbye');
    expect(performance.now() - began).toBeGreaterThan(700 - 2 * EXPIRY_INTERVAL);
    expect(performance.now() - began).toBeLessThan(30_000); // not an hour
  });
});

describe('two nodes of which one has a wrong clock', () => {
  async function twoNodes(): Promise<[TestServer, TestServer]> {
    const engine = createMemoryEngine();
    return [
      await serve('Express 5', { log: createMemoryLog({ engine }) }),
      await serve('Express 5', { log: createMemoryLog({ engine }) }),
    ];
  }
  const open = async (server: TestServer, grant: string | undefined): Promise<EventStream> =>
    readEvents(await server.stream({ user: 'ann' }, { grants: [grant], channels: { 'Order/42': null } }));

  test.each(STEPS)(
    '%i ms: a grant of the other node is asked for anew, in band; the node’s own holds',
    async (step) => {
      const [right, wrong] = await twoNodes();
      const { grant } = await right.authorise({ user: 'ann' }, 'Order/42');
      setWall(step);
      const stream = await open(wrong, grant);
      await stream.next('ready');
      expect(typesOf(stream)).toEqual(['hello', 'reauthorise', 'ready']);
      const again = await open(wrong, (await wrong.authorise({ user: 'ann' }, 'Order/42')).grant);
      await again.next('ready');
      expect(typesOf(again)).toEqual(['hello', 'ready']);
    },
  );

  test.each([25_000, -25_000])('%i ms are within what is tolerated: no question more', async (step) => {
    const [right, wrong] = await twoNodes();
    const { grant } = await right.authorise({ user: 'ann' }, 'Order/42');
    setWall(step);
    const stream = await open(wrong, grant);
    await stream.next('ready');
    expect(typesOf(stream)).toEqual(['hello', 'ready']);
  });

  test('a revocation holds whatever the clock says', async () => {
    const [right, wrong] = await twoNodes();
    const { grant } = await right.authorise({ user: 'ann' }, 'Order/42');
    await right.notifier.revoke('ann', { entity: 'Order', id: 42 });
    for (const step of [0, -25_000, ...STEPS]) {
      setWall(step);
      const stream = await open(wrong, grant);
      await stream.next('ready');
      expect(typesOf(stream)).toEqual(['hello', 'reauthorise', 'ready']);
      stream.dispose();
    }
  });
});
