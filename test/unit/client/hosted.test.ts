/** A page on a provider: the states and races of docs/hosted.md, part "In the page". */
import { describe, expect, test } from 'vitest';
import { ListenError } from '../../../adapters/errors.js';
import type { ListenClientOptions } from '../../../widget/client/index.js';
import { createHostedBench, type HostedBench } from '../../kit/hosted.js';
import { errorAnswer } from '../../kit/scripted-server.js';

const order = { entity: 'Order', id: '42' };
const other = { entity: 'Order', id: '7' };
const list = { entity: 'Order' };
const marker = { entity: 'Marker', id: '1' };

/** A connected page that listens to these objects, each with a recorder, and to a marker. */
async function page(
  objects: { entity: string; id?: string }[] = [order],
  options?: ListenClientOptions,
  most?: number,
) {
  const bench = createHostedBench(options, most);
  const { client, world, recorder } = bench;
  const runs = objects.map((object) => {
    const seen = recorder();
    client.listen(object, { '*': seen }, { loadedAt: world.now() });
    return seen.runs;
  });
  const marked = recorder();
  client.listen(marker, { '*': marked }, { loadedAt: world.now() });
  await world.until(() => client.status().state === 'connected');
  return { ...bench, runs, marked: marked.runs, seen: runs[0] as (typeof runs)[number] };
}

/** Everything that was sent has arrived: what comes after it on the same way did. */
async function settled({ world, log, marked }: HostedBench & { marked: unknown[] }): Promise<void> {
  const before = marked.length;
  log.notify(marker);
  await world.until(() => marked.length > before);
  await world.advance(1_200);
}

const positions = (runs: readonly { notification?: { position: string } }[]) =>
  runs.map(({ notification }) => notification?.position);

describe('a link', () => {
  test('asks the provider for its set, reads once, and is there: no stream is opened', async () => {
    const bench = await page();
    const { client, provider, log, server, seen, errors } = bench;
    expect(client.status()).toEqual({ state: 'connected', via: 'pusher', degraded: false });
    expect(provider.line.sets).toEqual([{ grants: ['grant-1'], channels: ['Order/42', 'Marker/1'] }]);
    expect(provider.line.host.config.provider).toBe('pusher');
    expect(server.requests.filter(({ route, body }) => route === 'auth' && 'connection' in (body as object))).toEqual([
      expect.objectContaining({
        body: { protocol: 1, connection: 'line', grants: ['grant-1'], channels: ['Order/42', 'Marker/1'] },
      }),
    ]);
    expect(log.reads).toHaveLength(1);
    expect(server.streams).toEqual([]);
    log.notify(order);
    await settled(bench);
    expect(positions(seen)).toEqual(['e1:11']);
    expect(errors).toEqual([]);
  });

  test('does not read before the provider carries its set', async () => {
    const { client, provider, log, world, recorder } = createHostedBench();
    provider.attaches = false;
    client.listen(order, { '*': recorder() }, { loadedAt: world.now() });
    await world.advance(4_000);
    expect(log.reads).toEqual([]);
    expect(client.status().state).toBe('connecting');
    provider.line.attach();
    await world.advance(10);
    expect(client.status()).toMatchObject({ state: 'connected', via: 'pusher' });
  });

  test('is over the built-in SSE when the provider does not carry within 5 s', async () => {
    const bench = createHostedBench();
    const { client, provider, log, world, server, recorder } = bench;
    provider.attaches = false;
    const seen = recorder();
    client.listen(order, { '*': seen }, { loadedAt: world.now() });
    await world.advance(4_900);
    expect(server.streams).toHaveLength(0);
    await world.advance(600);
    expect(client.status()).toMatchObject({ state: 'connected', via: 'sse', degraded: true });
    expect(log.reads).toEqual([]);
    log.append(order);
    await world.advance(200);
    expect(positions(seen.runs)).toEqual(['e1:11']);
  });

  test.each(['limit', 'forbidden', 'unavailable'] as const)(
    'is over the built-in SSE at once when the provider refuses (%s); it is told once why',
    async (code) => {
      const { client, provider, world, errors, recorder } = createHostedBench();
      provider.attaches = false;
      client.listen(order, { '*': recorder() }, { loadedAt: world.now() });
      await world.until(() => provider.lines.length > 0);
      provider.line.down(code);
      provider.line.down(code);
      await world.advance(400);
      expect(client.status()).toMatchObject({ state: 'connected', via: 'sse', degraded: true });
      expect(errors).toEqual([expect.objectContaining({ code })]);
      // What a provider refuses is never final for the page.
      await world.advance(60_000);
      expect(client.status().state).toBe('connected');
    },
  );

  test('is over the built-in SSE when the adapter throws, or the provider is not there', async () => {
    const { client, provider, world, errors, recorder } = createHostedBench();
    provider.connect = () => {
      throw new Error('no WebSocket here');
    };
    client.listen(order, { '*': recorder() }, { loadedAt: world.now() });
    await world.until(() => client.status().state === 'connected');
    expect(client.status()).toMatchObject({ via: 'sse', degraded: true });
    expect(errors).toEqual([new Error('no WebSocket here')]);
  });

  test('ends with the client, with everything that it started', async () => {
    const bench = await page();
    const { client, provider, world, log } = bench;
    log.held = true;
    provider.line.missed();
    await world.advance(2_000);
    expect(log.reads).toHaveLength(2);
    client.close();
    await world.settle();
    expect(provider.line.closed).toBe(true);
    expect(world.timers).toBe(0);
    log.letGo();
    provider.line.message('{}');
    provider.line.down();
    await world.settle();
    expect(world.timers).toBe(0);
  });

  test('ends while it waits for the provider, and while it is over the built-in SSE', async () => {
    for (const ms of [1_000, 8_000]) {
      const { client, provider, world, server, recorder } = createHostedBench();
      provider.attaches = false;
      client.listen(order, { '*': recorder() }, { loadedAt: world.now() });
      await world.advance(ms);
      client.close();
      await world.settle();
      expect([provider.line.closed, world.timers, server.live().length]).toEqual([true, 0, 0]);
    }
  });

  test('pause ends the connection, resume makes another one and reads from the bases', async () => {
    const bench = await page();
    const { client, provider, log, world, seen } = bench;
    client.pause();
    await world.advance(10);
    expect(provider.line.closed).toBe(true);
    log.append(order);
    client.resume();
    await world.until(() => client.status().state === 'connected');
    await world.advance(200);
    expect(provider.lines.map(({ sets }) => sets.length)).toEqual([1, 1]);
    expect(log.reads.at(-1)?.channels['Order/42']).toBe('e1:10');
    expect(positions(seen)).toEqual(['e1:11']);
  });

  test('asks anew on reconnect(): other settings are another connection', async () => {
    const bench = await page();
    const { client, provider, server, world } = bench;
    server.config.settings = { key: 'rotated' };
    client.reconnect();
    await world.until(() => provider.lines.length === 2 && !provider.lines[0]?.host.config.settings.key);
    await world.advance(100);
    expect(client.status()).toMatchObject({ state: 'connected', via: 'pusher', degraded: false });
    expect([provider.lines[0]?.closed, provider.line.host.config.settings]).toEqual([true, { key: 'rotated' }]);
  });

  test('of another user: the former connection ends, and nothing of the former user goes to the new one', async () => {
    const bench = await page();
    const { provider, server, world, client, log } = bench;
    server.config.user = 'user-bob';
    provider.line.missed();
    await world.until(() => provider.lines.length === 2 && client.status().state === 'connected');
    expect(provider.lines[0]?.closed).toBe(true);
    expect(provider.line.sets[0]?.grants).toEqual(['grant-2']);
    expect(log.reads.at(-1)?.channels).toEqual({ 'Order/42': null, 'Marker/1': null });
  });
});

