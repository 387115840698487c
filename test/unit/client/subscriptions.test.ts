/** Subscriptions: docs/client.md, second table, and its races. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Position } from '../../../adapters/position.js';
import type { Actions, ListenOptions } from '../../../widget/client/index.js';
import { type Bench, createBench, fateOf } from '../../kit/client.js';
import { errorAnswer } from '../../kit/scripted-server.js';

const order = { entity: 'Order', id: 42 };
const orders = { entity: 'Order' };

/** Listens with a load that began just now, and waits until all is covered. */
async function listen(
  bench: Bench,
  object: { entity: string; id?: string | number },
  actions: Actions,
  options?: ListenOptions,
) {
  const listening = bench.client.listen(object, actions, options ?? { loadedAt: bench.world.now() });
  const ready = fateOf(listening.ready);
  await bench.world.until(() => ready.fate !== 'pending');
  return listening;
}

describe('who hears of what', () => {
  test('50 listeners on one object: one subscription, one question; 49 leave, the last one still hears', async () => {
    const bench = createBench();
    const seen = bench.recorder();
    const others = Array.from({ length: 49 }, () =>
      bench.client.listen(order, { updated: bench.recorder() }, { loadedAt: bench.world.now() }),
    );
    await listen(bench, { entity: 'Order', id: '42' }, { updated: seen });
    expect(bench.server.auths()).toMatchObject([{ objects: [{ entity: 'Order', id: '42' }] }]);
    expect(bench.server.streams).toHaveLength(1);
    for (const other of others) other.close();
    await bench.world.advance(5_000);
    bench.server.streams[0]?.notify({ id: '42', position: 'e1:11' });
    await bench.world.advance(100);
    expect(seen.runs).toHaveLength(1);
    expect(bench.server.streams).toHaveLength(1);
  });

  test('what is not after the position of a channel is no news, also where nobody has heard of it', async () => {
    const bench = createBench();
    const [seen, list] = [bench.recorder(), bench.recorder()];
    await listen(bench, order, { updated: seen });
    await listen(bench, orders, { updated: list });
    const stream = bench.server.streams.at(-1);
    stream?.notify({ id: '42', position: 'e1:10' });
    stream?.notify({ id: '42', position: 'e1:9' });
    await bench.world.advance(1_000);
    expect([...seen.runs, ...list.runs]).toEqual([]);
    stream?.notify({ id: '42', position: 'e1:11' });
    await bench.world.advance(1_000);
    expect([seen.runs, list.runs]).toMatchObject([[{ merged: 1 }], [{ merged: 1 }]]);
  });

  test('listen, close, listen in one tick (StrictMode): one question, one stream', async () => {
    const bench = createBench();
    bench.client.listen(order, { updated: bench.recorder() }).close();
    await listen(bench, order, { updated: bench.recorder() });
    await bench.world.advance(5_000);
    expect(bench.server.auths()).toHaveLength(1);
    expect(bench.server.streams).toHaveLength(1);
    expect(bench.server.live()).toHaveLength(1);
  });

  test('changing the object: the new channel is joined at once, the old one left after the linger', async () => {
    const bench = createBench();
    const first = await listen(bench, order, { updated: bench.recorder() });
    first.close();
    await listen(bench, { entity: 'Order', id: 43 }, { updated: bench.recorder() });
    expect(bench.server.streams.at(-1)?.channels).toEqual(['Order/42', 'Order/43']);
    await bench.world.advance(1_100);
    expect(bench.server.streams.at(-1)?.channels).toEqual(['Order/43']);
    expect(bench.server.live()).toHaveLength(1);
  });

  test('a full rendering of an object wakes its listeners, and the entity with the reduced form', async () => {
    const bench = createBench();
    const [one, other, list, foreign] = [bench.recorder(), bench.recorder(), bench.recorder(), bench.recorder()];
    bench.client.listen({ entity: 'Order', id: 43 }, { '*': other }, { loadedAt: bench.world.now() });
    bench.client.listen(orders, { '*': list }, { loadedAt: bench.world.now() });
    bench.client.listen({ entity: 'Orders' }, { '*': foreign }, { loadedAt: bench.world.now() });
    await listen(bench, order, { '*': one });
    bench.server.streams
      .at(-1)
      ?.notify({ id: '42', position: 'e1:11', notifier: 'Ann', cause: 'c', except: ['x'], spread: 0 });
    await bench.world.advance(500);
    expect(one.runs).toMatchObject([
      { notification: { id: '42', notifier: 'Ann', changedDate: '2026-01-01T00:00:00Z' }, merged: 1 },
    ]);
    expect(list.runs.map(({ notification }) => notification)).toEqual([
      { entity: 'Order', action: 'updated', position: 'e1:11', cause: 'c', except: ['x'], spread: 0 },
    ]);
    expect([other.runs, foreign.runs]).toEqual([[], []]);
  });

  test('one on the entity: in full it wakes all objects and the entity; reduced, only the entity', async () => {
    const bench = createBench();
    const [one, list] = [bench.recorder(), bench.recorder()];
    bench.client.listen(orders, { '*': list }, { loadedAt: bench.world.now() });
    await listen(bench, order, { '*': one });
    bench.server.streams.at(-1)?.notify({ position: 'e1:11' });
    await bench.world.advance(500);
    expect([one.runs.length, list.runs.length]).toEqual([1, 1]);
    bench.server.streams
      .at(-1)
      ?.send(
        { type: 'notification', notification: { entity: 'Order', action: 'updated', position: 'e1:12' } },
        'e1:12',
      );
    await bench.world.advance(500);
    expect([one.runs.length, list.runs.length]).toEqual([1, 2]);
  });

  test('a full rendering on a link that does not cover the entity yet is not handed to its listeners, nor marked as seen', async () => {
    const bench = createBench();
    const list = bench.recorder();
    await listen(bench, order, { '*': bench.recorder() });
    bench.server.accepts = false;
    bench.client.listen(orders, { '*': list }, { loadedAt: bench.world.now() });
    await bench.world.until(() => bench.server.streams.length === 2);
    const [old, next] = bench.server.streams;
    old?.notify({ id: '42', position: 'e1:13' });
    await bench.world.advance(500);
    next?.hello();
    next?.ready('e1:10');
    await bench.world.advance(10);
    next?.notify({ id: '41', position: 'e1:12' });
    await bench.world.advance(500);
    next?.notify({ id: '42', position: 'e1:13' });
    await bench.world.advance(500);
    expect(list.runs.map(({ notification }) => notification?.position)).toEqual(['e1:12', 'e1:13']);
  });

  test('except: not for my user or my session; others of the list do not matter', async () => {
    const bench = createBench();
    bench.server.config.session = 'session-1';
    const seen = bench.recorder();
    await listen(bench, order, { '*': seen });
    for (const [offset, except] of [['user-ann', 'x'], ['session-1'], ['user-bob']].entries()) {
      bench.server.streams[0]?.notify({ id: '42', position: `e1:${11 + offset}`, except });
      await bench.world.advance(500);
    }
    expect(seen.runs).toMatchObject([{ notification: { position: 'e1:13' } }]);
  });

  test('what was seen is not handed on again, in whatever order a second link repeats it', async () => {
    const bench = createBench();
    const seen = bench.recorder();
    await listen(bench, order, { '*': seen });
    for (const offset of [11, 12, 11, 12, 13, 12]) {
      bench.server.streams[0]?.notify({ id: '42', position: `e1:${offset}` });
      await bench.world.advance(500);
    }
    expect(seen.runs.map(({ notification }) => notification?.position)).toEqual(['e1:11', 'e1:12', 'e1:13']);
  });

  test('a listener closed from inside another callback of the same batch does not run', async () => {
    const bench = createBench();
    const second = bench.recorder();
    const third = bench.recorder();
    let victim: { close(): void } | undefined;
    await listen(bench, order, {
      '*': () => {
        victim?.close();
        throw new Error('and fails');
      },
    });
    victim = await listen(bench, order, { '*': second });
    await listen(bench, order, { '*': third });
    bench.server.streams[0]?.notify({ id: '42', position: 'e1:11' });
    await bench.world.advance(500);
    expect(second.runs).toEqual([]);
    expect(third.runs).toHaveLength(1);
    expect(bench.errors).toMatchObject([{ message: 'and fails' }]);
  });

  test('every fate is traced', async () => {
    const bench = createBench();
    await listen(bench, order, { updated: bench.recorder() });
    const stream = bench.server.streams[0];
    stream?.notify({ id: '42', position: 'e1:11' });
    stream?.notify({ id: '42', position: 'e1:12' });
    stream?.notify({ id: '42', position: 'e1:13', action: 'other' });
    await bench.world.advance(500);
    expect(bench.traces.map(({ fate, notification }) => `${fate} ${notification?.position}`)).toEqual([
      'queued e1:11',
      'merged e1:12',
      'filtered e1:13',
      'ran e1:12',
    ]);
  });
});

