/** Platforms that cut requests off after a time (`maxDuration`): shipped client, shipped server, virtual time. */
import { createNotifier } from 'notify-listen/server';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { EXPIRY_INTERVAL } from '../../adapters/sse/hub.js';
import { type Fetch, nodeOf, pageOf, passUntil } from '../kit/in-process.js';
import { SECRET } from '../kit/server.js';

interface Platform {
  readonly fetch: Fetch;
  /** How long each stream lasted, by who ended it. */
  readonly streams: { ended: 'page' | 'server' | 'platform' | undefined; ms: number }[];
}

/** A platform that cuts every request off after `max` milliseconds. */
function platformOf(inner: Fetch, max: number): Platform {
  const streams: Platform['streams'] = [];
  return {
    streams,
    async fetch(input, init = {}) {
      const began = performance.now();
      const { body } = init;
      const cut = new AbortController();
      const timer = setTimeout(() => cut.abort(), max);
      const answer = await inner(input, {
        ...init,
        signal: AbortSignal.any([cut.signal, ...(init.signal ? [init.signal] : [])]),
      });
      if (!String(body).includes('"wait":"stream"') || !answer.body) {
        if (cut.signal.aborted) throw new TypeError('cut off by the platform');
        clearTimeout(timer);
        return answer;
      }
      const record: Platform['streams'][number] = { ended: undefined, ms: 0 };
      streams.push(record);
      const over = (ended: 'page' | 'server' | 'platform'): void => {
        clearTimeout(timer);
        record.ended ??= ended;
        record.ms ||= performance.now() - began;
      };
      cut.signal.addEventListener('abort', () => over('platform'));
      init.signal?.addEventListener('abort', () => over('page'));
      const watched = answer.body.pipeThrough(new TransformStream({ flush: () => over('server') }));
      return new Response(watched, { status: answer.status, headers: answer.headers });
    },
  };
}