describe('reads', () => {
  test('a read that fails ends the link, which is tried again; the connection to the provider stays', async () => {
    const bench = await page();
    const { client, provider, log, world, seen } = bench;
    log.insteadOfReads.push(() => errorAnswer(503, 'unavailable', { 'retry-after': '2' }));
    provider.line.missed();
    await world.until(() => client.status().state === 'reconnecting');
    expect(client.status().error?.code).toBe('unavailable');
    // Nothing that comes meanwhile is lost, though no link is there to take it.
    log.notify(order);
    await world.advance(1_500);
    expect(client.status().state).toBe('reconnecting');
    await world.until(() => client.status().state === 'connected');
    await world.advance(200);
    expect(client.status()).toMatchObject({ via: 'pusher', degraded: false });
    expect([provider.lines.length, provider.line.closed, provider.line.sets.length]).toEqual([1, false, 1]);
    expect(positions(seen)).toEqual(['e1:11']);
  });

  test.each([
    ['a login page', () => new Response('<html>', { headers: { 'content-type': 'text/html' } })],
    ['an answer of something else', () => Response.json({ hello: 'world' })],
    ['no answer', () => Promise.reject(new TypeError('cut'))],
  ])('%s in place of one is tried again', async (_, answer) => {
    const bench = await page();
    const { client, provider, log, world } = bench;
    log.insteadOfReads.push(answer);
    provider.line.missed();
    await world.until(() => client.status().state === 'reconnecting');
    await world.until(() => client.status().state === 'connected');
    expect(log.reads).toHaveLength(3);
  });

  test('an answer without "ready" covers nothing: the link does not stay half open', async () => {
    const { client, log, world, recorder } = createHostedBench();
    const hello = { type: 'hello', protocol: 1, epoch: 'e1', user: 'user-ann', heartbeat: 15_000, spread: 0 };
    log.insteadOfReads.push(() => Response.json({ events: [hello] }));
    client.listen(order, { '*': recorder() }, { loadedAt: world.now() });
    await world.until(() => client.status().state === 'connected', 45_000);
    expect(log.reads).toHaveLength(2);
  });

  test('401 in a read: nobody is logged in', async () => {
    const bench = await page();
    const { client, provider, log, world } = bench;
    log.insteadOfReads.push(() => errorAnswer(401, 'unauthenticated'));
    provider.line.missed();
    await world.until(() => client.status().state === 'disconnected');
    expect(provider.line.closed).toBe(true);
  });

  test('one at a time; whatever asks during a read leads to exactly one more', async () => {
    const bench = await page();
    const { provider, log, world } = bench;
    log.held = true;
    provider.line.missed();
    await world.advance(2_000);
    expect(log.reads).toHaveLength(2);
    for (let times = 0; times < 5; times++) provider.line.missed();
    provider.line.message('{"check":0}');
    await world.advance(5_000);
    expect(log.reads).toHaveLength(2);
    log.letGo();
    await world.advance(3_000);
    expect(log.reads).toHaveLength(3);
    await world.advance(30_000);
    expect(log.reads).toHaveLength(3);
  });

  test('"check" is a read within a random part of its time, however often it comes', async () => {
    const bench = await page();
    const { provider, log, world } = bench;
    for (let times = 0; times < 5; times++) provider.line.message({ check: 20_000 });
    // Half of the 20 s, and of the second that is on top.
    await world.advance(10_400);
    expect(log.reads).toHaveLength(1);
    await world.advance(200);
    expect(log.reads).toHaveLength(2);
    await world.advance(30_000);
    expect(log.reads).toHaveLength(2);
  });

  test.each([
    ['text that is no JSON', '{"entity":'],
    ['nothing', null],
    ['a notification without a position', { entity: 'Order', id: '42', action: 'updated' }],
    ['a wrong id', { entity: 'Order', id: 42, action: 'updated', position: 'e1:11' }],
    ['a check of no time', { check: 'soon' }],
  ])('a message that cannot be read (%s) is a read, and the link goes on', async (_, message) => {
    const bench = await page();
    const { provider, log, world, seen, client, errors } = bench;
    log.append(order);
    provider.line.message(message);
    await world.until(() => log.reads.length === 2);
    await world.advance(200);
    expect(positions(seen)).toEqual(['e1:11']);
    log.notify(order);
    await settled(bench);
    expect(positions(seen)).toEqual(['e1:11', 'e1:12']);
    expect([client.status().state, provider.line.sets.length, errors]).toEqual(['connected', 1, []]);
  });

  test.each([[-1e9], [Number.NaN], ['x'], [{}], [0]])('a check of %s does not make a loop of reads', async (check) => {
    const bench = await page();
    const { provider, log, world } = bench;
    for (let ms = 0; ms < 10_000; ms += 50) {
      provider.line.message({ check });
      await world.advance(50);
    }
    expect(log.reads.length).toBeGreaterThan(2);
    expect(log.reads.length).toBeLessThan(12);
  });

  test('a text that is far too long is a read, and nothing of it is kept', async () => {
    const bench = await page();
    const { provider, log, world, seen } = bench;
    const giant = { ...order, action: 'updated', position: 'e1:11', changedDate: 1, detail: 'x'.repeat(5_000) };
    provider.line.message(JSON.stringify(giant));
    await world.advance(2_200);
    expect([log.reads.length, seen.length]).toEqual([2, 0]);
  });

  test.each([[[]], [[{ type: 'heartbeat', spread: 0 }]]])(
    'an answer without "ready" (%j) is a failure',
    async (events) => {
      const bench = await page();
      const { client, provider, log, world } = bench;
      log.insteadOfReads.push(() => Response.json({ events }));
      provider.line.missed();
      await world.until(() => client.status().state === 'reconnecting');
      expect(client.status().error).toMatchObject({ name: 'ListenError', code: 'protocol' });
      await world.until(() => client.status().state === 'connected');
    },
  );

  test('messages that cannot be read do not make a loop of reads', async () => {
    const bench = await page();
    const { provider, log, world } = bench;
    for (let ms = 0; ms < 10_000; ms += 50) {
      provider.line.message('rubbish');
      await world.advance(50);
    }
    expect(log.reads.length).toBeLessThan(25);
  });

  test('a message that was lost in silence is found within 60 s while the page is visible', async () => {
    const bench = await page();
    const { log, world, seen } = bench;
    for (let times = 1; times <= 3; times++) {
      log.append(order);
      await world.advance(60_200);
      expect(seen).toHaveLength(times);
    }
    expect(log.reads.length).toBeLessThanOrEqual(5);
  });

  test('a hidden page does not read; seen again, it reads at once', async () => {
    const bench = await page();
    const { log, world, lifecycle, seen } = bench;
    lifecycle.hide();
    log.append(order);
    await world.advance(150_000);
    expect(log.reads).toHaveLength(1);
    lifecycle.show();
    await world.advance(500);
    expect(positions(seen)).toEqual(['e1:11']);
  });

  test('a message just before the page is seen again proves nothing: the read comes within seconds', async () => {
    const bench = await page();
    const { log, world, lifecycle, seen } = bench;
    lifecycle.hide();
    log.append(order);
    await world.advance(120_000);
    log.notify(marker);
    await world.advance(100);
    lifecycle.show();
    await world.advance(5_200);
    expect(positions(seen)).toEqual(['e1:11']);
  });

  test('silence is no sign of death: an idle link lives on, seen or hidden', async () => {
    const bench = await page();
    const { provider, world, lifecycle, client, log } = bench;
    let changes = 0;
    client.onStatus(() => changes++);
    world.chance = 0.999;
    lifecycle.hide();
    await world.advance(150_000);
    lifecycle.show();
    await world.advance(20_000);
    expect([provider.line.sets.length, changes, log.reads.length]).toEqual([1, 0, 2]);
  });
});