describe('addressed notifications', () => {
  test('run for listeners that the page holds, refused ones too; not for others', async () => {
    const bench = createBench();
    bench.server.access = () => 'refused';
    const [seen, other] = [bench.recorder(), bench.recorder()];
    await listen(bench, order, { done: seen });
    await listen(bench, { entity: 'Order', id: 43 }, { done: other });
    await bench.world.until(() => bench.server.streams.length > 0);
    bench.server.streams.at(-1)?.notify({ id: '42', action: 'done', position: 'e1:11', to: true });
    bench.server.streams.at(-1)?.notify({ id: '42', action: 'done', position: 'e1:11', to: true });
    await bench.world.advance(500);
    expect(seen.runs).toHaveLength(1);
    expect(other.runs).toEqual([]);
  });

  test('the newest is kept for listeners that attach later, for the retention', async () => {
    const bench = createBench();
    bench.server.access = (_object, channel) => (channel === 'Order/42' ? 'granted' : 'refused');
    await listen(bench, order, { '*': bench.recorder() });
    const loadedAt = bench.world.now();
    await bench.world.advance(1_000);
    bench.server.streams[0]?.notify({ entity: 'Report', id: '7', action: 'done', position: 'e1:11', to: true });
    await bench.world.advance(60_000);
    const [late, fresh, expired] = [bench.recorder(), bench.recorder(), bench.recorder()];
    await listen(bench, { entity: 'Report', id: 7 }, { done: late }, { loadedAt });
    await listen(bench, { entity: 'Report', id: 7 }, { done: fresh }, { loadedAt: bench.world.now() });
    await bench.world.advance(500);
    expect(late.runs).toMatchObject([{ reason: 'load', notification: { position: 'e1:11' } }]);
    expect(fresh.runs).toEqual([]);
    await bench.world.advance(400_000);
    await listen(bench, { entity: 'Report', id: 7 }, { done: expired }, { loadedAt });
    await bench.world.advance(500);
    expect(expired.runs).toEqual([]);
  });
});