describe('with a platform that cuts', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(async () => {
    await vi.advanceTimersByTimeAsync(10_000);
    vi.useRealTimers();
  });

  test.each([
    [5_000, 50],
    [60_000, 12],
  ])(
    '%i ms: of %i streams in a row none is cut, the status stays, nothing is lost, repeated or refreshed without a cause',
    async (max, count) => {
      const node = nodeOf({ maxDuration: max });
      const platform = platformOf(node.fetch, max);
      const page = pageOf('ann', platform.fetch);
      const heard: string[] = [];
      const listening = page.listen(
        { entity: 'Order', id: 1 },
        { '*': ({ reason, notification }) => void heard.push(notification?.action ?? reason) },
        { loadedAt: Date.now() },
      );
      await passUntil(() => page.status().state === 'connected');
      await listening.ready;
      heard.length = 0;
      const states: string[] = [];
      page.onStatus(() => states.push(page.status().state));
      const sent: string[] = [];
      while (platform.streams.length <= count) {
        sent.push(`n${sent.length}`);
        await node.notifier.notify(sent.at(-1) as string, { entity: 'Order', id: 1 });
        await vi.advanceTimersByTimeAsync(max / 13);
      }
      await vi.advanceTimersByTimeAsync(1_000);
      expect(heard).toEqual(sent);
      expect(states).toEqual([]);
      const over = platform.streams.filter(({ ended }) => ended);
      expect(over.length).toBeGreaterThanOrEqual(count);
      expect(new Set(over.map(({ ended }) => ended))).toEqual(new Set(['page']));
      for (const { ms } of over) expect(ms).toBeLessThan(max);
      // All but those that made room for a renewed grant.
      expect(over.filter(({ ms }) => ms > max / 2).length).toBeGreaterThan(count * 0.7);
      expect(node.errors).toEqual([]);
    },
  );

  test('a page that does not open another is ended by the server, before the cut', async () => {
    const node = nodeOf({ maxDuration: 60_000 });
    const platform = platformOf(node.fetch, 60_000);
    const answer = await platform.fetch('http://nodes.example/notify-listen/stream', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-user': 'ann' },
      body: JSON.stringify({ protocol: 1, wait: 'stream', grants: [], channels: {}, own: null }),
    });
    const text = answer.text();
    await vi.advanceTimersByTimeAsync(60_000);
    const events = (await text).split('\n\n').filter((each) => !each.includes('heartbeat'));
    expect(events.at(-2)).toBe('event: goodbye\ndata: {"within":4000,"lasts":8000}');
    const [{ ended, ms }] = platform.streams as [Platform['streams'][number]];
    expect(ended).toBe('server');
    expect(ms).toBeGreaterThan(58_000 - 3 * EXPIRY_INTERVAL);
    expect(ms).toBeLessThanOrEqual(58_000);
  });

  test('a long poll is answered before; so is a question that the application does not answer', async () => {
    const node = nodeOf({
      maxDuration: 10_000,
      user: (request) => (request.headers.get('x-user') === 'slow' ? new Promise(() => {}) : 'ann'),
      canListen: { Order: { one: (_user, id) => (id === 'slow' ? new Promise<boolean>(() => {}) : true) } },
    });
    const post = (path: string, user: string, body: object): Promise<Response> =>
      node.fetch(`http://nodes.example/notify-listen${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-user': user },
        body: JSON.stringify({ protocol: 1, ...body }),
      });
    const stream = { wait: 'poll', grants: [], channels: {}, own: null };
    const took = async (answer: Promise<Response>): Promise<[number, Response]> => {
      const began = performance.now();
      const response = await answer;
      return [performance.now() - began, response];
    };
    const answers = Promise.all([
      took(post('/stream', 'ann', stream)),
      took(post('/stream', 'slow', stream)),
      took(
        post('/auth', 'ann', {
          objects: [
            { entity: 'Order', id: 'slow' },
            { entity: 'Order', id: '1' },
          ],
        }),
      ),
    ]);
    await vi.advanceTimersByTimeAsync(20_000);
    const [poll, who, may] = await answers;
    expect(poll[0]).toBe(9_000);
    expect((await poll[1].json()).events.map(({ type }: { type: string }) => type)).toEqual([
      'hello',
      'ready',
      'heartbeat',
    ]);
    // A quarter of the duration for each question, so that three in a row fit.
    expect([who[0], who[1].status, who[1].headers.get('retry-after')]).toEqual([2_500, 503, '1']);
    expect([may[0], (await may[1].json()).results]).toEqual([2_500, ['retry', 'granted']]);
  });

  test('the whole answer is bounded, too: a body that does not come, a log that is not reached', async () => {
    const node = nodeOf({ maxDuration: 10_000 });
    const body = new ReadableStream({ start() {} });
    const answer = node.fetch('http://nodes.example/notify-listen/stream', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-user': 'ann' },
      body,
      duplex: 'half',
    } as RequestInit);
    await vi.advanceTimersByTimeAsync(9_500);
    expect((await answer).status).toBe(503);
    expect(node.notifier.metrics().connections).toBe(0);
  });

  test('a standard EventSource is told, served, ended before the cut, and comes back after a wait of its own', async () => {
    const node = nodeOf({ maxDuration: 5_000 });
    const open = async (): Promise<string> => {
      const answer = await node.fetch('http://nodes.example/notify-listen/stream?object=Order/42', {
        headers: { 'x-user': 'ann' },
      });
      return answer.text();
    };
    const texts = Promise.all(Array.from({ length: 20 }, open));
    await vi.advanceTimersByTimeAsync(3_600);
    await node.notifier.notify('late', { entity: 'Order', id: 42 });
    await vi.advanceTimersByTimeAsync(900);
    const ends = (await texts).map((text) => {
      expect(text).toMatch(/^retry: \d{4}\nevent: hello\n/);
      const [, retry, rest] =
        /\nretry: (\d+)\nevent: goodbye\ndata: \{"within":625,"lasts":1250\}\n\n(.*)$/s.exec(text) ?? [];
      expect(rest).toContain('"action":"late"');
      return Number(retry);
    });
    expect(Math.min(...ends)).toBeGreaterThanOrEqual(300);
    expect(Math.max(...ends)).toBeLessThanOrEqual(925);
    expect(new Set(ends).size).toBeGreaterThan(10);
  });
});

test('what is no duration is told at the start, with the other mistakes', () => {
  const start = (maxDuration: unknown, constant?: string) => () =>
    void createNotifier({
      user: () => 'ann',
      canListen: {},
      logger: () => {},
      env: { NOTIFY_LISTEN_SECRET: SECRET, NOTIFY_LISTEN_MAX_DURATION: constant },
      ...(maxDuration !== undefined && { maxDuration: maxDuration as number }),
    }).close();
  for (const wrong of [4_999, 0, -60_000, Number.NaN, Number.POSITIVE_INFINITY, '60000', null])
    expect(start(wrong)).toThrow('maxDuration: must be a number of milliseconds, at least 5000');
  for (const wrong of ['60', '4s', '1d', 'never'])
    expect(start(undefined, wrong)).toThrow(
      `NOTIFY_LISTEN_MAX_DURATION is "${wrong}"; write a number with a unit, such as 60s or 5m, of at least 5000 ms`,
    );
  for (const right of ['5s', '60s', '15m', '']) expect(start(undefined, right)).not.toThrow();
  expect(start(60_000)).not.toThrow();
});