describe('positions', () => {
  test.each([
    ['object', order],
    ['list', list],
  ])("the log's merged copy at a position that was seen is news to the %s", async (_, object) => {
    const bench = await page([object]);
    const { log, seen, world, provider, traces } = bench;
    log.append(order, 'shipped', { except: ['user-ann'] });
    // The newer one alone concerns nobody here; the older one was lost. The kit's reduced form leaves `except` out.
    provider.line.message(
      JSON.stringify({ ...object, action: 'shipped', position: 'e1:11', except: ['user-ann'], changedDate: 1 }),
    );
    await world.advance(100);
    expect(seen).toEqual([]);
    expect(traces.map(({ fate }) => fate)).toContain('filtered');
    log.entries.length = 0;
    log.append(order, 'shipped', { changedDate: 2 });
    provider.line.missed();
    await world.advance(3_000);
    expect(positions(seen)).toEqual(['e1:11']);
    // The same once more, with another wait: nothing new.
    provider.line.message(JSON.stringify({ ...seen[0]?.notification, spread: 5 }));
    await world.advance(3_000);
    expect(seen).toHaveLength(1);
  });

  test('the same content with another wait is no news', async () => {
    const bench = await page();
    const { log, seen, provider, world } = bench;
    const { notification } = log.notify(order);
    provider.line.message(JSON.stringify({ ...notification, spread: 5 }));
    await settled(bench);
    expect([seen.length, seen[0]?.merged]).toEqual([1, 1]);
    await world.advance(1_000);
  });

  test('no message makes a refresh wait longer than a minute', async () => {
    const bench = await page();
    const { log, seen, world } = bench;
    log.notify(order, 'updated', { spread: 2e9 });
    await world.advance(61_000);
    expect(positions(seen)).toEqual(['e1:11']);
  });

  test('what comes between subscribing and the read is seen once', async () => {
    const { client, log, world, provider, recorder, ...rest } = createHostedBench();
    log.held = true;
    const seen = recorder();
    const marked = recorder();
    client.listen(order, { '*': seen }, { position: 'e1:10' });
    client.listen(marker, { '*': marked }, { position: 'e1:10' });
    await world.until(() => log.reads.length === 1);
    log.notify(order);
    log.append(order, 'lost');
    log.letGo();
    await world.until(() => client.status().state === 'connected');
    await settled({ ...rest, client, log, world, provider, recorder, marked: marked.runs } as never);
    expect(seen.runs.map(({ merged, reason }) => [reason, merged])).toEqual([['load', 0]]);
  });

  test('a message of Order/* before an older one of Order/42: both run', async () => {
    const bench = await page();
    const { log, seen, world } = bench;
    const mine = log.append(order);
    const all = log.append(list);
    log.carry(all);
    await world.advance(1_200);
    log.carry(mine);
    await settled(bench);
    expect(positions(seen)).toEqual(['e1:12', 'e1:11']);
  });

  test('the same message twice runs once, also when others came between', async () => {
    const bench = await page();
    const { log, seen, world } = bench;
    const first = log.notify(order);
    const second = log.notify(order);
    await world.advance(1_200);
    const { length } = seen;
    log.carry(first);
    log.carry(second);
    await settled(bench);
    expect(seen).toHaveLength(length);
  });

  test('a message after the read that covered it is dropped, also when it is not remembered any more', async () => {
    const bench = await page();
    const { log, seen, world, provider } = bench;
    const late = log.append(order);
    provider.line.missed();
    await world.advance(1_500);
    expect(positions(seen)).toEqual(['e1:11']);
    provider.line.missed();
    await world.advance(1_500);
    log.carry(late);
    await settled(bench);
    expect(positions(seen)).toEqual(['e1:11']);
  });

  test('a read that a lagging node answered moves the bases no further than that node knows', async () => {
    const bench = await page();
    const { log, seen, world, provider } = bench;
    const slow = log.append(order, 'a');
    log.notify(order, 'b');
    log.tail = 0;
    provider.line.missed();
    await world.advance(1_500);
    expect(log.reads).toHaveLength(2);
    log.carry(slow);
    await world.advance(1_200);
    expect(positions(seen)).toEqual(['e1:12', 'e1:11']);
    log.tail = Number.POSITIVE_INFINITY;
    provider.line.missed();
    await world.advance(1_500);
    expect(log.reads.at(-1)?.channels['Order/42']).toBe('e1:10');
    expect(seen).toHaveLength(2);
  });

  test('messages move no base: what came before them and was lost is found', async () => {
    const bench = await page();
    const { log, seen, world, provider } = bench;
    log.append(order, 'lost');
    log.notify(order, 'told');
    await world.advance(200);
    provider.line.missed();
    await world.advance(2_000);
    expect(log.reads.at(-1)?.channels['Order/42']).toBe('e1:10');
    expect(seen.map(({ notification }) => notification?.action)).toEqual(['told', 'lost']);
  });

  test('of another epoch: it is handed on, and a read tells the rest', async () => {
    const bench = await page();
    const { log, seen, world, server, provider } = bench;
    log.epoch = server.config.epoch = 'e2';
    log.append(order, 'lost');
    log.notify(marker);
    await world.advance(2_500);
    expect(log.reads[1]?.channels['Order/42']).toBe('e1:10');
    expect(seen.map(({ reason }) => reason)).toEqual(['resync']);
    provider.line.missed();
    await world.advance(1_500);
    expect(log.reads[2]?.channels['Order/42']).toBe('e2:12');
    expect(seen).toHaveLength(1);
  });

  test('each change of the log within the life of one link is told', async () => {
    const bench = await page();
    const { log, seen, world, server, provider } = bench;
    for (const epoch of ['e2', 'e3', 'e4']) {
      log.epoch = server.config.epoch = epoch;
      provider.line.missed();
      await world.advance(3_000);
    }
    expect(seen.map(({ reason }) => reason)).toEqual(['resync', 'resync', 'resync']);
    expect(provider.line.sets).toHaveLength(1);
  });

  test('a log that changed without a word is found out at the next read, each time', async () => {
    const bench = await page();
    const { log, seen, world, provider } = bench;
    const answer = (position: string) => () =>
      Response.json({
        events: [
          { type: 'hello', protocol: 1, epoch: position.slice(0, 2), user: 'user-ann', heartbeat: 15_000, spread: 0 },
          { type: 'ready', position, known: 400_000, latest: {} },
        ],
      });
    for (const position of ['e2:3', 'e3:1']) {
      log.insteadOfReads.push(answer(position));
      provider.line.missed();
      await world.advance(3_000);
    }
    expect(seen.map(({ reason }) => reason)).toEqual(['resync', 'resync']);
  });

  test('more than 1,000 are not remembered: a read moves the bases, and no read follows for each message more', async () => {
    const bench = await page();
    const { log, world } = bench;
    for (let times = 0; times < 1_300; times++) log.notify(order, 'updated', { position: `e1:${1_000 + times}` });
    await world.advance(10_000);
    expect(log.reads[1]?.channels['Order/42']).toBe('e1:10');
    // One for the messages, and one for what the first one brought.
    expect(log.reads.length).toBeLessThanOrEqual(3);
    expect(log.reads.length).toBeGreaterThan(1);
  });

  test('what a read covered is not remembered any more', async () => {
    const bench = await page();
    const { log, world, provider } = bench;
    for (let times = 0; times < 600; times++) log.notify(order);
    provider.line.missed();
    await world.advance(3_000);
    expect(log.reads).toHaveLength(2);
    for (let times = 0; times < 600; times++) log.notify(order);
    await world.advance(3_000);
    expect(log.reads).toHaveLength(2);
  });

  test('no message can put the reads off', async () => {
    for (const check of [1e15, '5000000', -5, Number.MAX_VALUE]) {
      const bench = await page();
      const { log, seen, world, provider } = bench;
      log.append(order);
      provider.line.message({ check });
      await world.advance(61_000);
      expect(positions(seen)).toEqual(['e1:11']);
    }
  });

  test('an object and its list: one entry in two renderings runs each listener once, the list with the reduced hint', async () => {
    for (const reversed of [false, true]) {
      const bench = await page([order, list]);
      const { log, runs, provider } = bench;
      const entry = log.append(order);
      const channels = ['Order/42', 'Order'];
      for (const channel of reversed ? channels.reverse() : channels) log.carry(entry, channel);
      await settled(bench);
      expect(runs.map((each) => each.length)).toEqual([1, 1]);
      expect(runs[0]?.[0]?.notification).toMatchObject({ id: '42', changedDate: '2026-01-01T00:00:00Z' });
      expect(runs[1]?.[0]?.notification).toEqual({ entity: 'Order', action: 'updated', position: 'e1:11' });
      expect(provider.line.sets).toHaveLength(1);
    }
  });

  test('what is addressed to the user and the session comes on two channels, and runs once', async () => {
    const bench = await page([order]);
    const { seen, provider } = bench;
    const hint = { ...order, action: 'updated', changedDate: 1, to: true, position: 'e1:20' };
    provider.line.message(JSON.stringify(hint));
    provider.line.message(JSON.stringify(hint));
    await settled(bench);
    expect(positions(seen)).toEqual(['e1:20']);
  });

  test('of two addressed hints that came in the wrong order, the newer one is kept for listeners to come', async () => {
    const bench = await page([other]);
    const { client, provider, world, recorder } = bench;
    const hint = { ...order, action: 'updated', changedDate: 1, to: true };
    provider.line.message({ ...hint, position: 'e1:22' });
    provider.line.message({ ...hint, position: 'e1:20' });
    const late = recorder();
    client.listen(order, { '*': late }, { position: 'e1:21' });
    await world.advance(3_000);
    expect(late.runs.map(({ reason }) => reason)).toEqual(['load']);
  });
});