describe('access', () => {
  test('one refusal of five leaves four working, and is asked again on remount and by reconnect()', async () => {
    const bench = createBench();
    bench.server.access = ({ id }) => (id === '3' ? 'refused' : 'granted');
    const fates = [1, 2, 3, 4, 5].map((id) =>
      fateOf(
        bench.client.listen({ entity: 'Order', id }, { '*': bench.recorder() }, { loadedAt: bench.world.now() }).ready,
      ),
    );
    const refused = bench.client.listen({ entity: 'Order', id: 3 }, { '*': bench.recorder() });
    await bench.world.advance(100);
    expect(fates.map(({ fate }) => fate)).toEqual(['resolved', 'resolved', 'refused', 'resolved', 'resolved']);
    expect(bench.client.status()).toEqual({ state: 'connected', via: 'sse', degraded: false });
    expect(refused.error?.code).toBe('refused');
    expect(bench.errors).toMatchObject([{ code: 'refused' }]);
    expect(bench.traces.filter(({ fate }) => fate === 'refused')).toHaveLength(2);
    await bench.world.advance(60_000);
    expect(bench.server.auths()).toHaveLength(1);

    await listen(bench, { entity: 'Order', id: 3 }, { '*': bench.recorder() });
    expect(bench.server.auths()).toHaveLength(2);
    bench.server.access = () => 'granted';
    bench.client.reconnect();
    await bench.world.advance(100);
    expect(refused.error).toBeUndefined();
    expect(bench.server.streams.at(-1)?.channels).toContain('Order/3');
  });

  test('a question that could not be answered is asked again, visibly; the others work meanwhile', async () => {
    const bench = createBench();
    bench.world.chance = 0.9;
    bench.server.access = ({ id }) => (id === '3' ? 'retry' : 'granted');
    const seen = bench.recorder();
    bench.client.listen(order, { '*': seen }, { loadedAt: bench.world.now() });
    const ready = fateOf(bench.client.listen({ entity: 'Order', id: 3 }, { '*': bench.recorder() }).ready);
    await bench.world.advance(100);
    expect(bench.client.status()).toMatchObject({ state: 'reconnecting', error: { code: 'unavailable' } });
    bench.server.streams[0]?.notify({ id: '42', position: 'e1:11' });
    await bench.world.advance(100);
    expect(seen.runs).toHaveLength(1);
    bench.server.access = () => 'granted';
    await bench.world.until(() => ready.fate === 'resolved');
    expect(bench.client.status().state).toBe('connected');
    expect(bench.server.auths().at(-1)?.objects).toEqual([{ entity: 'Order', id: '3' }]);
  });

  test('grants are renewed at 60 to 80 % of their life, by a swap, all in one', async () => {
    const bench = createBench();
    await listen(bench, order, { '*': bench.recorder() });
    await bench.world.advance(20_000);
    await listen(bench, { entity: 'Order', id: 43 }, { '*': bench.recorder() });
    const beat = setHeartbeats(bench);
    expect(bench.server.streams.at(-1)?.request.grants).toEqual(['grant-1', 'grant-2']);
    await beat(150_000);
    expect(bench.server.auths()).toHaveLength(2);
    // 70 % of the first grant's life: the earliest one takes the other along.
    await beat(45_000);
    expect(bench.server.auths()).toHaveLength(3);
    expect(bench.server.auths()[2]?.objects).toHaveLength(2);
    expect(bench.server.streams.at(-1)?.request.grants).toEqual(['grant-3']);
    expect(bench.server.live()).toHaveLength(1);
    expect(bench.client.status().state).toBe('connected');
  });

  test('a renewal that fails is tried again while the old grant still holds', async () => {
    const bench = createBench();
    await listen(bench, order, { '*': bench.recorder() });
    bench.server.instead.auth = [() => errorAnswer(503, 'unavailable'), () => errorAnswer(503, 'unavailable')];
    const beat = setHeartbeats(bench);
    await beat(240_000);
    expect(bench.server.streams.at(-1)?.request.grants).toEqual(['grant-2']);
    expect(bench.client.status().state).toBe('connected');
  });

  test('reauthorise in mid-stream: the position stays, the grant is asked again, nothing is lost', async () => {
    const bench = createBench();
    const [seen, other] = [bench.recorder(), bench.recorder()];
    await listen(bench, { entity: 'Order', id: 43 }, { '*': other });
    await listen(bench, order, { '*': seen });
    const stream = bench.server.streams.at(-1);
    bench.server.accepts = false;
    stream?.notify({ id: '42', position: 'e1:11' });
    stream?.send({ type: 'reauthorise', channels: ['Order/42'] });
    stream?.notify({ id: '43', position: 'e1:12' });
    await bench.world.until(() => bench.server.auths().length === 3);
    await bench.world.until(() => bench.server.streams.at(-1) !== stream);
    const next = bench.server.streams.at(-1);
    expect(next?.request.channels).toEqual({ 'Order/43': 'e1:12', 'Order/42': 'e1:11' });
    next?.hello();
    next?.notify({ id: '42', position: 'e1:12' });
    next?.ready('e1:12');
    await bench.world.advance(500);
    expect(seen.runs.map(({ notification }) => notification?.position)).toContain('e1:12');
    expect(other.runs).toHaveLength(1);
  });

  test('a grant that is never taken is not asked for in a loop', async () => {
    const bench = createBench();
    bench.server.accepts = false;
    bench.world.chance = 0.9;
    const answered = new Set<object>();
    bench.client.listen(order, { '*': bench.recorder() });
    for (let second = 0; second < 600; second++) {
      await bench.world.advance(100);
      const stream = bench.server.live().at(-1);
      if (!stream) continue;
      if (answered.has(stream)) continue;
      answered.add(stream);
      stream.hello();
      stream.send({ type: 'reauthorise', channels: ['Order/42'] });
      stream.ready();
    }
    expect(bench.server.auths().length).toBeGreaterThan(3);
    expect(bench.server.auths().length).toBeLessThan(15);
    expect(bench.client.status()).toMatchObject({ state: 'reconnecting', error: { code: 'unavailable' } });
    expect(bench.errors.map((error) => (error as { code?: string }).code)).toEqual(['unavailable']);
  });

  test.each(['reconnect', 'remount'])('a refusal that was on its way at a %s says nothing', async (how) => {
    const bench = createBench();
    bench.client.listen({ entity: 'Order', id: 7 }, { '*': bench.recorder() });
    let answer: (response: Response) => void = () => {};
    bench.server.instead.auth = [() => new Promise((resolve) => (answer = resolve))];
    const first = bench.client.listen(order, { '*': bench.recorder() });
    await bench.world.until(() => bench.server.auths().length === 1);
    // The right is given back here, behind the answer.
    if (how === 'reconnect') bench.client.reconnect();
    else bench.client.listen(order, { '*': bench.recorder() });
    answer(Response.json({ epoch: 'e1', results: ['refused', 'refused'], expiresIn: 300_000 }));
    await bench.world.until(() => bench.server.auths().length === 2);
    await first.ready;
    expect(first.error).toBeUndefined();
    expect(bench.server.streams.at(-1)?.channels).toContain('Order/42');
    // Only what was asked again; and once.
    expect(bench.server.auths()[1]?.objects).toHaveLength(how === 'reconnect' ? 2 : 1);
    expect(bench.errors).toHaveLength(how === 'reconnect' ? 0 : 1);
    await bench.world.advance(60_000);
    expect(bench.server.auths()).toHaveLength(2);
  });

  test('grants that one link takes and the next one does not are not asked for in a loop', async () => {
    const bench = createBench();
    bench.world.chance = 0.9;
    await listen(bench, order, { '*': bench.recorder() });
    const taken = new Set<object>();
    for (let turn = 0; turn < 600; turn++) {
      await bench.world.advance(100);
      const stream = bench.server.live().at(-1);
      if (!stream || taken.has(stream)) continue;
      taken.add(stream);
      // It was ready; in the same moment another node, which this page reads from too, takes nothing of it.
      stream.send({ type: 'reauthorise', channels: ['Order/42'] });
    }
    expect(bench.server.auths().length).toBeGreaterThan(5);
    expect(bench.server.auths().length).toBeLessThan(25);
    expect(bench.errors.map((error) => (error as { code?: string }).code)).toContain('unavailable');
    // Good again: the next right that ends is asked for at once.
    await bench.world.advance(20_000);
    const asked = bench.server.auths().length;
    bench.server
      .live()
      .at(-1)
      ?.send({ type: 'reauthorise', channels: ['Order/42'] });
    await bench.world.advance(400);
    expect(bench.server.auths()).toHaveLength(asked + 1);
    expect(bench.client.status().state).toBe('connected');
  });

  test('refused in mid-stream: ends for this object only', async () => {
    const bench = createBench();
    const seen = bench.recorder();
    await listen(bench, { entity: 'Order', id: 43 }, { '*': seen });
    const listening = await listen(bench, order, { '*': bench.recorder() });
    bench.server.streams.at(-1)?.send({ type: 'refused', channels: ['Order/42'] });
    await bench.world.advance(100);
    expect(listening.error?.code).toBe('refused');
    bench.server.streams.at(-1)?.notify({ id: '43', position: 'e1:11' });
    await bench.world.advance(100);
    expect(seen.runs).toHaveLength(1);
    expect(bench.client.status().state).toBe('connected');
  });

  test('a page that slept past its grants asks for new ones before it opens', async () => {
    const bench = createBench();
    await listen(bench, order, { '*': bench.recorder() });
    bench.client.pause();
    bench.world.sleep(600_000);
    bench.client.resume();
    await bench.world.advance(100);
    expect(bench.server.auths()).toHaveLength(2);
    expect(bench.server.streams.at(-1)?.request.grants).toEqual(['grant-2']);
  });

  /** Lets time pass with a heartbeat from the newest stream every 10 s. */
  function setHeartbeats(bench: Bench) {
    return async (ms: number) => {
      for (let at = 0; at < ms; at += 5_000) {
        await bench.world.advance(5_000);
        bench.server.live().at(-1)?.send({ type: 'heartbeat', position: 'e1:10', spread: 0 }, 'e1:10');
      }
    };
  }
});

