/** The Redis log when nothing comes back: a server that stands still, connections that are dead at one end. */
import { describe, expect, test, vi } from 'vitest';
import { missingRedis } from '../kit/engines/redis.js';
import { append, appendAgain, expectNoReset, given, stage, urlOf } from '../kit/engines/redis-log.js';

const reason = missingRedis();
/** A call is given up after 3 s; the machine may be busy. */
const BOUND = 5_000;

// They wait for the same three seconds, so side by side.
describe.skipIf(reason).concurrent(`silence of a redis server${reason && ` (${reason})`}`, () => {
  test('one that stands still: append and proof fail in bounded time; when it goes on, all is well by itself', async ({
    onTestFinished,
  }) => {
    const { redis, two } = stage(onTestFinished);
    const server = await redis();
    const both = await two({ url: server.url });
    await append(both.a, 'before');
    server.freeze();
    const began = performance.now();
    const proof = expect(both.readers[1].tail.prove(4_000)).rejects.toThrow(/took longer than 4000 ms/);
    await expect(append(both.a, 'unknown')).rejects.toThrow(/took longer than 3000 ms/);
    expect(performance.now() - began).toBeLessThan(BOUND);
    await proof;
    server.thaw();
    const after = await appendAgain(both.a, 'after');
    await given(both.readers, after);
    expectNoReset(both.readers); // it has lost nothing
  });

  test('a half-open connection: the proof finds it, and is given over a new one', async ({ onTestFinished }) => {
    const { redis, two, proxyTo } = stage(onTestFinished);
    const server = await redis();
    const proxy = await proxyTo(server.port);
    const both = await two({ url: urlOf(proxy.port) });
    await append(both.a, 'before');
    proxy.set('both', { stall: 'swallow' });
    const lost = append(both.a, 'lost');
    const proof = both.readers[1].tail.prove(4_500);
    await vi.waitFor(() => expect(proxy.counts().lost).toBeGreaterThanOrEqual(2));
    // From here on these connections are dead, new ones are not.
    const { accepted } = proxy.counts();
    await proxy.heal();
    await expect(lost).rejects.toThrow();
    await proof;
    expect(proxy.counts().accepted).toBeGreaterThan(accepted);
    await given(both.readers, await appendAgain(both.a, 'after'));
    expectNoReset(both.readers);
  });

  test('hints come at once; killed, they come again', async ({ onTestFinished }) => {
    const { redis, two } = stage(onTestFinished);
    const server = await redis();
    const both = await two({ url: server.url });
    const listening = async (): Promise<void> => {
      const channels = '{notify-listen:default}:0:hints';
      await vi.waitFor(async () => expect(await server.command('PUBSUB', 'NUMSUB', channels)).toEqual([channels, 2]));
    };
    const delays = async (): Promise<number[]> => {
      const all: number[] = [];
      for (let n = 0; n < 20; n += 1) {
        const position = await append(both.a, String(n));
        const began = performance.now();
        await given([both.readers[1]], position);
        all.push(performance.now() - began);
      }
      return all.sort((x, y) => x - y);
    };
    await listening();
    // Without hints half of them would wait for longer than 100 ms, half of what `idle` is then.
    expect((await delays())[10]).toBeLessThan(50);
    await server.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await given([both.readers[1]], await append(both.a, 'meanwhile'));
    await listening();
    expect((await delays())[10]).toBeLessThan(50);
  });
});