describe('the set changes', () => {
  test('beside: the new set is taken and read before the former link goes, and nothing is repeated', async () => {
    const bench = await page();
    const { client, provider, world, log, seen, recorder } = bench;
    log.held = true;
    const more = recorder();
    client.listen(other, { '*': more }, { loadedAt: world.now() });
    await world.until(() => log.reads.length === 2);
    expect(provider.line.sets.at(-1)).toEqual({
      grants: ['grant-1', 'grant-2'],
      channels: ['Order/42', 'Marker/1', 'Order/7'],
    });
    log.notify(order);
    await world.advance(200);
    expect(positions(seen)).toEqual(['e1:11']);
    log.letGo();
    await settled(bench);
    expect(positions(seen)).toEqual(['e1:11']);
    log.notify(other);
    await settled(bench);
    expect(positions(more.runs)).toEqual(['e1:13']);
    expect(provider.lines).toHaveLength(1);
  });

  test('during a read of the former set: that read moves no base of the new channel', async () => {
    const bench = await page();
    const { client, provider, world, log, recorder } = bench;
    log.held = true;
    provider.line.missed();
    await world.advance(1_000);
    const more = recorder();
    client.listen(other, { '*': more }, { position: 'e1:10' });
    await world.until(() => log.reads.length === 3);
    log.append(other);
    log.letGo();
    await world.advance(500);
    expect(log.reads[2]?.channels).toEqual({ 'Order/42': 'e1:10', 'Marker/1': 'e1:10', 'Order/7': 'e1:10' });
    expect(more.runs.map(({ reason }) => reason)).toEqual(['load']);
    expect(client.status().state).toBe('connected');
  });

  test('what the provider says of a former set is not of this one', async () => {
    const bench = await page();
    const { client, provider, world, log, recorder } = bench;
    provider.attaches = false;
    client.listen(other, { '*': recorder() }, { loadedAt: world.now() });
    await world.until(() => provider.line.sets.length === 2);
    provider.line.host.attached(provider.line.sets[0] as never);
    await world.advance(1_500);
    expect(log.reads).toHaveLength(1);
    provider.line.attach();
    await world.advance(10);
    expect(log.reads).toHaveLength(2);
  });

  test('a set that the provider does not take goes over the built-in SSE; the former link stays until then', async () => {
    const bench = await page();
    const { client, provider, world, log, seen, recorder } = bench;
    provider.attaches = false;
    client.listen(other, { '*': recorder() }, { loadedAt: world.now() });
    await world.advance(4_000);
    log.notify(order);
    await world.advance(200);
    expect(seen).toHaveLength(1);
    await world.advance(3_000);
    expect(client.status()).toMatchObject({ state: 'connected', via: 'sse', degraded: true });
    provider.line.attach();
    await world.advance(11_000);
    expect(client.status()).toMatchObject({ via: 'pusher', degraded: false });
  });

  test('opened again with the same set (the page wakes): a read, and nothing is asked of the provider', async () => {
    const bench = await page();
    const { provider, world, log, lifecycle, seen } = bench;
    log.append(order);
    await world.advance(5_000);
    lifecycle.wake();
    await world.advance(200);
    expect(positions(seen)).toEqual(['e1:11']);
    expect([provider.line.sets.length, log.reads.length]).toEqual([1, 2]);
  });

  test('channels that their grant covers no more are asked for again', async () => {
    const bench = await page();
    const { provider, world, server, log, client, seen } = bench;
    server.instead.auth = [
      () => Response.json({ epoch: 'e1', reauthorise: ['Order/42'], details: {}, renewIn: 200_000 }),
    ];
    await provider.line.host.authorise('line', provider.line.sets[0] as never);
    log.append(order);
    await world.until(() => provider.line.sets.length === 2);
    expect(provider.line.sets[1]).toEqual({ grants: ['grant-2', 'grant-1'], channels: ['Order/42', 'Marker/1'] });
    await world.until(() => client.status().state === 'connected' && seen.length > 0);
    expect(positions(seen)).toEqual(['e1:11']);
  });

  test('a question of the provider that our server does not answer is an error that the adapter may try again', async () => {
    const bench = await page();
    const { provider, server } = bench;
    server.instead.auth = [() => errorAnswer(503, 'unavailable')];
    const asked = provider.line.host.authorise('line', provider.line.sets[0] as never);
    await expect(asked).rejects.toMatchObject({ code: 'unavailable', retryable: true });
    await expect(asked).rejects.toBeInstanceOf(ListenError);
  });
});