describe('ready', () => {
  test('rejects with closed when the listener is closed first; a rejection that nobody handles is not reported', async () => {
    const unhandled: unknown[] = [];
    const note = (error: unknown) => unhandled.push(error);
    process.on('unhandledRejection', note);
    const bench = createBench();
    bench.server.accepts = false;
    bench.client.listen(order, { '*': bench.recorder() }).close();
    const fate = fateOf(bench.client.listen(order, { '*': bench.recorder() }).ready);
    bench.client.close();
    await bench.world.settle();
    await bench.world.settle();
    process.off('unhandledRejection', note);
    expect(fate.fate).toBe('closed');
    expect(unhandled).toEqual([]);
  });
});

describe('the load race', () => {
  const latest = (age: number, more: object = {}) => ({
    'Order/42': {
      updated: {
        position: 'e1:9' as Position,
        age,
        changedDate: '2026-01-01T00:00:00Z',
        unordered: true as const,
        ...more,
      },
    },
  });

  test.each([
    ['something changed after the load began', { age: 500, known: 400_000, loaded: 1_000 }, 1],
    ['nothing changed since', { age: 5_000, known: 400_000, loaded: 1_000 }, 0],
    ['the node does not know back to the load', { age: 50_000, known: 900, loaded: 1_000 }, 1],
    ['without loadedAt, the page load counts', { age: 900, known: 400_000, loaded: undefined }, 1],
    ['a loadedAt of the future is no loadedAt', { age: 900, known: 400_000, loaded: -5_000 }, 1],
  ])('%s', async (_name, { age, known, loaded }, runs) => {
    const bench = createBench();
    bench.server.latest = latest(age);
    bench.server.known = known;
    const seen = bench.recorder();
    await listen(
      bench,
      order,
      { updated: seen, other: seen },
      loaded === undefined ? {} : { loadedAt: bench.world.now() - loaded },
    );
    await bench.world.advance(5_000);
    expect(seen.runs).toHaveLength(runs);
    if (runs > 0) expect(seen.runs).toMatchObject([{ reason: 'load', merged: 0 }]);
  });

  test('only what the rows listen to counts, and only rows that take part in resync', async () => {
    const bench = createBench();
    bench.server.latest = latest(0);
    const [shipped, toast, updated] = [bench.recorder(), bench.recorder(), bench.recorder()];
    await listen(bench, order, [
      { on: 'shipped', run: shipped },
      { on: 'updated', run: toast, resync: false },
      { on: 'updated', run: updated },
    ]);
    await bench.world.advance(500);
    expect([shipped.runs.length, toast.runs.length, updated.runs.length]).toEqual([0, 0, 1]);
    expect(updated.runs[0]?.notification).toMatchObject({
      entity: 'Order',
      id: '42',
      action: 'updated',
      position: 'e1:9',
    });
  });

  test('elapsed time is the greater of the two clocks: a machine that slept during the load', async () => {
    const bench = createBench();
    const loadedAt = bench.world.now();
    bench.world.sleep(60_000);
    bench.server.latest = latest(30_000);
    const seen = bench.recorder();
    await listen(bench, order, { updated: seen }, { loadedAt });
    await bench.world.advance(500);
    expect(seen.runs).toHaveLength(1);
  });

  test.each([
    ['e1:9', 0],
    ['e1:8', 1],
    ['e0:9', 1],
  ])('a listener with position %s', async (position, runs) => {
    const bench = createBench();
    bench.server.latest = latest(0);
    const seen = bench.recorder();
    await listen(bench, order, { updated: seen }, { position: position as Position, loadedAt: 0 });
    await bench.world.advance(500);
    expect(seen.runs).toHaveLength(runs);
    expect(bench.server.streams[0]?.request.channels).toEqual({ 'Order/42': position });
  });

  test('a machine that slept between listening and ready', async () => {
    const bench = createBench();
    bench.server.accepts = false;
    const seen = bench.recorder();
    bench.client.listen(order, { updated: seen }, { loadedAt: bench.world.now() });
    await bench.world.until(() => bench.server.streams.length === 1);
    bench.world.sleep(60_000);
    bench.server.streams[0]?.hello();
    bench.server.streams[0]?.ready('e1:10', { latest: latest(30_000) });
    await bench.world.advance(500);
    expect(seen.runs).toMatchObject([{ reason: 'load', notification: { position: 'e1:9' } }]);
  });

  test.each(['at opening', 'in mid-stream'])(
    'after a resync %s, a later listener with a position from before is in doubt',
    async (when) => {
      const bench = createBench();
      bench.server.accepts = when === 'in mid-stream';
      bench.client.listen(order, { updated: bench.recorder() }, { position: 'e1:5' });
      await bench.world.until(() => bench.server.streams.length === 1);
      const stream = bench.server.streams[0];
      if (when === 'at opening') stream?.hello();
      stream?.send({ type: 'resync', channels: ['Order/42'] });
      if (when === 'at opening') stream?.ready();
      await bench.world.advance(500);
      const late = bench.recorder();
      bench.client.listen(order, { updated: late }, { position: 'e1:6' });
      await bench.world.advance(500);
      expect(late.runs).toMatchObject([{ reason: 'load' }]);
    },
  );

  test('what is replayed from a given position before ready refreshes once, by the check', async () => {
    const bench = createBench();
    bench.server.accepts = false;
    bench.server.latest = latest(100);
    const seen = bench.recorder();
    bench.client.listen(order, { updated: seen }, { position: 'e1:5' });
    await bench.world.until(() => bench.server.streams.length === 1);
    bench.server.streams[0]?.hello();
    bench.server.streams[0]?.notify({ id: '42', position: 'e1:9', notifier: 'Ann' });
    await bench.world.advance(500);
    expect(seen.runs).toEqual([]);
    bench.server.streams[0]?.ready();
    await bench.world.advance(500);
    expect(seen.runs).toMatchObject([{ reason: 'load', notification: { position: 'e1:9', notifier: 'Ann' } }]);
  });

  test('a second listener, mounted apart, gets the same check from what the subscription has heard; also while it lingers', async () => {
    const bench = createBench();
    const first = await listen(bench, order, { updated: bench.recorder() });
    const loadedAt = bench.world.now();
    await bench.world.advance(100);
    first.close();
    bench.server.streams[0]?.notify({ id: '42', position: 'e1:11' });
    await bench.world.advance(500);
    const [stale, fresh] = [bench.recorder(), bench.recorder()];
    const listening = bench.client.listen(order, { updated: stale }, { loadedAt });
    const ready = fateOf(listening.ready);
    bench.client.listen(order, { updated: fresh }, { loadedAt: bench.world.now() });
    await bench.world.advance(10);
    expect(ready.fate).toBe('resolved');
    expect(stale.runs).toMatchObject([{ reason: 'load', notification: { position: 'e1:11' } }]);
    expect(fresh.runs).toEqual([]);
    expect(bench.server.streams).toHaveLength(1);
  });

  test('a listener that attaches while the link is down is not run by what happened before its load', async () => {
    const bench = createBench();
    await listen(bench, order, { updated: bench.recorder() });
    bench.server.accepts = false;
    bench.server.streams[0]?.cut();
    await bench.world.advance(1_000);
    const [fresh, stale] = [bench.recorder(), bench.recorder()];
    bench.client.listen(order, { updated: fresh }, { loadedAt: bench.world.now() });
    bench.client.listen(order, { updated: stale }, { loadedAt: bench.world.now() - 900 });
    await bench.world.until(() => bench.server.live().length === 1);
    const stream = bench.server.live()[0];
    stream?.hello();
    stream?.notify({ id: '42', position: 'e1:11' });
    stream?.ready('e1:11', { latest: { 'Order/42': { updated: { position: 'e1:11', age: 1_500, changedDate: 1 } } } });
    await bench.world.advance(2_000);
    expect(fresh.runs).toEqual([]);
    expect(stale.runs).toEqual([]);
    bench.client.listen(order, { updated: stale }, { loadedAt: bench.world.now() - 60_000 });
    await bench.world.advance(2_000);
    expect(stale.runs).toHaveLength(1);
  });

  test('its own last successful run counts instead of the load', async () => {
    const bench = createBench();
    const seen = bench.recorder();
    const listening = bench.client.listen(order, { updated: seen });
    await bench.world.until(() => bench.server.streams.length === 1);
    await bench.world.advance(500);
    expect(listening.error).toBeUndefined();
    seen.runs.length = 0;
    bench.server.streams[0]?.notify({ id: '42', position: 'e1:11' });
    await bench.world.advance(60_000);
    expect(seen.runs).toHaveLength(1);
  });

  test.each<[string, object, ListenOptions['changedDate'], number]>([
    ['older than what the page holds', { changedDate: 6 }, 7, 0],
    ['the same', { changedDate: 7 }, () => 7, 0],
    ['newer', { changedDate: 8 }, 7, 1],
    ['of another kind', { changedDate: '2026-01-01T00:00:00Z' }, 7, 1],
    ['of unknown order', { changedDate: 6, unordered: true }, 7, 1],
    ['a date in another form', { changedDate: '2026-01-01T00:00:00Z' }, new Date('2026-01-01T00:00:00.000Z'), 0],
    ['not a date at all', { changedDate: 6 }, 'yesterday', 1],
    ['unknown to the page', { changedDate: 6 }, () => undefined, 1],
  ])('changedDate may only skip: %s', async (_name, wire, changedDate, runs) => {
    for (const how of ['notification', 'load'] as const) {
      const bench = createBench();
      const { unordered, ...rest } = { unordered: undefined, ...wire } as {
        unordered?: true | undefined;
        changedDate: string | number;
      };
      if (how === 'load')
        bench.server.latest = {
          'Order/42': { updated: { position: 'e1:9', age: 0, ...rest, ...(unordered && { unordered }) } },
        };
      const seen = bench.recorder();
      await listen(
        bench,
        order,
        { updated: seen },
        { loadedAt: bench.world.now() - 500, ...(changedDate !== undefined && { changedDate }) },
      );
      if (how === 'notification') {
        const notification = {
          entity: 'Order',
          id: '42',
          action: 'updated',
          position: 'e1:11' as Position,
          ...rest,
          ...(unordered && { unordered }),
        };
        bench.server.streams[0]?.send({ type: 'notification', notification }, 'e1:11');
      }
      await bench.world.advance(500);
      expect([how, seen.runs.length]).toEqual([how, runs]);
    }
  });
});