describe('the provider is down', () => {
  test('for less than 5 s: degraded at once, a read when it is back, and no stream', async () => {
    const bench = await page();
    const { client, provider, world, log, server, seen } = bench;
    provider.line.down();
    await world.settle();
    expect(client.status()).toEqual({ state: 'connected', via: 'pusher', degraded: true });
    log.append(order);
    await world.advance(4_000);
    provider.line.attach();
    await world.advance(10);
    expect(client.status().degraded).toBe(true);
    await world.advance(1_000);
    expect(client.status()).toEqual({ state: 'connected', via: 'pusher', degraded: false });
    expect(positions(seen)).toEqual(['e1:11']);
    await world.advance(20_000);
    expect(server.streams).toHaveLength(0);
  });

  test('keeps the window for resyncs that the server told', async () => {
    const bench = await page();
    const { provider, world, log, server, seen } = bench;
    world.chance = 0.999;
    const answer = () =>
      Response.json({
        events: [
          { type: 'hello', protocol: 1, epoch: 'e1', user: 'user-ann', heartbeat: 15_000, spread: 20_000 },
          { type: 'ready', position: 'e1:10', known: 400_000, latest: {} },
        ],
      });
    log.insteadOfReads.push(answer, answer);
    provider.line.missed();
    await world.advance(2_000);
    provider.line.missed();
    await world.advance(20_000);
    expect(log.reads).toHaveLength(2);
    await world.advance(1_200);
    expect(log.reads).toHaveLength(3);
    provider.line.down();
    provider.line.attach();
    log.epoch = server.config.epoch = 'e2';
    // The read after a loss that hits all pages is spread too: a random part of the window and of a second.
    await world.advance(20_000);
    expect(log.reads).toHaveLength(3);
    await world.advance(1_200);
    expect(log.reads).toHaveLength(4);
    await world.advance(1_000);
    expect(seen).toHaveLength(1);
  });

  test('for 5 s: a stream takes over from the bases; it replays what was lost', async () => {
    const bench = await page();
    const { client, provider, world, log, server, seen } = bench;
    log.append(order, 'before');
    log.notify(order, 'told');
    await world.advance(1_200);
    provider.line.down();
    log.append(order, 'meanwhile');
    await world.advance(4_900);
    expect(server.streams).toHaveLength(0);
    await world.advance(300);
    expect(client.status()).toMatchObject({ state: 'connected', via: 'sse', degraded: true });
    expect(server.streams[0]?.request.channels['Order/42']).toBe('e1:10');
    await world.advance(2_000);
    expect(seen.at(-1)?.notification?.action).toBe('meanwhile');
    log.append(order, 'after');
    await world.advance(2_000);
    expect(seen.at(-1)?.notification?.action).toBe('after');
    // What the provider brings now is not this link's.
    expect(provider.line.closed).toBe(false);
  });

  test('for 5 s, whatever it says again meanwhile', async () => {
    const bench = await page();
    const { client, provider, world } = bench;
    for (let times = 0; times < 5; times++) {
      provider.line.down();
      await world.advance(1_100);
    }
    expect(client.status().via).toBe('sse');
  });

  test('a stream that took over is watched, as any other', async () => {
    const bench = await page();
    const { provider, world, server } = bench;
    provider.line.down('limit');
    await world.until(() => server.streams.length === 1);
    await world.advance(60_000);
    expect(server.streams.length).toBeGreaterThan(1);
  });

  test('what it brought before is not repeated by the stream; what it brings meanwhile counts once', async () => {
    const bench = await page();
    const { provider, world, log, seen } = bench;
    log.notify(order, 'before');
    await world.advance(1_200);
    provider.line.down();
    await world.advance(6_000);
    provider.line.attach();
    // The stream hears it by itself, and is not alive because the provider is.
    provider.line.message({ ...order, action: 'early', changedDate: 1, position: 'e1:13' });
    await world.advance(1_200);
    log.append(order, 'next');
    await world.advance(1_200);
    log.append(order, 'early');
    await world.advance(1_200);
    expect(seen.map(({ notification }) => notification?.action)).toEqual(['before', 'next', 'early']);
  });

  test('what the provider still brings does not hide that the stream is dead', async () => {
    const bench = await page();
    const { provider, world, server } = bench;
    provider.line.down('limit');
    await world.until(() => server.streams.length === 1);
    for (let at = 0; at < 20; at++) {
      await world.advance(3_000);
      provider.line.message({ ...marker, action: 'talk', changedDate: 1, position: `e1:${20 + at}` });
    }
    expect(server.streams.length).toBeGreaterThan(1);
  });

  test('what the stream brought is not repeated on the way back', async () => {
    const bench = await page();
    const { provider, world, log, seen, server, client } = bench;
    provider.line.down();
    await world.advance(6_000);
    const [stream] = server.live();
    // Without an id: no base moves.
    const { notification } = log.notify(order, 'once', { position: 'e1:11' });
    stream?.send({ type: 'notification', notification: { ...notification, position: 'e1:12', action: 'twice' } });
    log.entries.push({ notification: { ...notification, position: 'e1:12', action: 'twice' }, at: world.now() });
    await world.advance(200);
    provider.line.attach();
    await world.until(() => client.status().via === 'pusher');
    expect(log.reads.at(-1)?.channels['Order/42']).toBe('e1:11');
    await world.advance(2_000);
    expect(seen.reduce((sum, { merged }) => sum + merged, 0)).toBe(2);
  });

  test('refused while it carried: a stream at once', async () => {
    const bench = await page();
    const { client, provider, world, errors } = bench;
    provider.line.down('limit');
    await world.advance(100);
    expect(client.status()).toMatchObject({ state: 'connected', via: 'sse', degraded: true });
    expect(errors).toEqual([expect.objectContaining({ code: 'limit' })]);
  });

  test('back while the page is on the stream: it returns after 5 to 10 s, and loses nothing on the way', async () => {
    const bench = await page();
    const { client, provider, world, log, server, seen } = bench;
    provider.line.down();
    await world.advance(6_000);
    provider.line.attach();
    await world.advance(7_000);
    expect(client.status().via).toBe('sse');
    log.held = true;
    await world.advance(1_000);
    expect(log.reads).toHaveLength(2);
    log.append(order);
    await world.advance(200);
    expect(positions(seen)).toEqual(['e1:11']);
    log.letGo();
    await world.advance(200);
    expect(client.status()).toEqual({ state: 'connected', via: 'pusher', degraded: false });
    expect(server.live()).toHaveLength(0);
    log.notify(order);
    await settled(bench);
    expect(positions(seen)).toEqual(['e1:11', 'e1:12']);
  });

  test('comes and goes: the stream is not left before it carried for 5 s', async () => {
    const bench = await page();
    const { client, provider, world, server, log } = bench;
    provider.line.down();
    await world.advance(6_000);
    const reads = log.reads.length;
    for (let times = 0; times < 20; times++) {
      provider.line.attach();
      await world.advance(3_000);
      provider.line.down();
      await world.advance(3_000);
      server.live()[0]?.send({ type: 'heartbeat', position: 'e1:10', spread: 0 });
    }
    expect([client.status().via, server.streams.length, log.reads.length]).toEqual(['sse', 1, reads]);
  });

  test('a return that fails leaves the stream in place, and is tried again', async () => {
    const bench = await page();
    const { client, provider, world, log, server, seen } = bench;
    provider.line.down();
    await world.advance(6_000);
    provider.line.attach();
    log.insteadOfReads.push(() => errorAnswer(503, 'unavailable'));
    await world.until(() => log.insteadOfReads.length === 0);
    await world.settle();
    expect(client.status()).toMatchObject({ state: 'connected', via: 'sse' });
    log.append(order);
    // It proves itself, so that nothing but the link itself asks for another one.
    server.live()[0]?.send({ type: 'heartbeat', position: 'e1:11', spread: 0 });
    await world.advance(200);
    expect(positions(seen)).toEqual(['e1:11']);
    await world.until(() => client.status().via === 'pusher', 20_000);
    expect(server.live()).toHaveLength(0);
  });

  test('and our own server too: the page does not look live', async () => {
    const bench = await page();
    const { client, provider, world, seen, log } = bench;
    const { network } = world;
    world.network = () => Promise.reject(new TypeError('offline'));
    provider.line.down();
    await world.advance(100);
    expect(client.status().degraded).toBe(true);
    await world.until(() => client.status().state === 'reconnecting', 61_000);
    log.append(order);
    world.network = network;
    await world.until(() => client.status().state === 'connected');
    await world.advance(1_500);
    expect(positions(seen)).toEqual(['e1:11']);
  });

  test('while the first read is under way: the link is degraded as soon as it is there, and goes', async () => {
    const { client, provider, log, world, recorder } = createHostedBench();
    log.held = true;
    client.listen(order, { '*': recorder() }, { loadedAt: world.now() });
    await world.until(() => log.reads.length === 1);
    provider.line.down();
    log.letGo();
    await world.until(() => client.status().state === 'connected');
    expect(client.status()).toEqual({ state: 'connected', via: 'pusher', degraded: true });
    await world.until(() => client.status().via === 'sse', 11_000);
  });
});

describe('more channels than the provider holds', () => {
  test('the rest goes over a stream inside the same link; its ids move nothing', async () => {
    const bench = await page([order, other], {}, 2);
    const { client, provider, world, log, server, runs, lifecycle } = bench;
    await world.until(() => server.live().length === 1);
    expect(client.status()).toEqual({ state: 'connected', via: 'pusher', degraded: false });
    expect(provider.line.sets.at(-1)?.channels).toEqual(['Order/42', 'Order/7']);
    expect(server.live()[0]?.request.channels).toEqual({ 'Marker/1': 'e1:10' });
    // The read that the stream leads to.
    await world.advance(2_200);
    const { length } = log.reads;
    // Lost at the provider, then an id beside it.
    log.append(order);
    log.append(marker);
    await world.advance(1_200);
    expect([log.reads.length, bench.marked.length]).toEqual([length, 1]);
    expect(runs[0]).toHaveLength(0);
    lifecycle.wake();
    await world.advance(1_200);
    expect(log.reads[length]?.channels).toMatchObject({ 'Order/42': 'e1:10', 'Marker/1': 'e1:10' });
    expect([runs[0]?.length, bench.marked.length]).toEqual([1, 1]);
    client.close();
    await world.settle();
    expect([world.timers, server.live().length]).toEqual([0, 0]);
  });

  test('the list at the provider, its object beside: one entry runs each once', async () => {
    const bench = await page([list, order], {}, 1);
    const { world, log, server, runs } = bench;
    await world.until(() => server.live().length === 1);
    log.notify(order);
    await world.advance(1_200);
    expect(runs.map((each) => each.map(({ notification }) => notification?.id))).toEqual([[undefined], ['42']]);
  });

  test('what is beside fails: the link ends, and both are opened again from the bases', async () => {
    for (const silent of [false, true]) {
      const bench = await page([order], {}, 1);
      const { world, log, server, marked } = bench;
      await world.until(() => server.live().length === 1);
      // A cut, or a stream that says nothing any more.
      if (!silent) server.streams[0]?.cut();
      const { length } = server.streams;
      await world.until(() => server.streams.length > length, 50_000);
      log.append(marker);
      await world.advance(2_000);
      expect(marked.length).toBeGreaterThan(0);
    }
  });

  test('a link that ended before its overflow was loaded opens no stream', async () => {
    const { client, provider, world, server, recorder } = createHostedBench({}, 1);
    const { connect } = provider;
    provider.connect = (host) => {
      const made = connect(host);
      return {
        ...made,
        update(set) {
          made.update(set);
          queueMicrotask(() => client.close());
        },
      };
    };
    client.listen(order, { '*': recorder() }, { loadedAt: world.now() });
    client.listen(other, { '*': recorder() }, { loadedAt: world.now() });
    await world.advance(1_000);
    expect([provider.line.closed, server.streams.length, world.timers]).toEqual([true, 0, 0]);
  });

  test('while the provider is down, one stream carries all', async () => {
    const bench = await page([order], {}, 1);
    const { world, provider, server, client } = bench;
    await world.until(() => server.live().length === 1);
    provider.line.down('limit');
    await world.until(() => client.status().via === 'sse');
    expect(server.live().map(({ channels }) => channels)).toEqual([['Order/42', 'Marker/1']]);
  });
});