describe('resync', () => {
  test('in band: listeners of those channels once; null means all', async () => {
    const bench = createBench();
    const [one, other] = [bench.recorder(), bench.recorder()];
    await listen(bench, { entity: 'Order', id: 43 }, { '*': other, updated: other });
    await listen(bench, order, { '*': one });
    const stream = bench.server.streams.at(-1);
    stream?.send({ type: 'resync', channels: ['Order/42'] });
    await bench.world.advance(500);
    expect([one.runs.length, other.runs.length]).toEqual([1, 0]);
    expect(one.runs).toMatchObject([{ reason: 'resync', merged: 0 }]);
    stream?.send({ type: 'resync', channels: null });
    await bench.world.advance(500);
    expect([one.runs.length, other.runs.length]).toEqual([2, 1]);
  });

  test('another log: the first link takes no old grant and resyncs what is its own; the second covers. One refresh', async () => {
    const bench = createBench();
    const seen = bench.recorder();
    await listen(bench, order, { '*': seen });
    bench.server.accepts = false;
    bench.server.config.epoch = 'e2';
    bench.server.streams[0]?.cut();
    await bench.world.until(() => bench.server.streams.length === 2);
    const first = bench.server.streams[1];
    first?.hello();
    first?.send({ type: 'reauthorise', channels: ['Order/42'] });
    first?.send({ type: 'resync', channels: null });
    first?.ready('e2:1');
    await bench.world.until(() => bench.server.streams.length === 3);
    const second = bench.server.streams[2];
    expect(second?.request).toMatchObject({ channels: { 'Order/42': 'e1:10' }, own: 'e2:1' });
    second?.hello();
    second?.send({ type: 'resync', channels: ['Order/42'] });
    second?.ready('e2:1');
    await bench.world.advance(5_000);
    expect(seen.runs).toMatchObject([{ reason: 'resync' }]);
  });

  test('waits within the spread of the newest hello or heartbeat; a load race does not', async () => {
    const bench = createBench();
    const seen = bench.recorder();
    await listen(bench, order, { '*': seen });
    const stream = bench.server.streams[0];
    stream?.send({ type: 'heartbeat', position: 'e1:10', spread: 20_000 }, 'e1:10');
    stream?.send({ type: 'resync', channels: null });
    await bench.world.advance(9_000);
    expect(seen.runs).toHaveLength(0);
    await bench.world.advance(1_100);
    expect(seen.runs).toHaveLength(1);
    const late = bench.recorder();
    bench.client.listen(order, { '*': late }, { loadedAt: bench.world.now() - 11_000 });
    await bench.world.advance(10);
    expect(late.runs).toMatchObject([{ reason: 'load' }]);
  });

  test('row 53: the first to come back to a new node, which counts but few, wait as long as they were told before', async () => {
    const bench = createBench();
    const seen = bench.recorder();
    await listen(bench, order, { '*': seen });
    const [stream] = bench.server.streams;
    stream?.send({ type: 'heartbeat', position: 'e1:10', spread: 20_000 }, 'e1:10');
    stream?.cut();
    bench.server.accepts = false;
    await bench.world.until(() => bench.server.streams.length === 2);
    const next = bench.server.streams[1];
    next?.hello({ epoch: 'e2', spread: 0 });
    next?.send({ type: 'resync', channels: ['Order/42'] });
    next?.ready('e2:1');
    await bench.world.advance(9_900);
    expect(seen.runs).toHaveLength(0);
    await bench.world.advance(200);
    expect(seen.runs).toHaveLength(1);
    next?.send({ type: 'heartbeat', position: 'e2:1', spread: 4_000 }, 'e2:1');
    next?.send({ type: 'resync', channels: null });
    await bench.world.advance(2_100);
    expect(seen.runs).toHaveLength(2);
  });

  test('a run that fails leaves the listener dirty, and is tried again', async () => {
    const bench = createBench();
    let fails = 3;
    const seen = bench.recorder(() => (fails-- > 0 ? Promise.reject(new Error('502')) : undefined));
    await listen(bench, order, { '*': seen });
    bench.server.streams[0]?.send({ type: 'resync', channels: null });
    await bench.world.advance(120_000);
    expect(seen.runs).toHaveLength(4);
    expect(seen.runs.every(({ reason }) => reason === 'resync')).toBe(true);
  });
});