describe('the server has another adapter than before', () => {
  test('a read tells: the configuration is asked again, and the page changes over without a gap', async () => {
    const bench = await page();
    const { client, provider, world, log, server, seen } = bench;
    server.config.provider = 'sse';
    log.append(order);
    await world.until(() => client.status().via === 'sse');
    expect(client.status()).toEqual({ state: 'connected', via: 'sse', degraded: false });
    expect(provider.line.closed).toBe(true);
    log.append(order);
    await world.advance(1_500);
    expect(seen.at(-1)?.notification?.position).toBe('e1:12');
    server.config.provider = 'pusher';
    server.live()[0]?.cut();
    await world.until(() => client.status().via === 'pusher');
    expect(client.status().degraded).toBe(false);
    expect(provider.lines).toHaveLength(2);
  });

  test('nodes that disagree for a minute are not asked in a loop', async () => {
    const bench = await page();
    const { world, server } = bench;
    const { network } = world;
    // Whoever is asked for the configuration names the other adapter than every stream and read.
    let answered = 'pusher';
    world.network = (input, init) => {
      if (init?.body === undefined) answered = answered === 'pusher' ? 'sse' : 'pusher';
      server.config.provider = init?.body === undefined ? answered : answered === 'pusher' ? 'sse' : 'pusher';
      return network(input, init);
    };
    const before = server.requests.length;
    await world.advance(180_000);
    const asked = server.requests.slice(before).filter(({ route }) => route === 'config').length;
    expect(asked).toBeGreaterThan(2);
    expect(asked).toBeLessThan(20);
  });
});