describe('a notification that cannot be read', () => {
  const wire = { entity: 'Order', id: '42', action: 'updated', position: 'e1:11', changedDate: 1 };

  test.each([
    ['entity', 5],
    ['entity', ''],
    ['action', ['updated']],
    ['action', undefined],
    ['position', 11],
    ['position', 'eleven'],
    ['position', undefined],
    ['id', 42],
    ['id', ''],
    ['changedDate', { day: 1 }],
    ['spread', 'soon'],
    ['spread', null],
    ['except', 'ann'],
    ['except', [1]],
  ])('is not missed in silence: one resync, and the link goes on (%s: %j)', async (key, value) => {
    const bench = createBench();
    const { server, world, client, errors } = bench;
    const [seen, other] = [bench.recorder(), bench.recorder()];
    await listen(bench, order, { updated: seen });
    await listen(bench, { entity: 'Report', id: 1 }, { '*': other });
    const data = JSON.stringify({ ...wire, [key]: value });
    server.live()[0]?.write(`id: e1:11\nevent: notification\ndata: ${data}\n\n`);
    await world.advance(1_200);
    // Nobody knows whom it concerned.
    expect(seen.runs.map(({ reason }) => reason)).toEqual(['resync']);
    expect(other.runs.map(({ reason }) => reason)).toEqual(['resync']);
    const [stream] = server.live();
    stream?.notify({ id: '42', position: 'e1:12' });
    await world.advance(1_200);
    expect(seen.runs.map(({ reason }) => reason)).toEqual(['resync', 'notification']);
    expect([other.runs.length, server.streams.indexOf(stream as never), client.status().state, errors]).toEqual([
      1,
      server.streams.length - 1,
      'connected',
      [],
    ]);
  });

  test('is a reason to refresh for a listener that attaches after it, too', async () => {
    const bench = createBench();
    const { server, world, recorder } = bench;
    await listen(bench, order, { updated: recorder() });
    await world.advance(5_000);
    const loadedAt = world.now();
    await world.advance(1_000);
    server.live()[0]?.write('id: e1:11\nevent: notification\ndata: {"entity":"Order"}\n\n');
    await world.advance(1_000);
    const late = recorder();
    await listen(bench, order, { updated: late }, { loadedAt });
    await world.advance(500);
    expect(late.runs.map(({ reason }) => reason)).toEqual(['load']);
  });
});

test('property: the positions that are asked for never go back within an epoch, whatever the server sends', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          what: fc.constantFrom('notify', 'beat', 'cut', 'ready', 'other'),
          offset: fc.integer({ min: 1, max: 60 }),
        }),
        { maxLength: 20 },
      ),
      async (steps) => {
        const bench = createBench();
        await listen(bench, order, { '*': bench.recorder() });
        for (const { what, offset } of steps) {
          const stream = bench.server.streams.at(-1);
          const position: Position = `e1:${offset}`;
          if (what === 'notify') stream?.notify({ id: '42', position });
          else if (what === 'beat') stream?.send({ type: 'heartbeat', position, spread: 0 }, position);
          else if (what === 'ready') stream?.ready(position);
          else if (what === 'cut') stream?.cut();
          else await listen(bench, { entity: 'Order', id: offset }, { '*': bench.recorder() });
          await bench.world.advance(400);
        }
        const asked = bench.server.streams.map(({ request }) =>
          Number(request.channels['Order/42']?.split(':')[1] ?? 0),
        );
        expect(asked).toEqual([...asked].sort((a, b) => a - b));
        bench.client.close();
      },
    ),
    { numRuns: 60 },
  );
}, 60_000);
