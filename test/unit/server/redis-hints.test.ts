/** The connection that hears of appends: it is believed only as long as the node hears itself on it. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { RedisConnection } from '../../../server/log/redis/connection.js';
import { createHints, type Hints } from '../../../server/log/redis/hints.js';
import { settle } from '../../kit/entries.js';

/** One whose other end the test holds. */
interface Fake extends RedisConnection {
  /** What arrives on a channel. */
  say(channel: string): void;
  readonly destroyed: () => boolean;
}

let made: Fake[] = [];
let said = 0;
let told = 0;
let stop: () => void = () => {};
/** Whether subscriptions are answered, and whether what is said comes back. */
let answers = true;
let echoes = true;

function connect(): RedisConnection {
  let heard: (channel: string) => void = () => {};
  let over = false;
  let end: () => void = () => {};
  const fake: Fake = {
    ready: Promise.resolve(),
    ended: new Promise((resolve) => {
      end = resolve;
    }),
    call: () => Promise.reject(new Error('not used')),
    all: () => Promise.reject(new Error('not used')),
    subscribe: (channels, hear) => {
      expect(channels).toEqual(['all', 'own']);
      heard = hear;
      return answers ? Promise.resolve() : new Promise(() => {});
    },
    destroy: () => {
      over = true;
      end();
    },
    say: (channel) => heard(channel),
    destroyed: () => over,
  };
  made.push(fake);
  return fake;
}

function start(): Hints {
  const hints = createHints({
    connect,
    channel: 'all',
    own: 'own',
    say: async () => {
      said += 1;
      if (echoes) made.at(-1)?.say('own');
      else throw new Error('nobody answers');
    },
  });
  stop = hints.watch(() => {
    told += 1;
  });
  return hints;
}

const pass = async (ms: number): Promise<void> => {
  await vi.advanceTimersByTimeAsync(ms);
  await settle();
};

beforeEach(() => {
  vi.useFakeTimers();
  [made, said, told, answers, echoes] = [[], 0, 0, true, true];
});
afterEach(() => stop());

test('hears: a hint for each append, and one for what was appended before it heard', async () => {
  const hints = start();
  expect(hints.idle()).toBe(200);
  await pass(0);
  expect([told, said, hints.idle()]).toEqual([1, 1, 1_000]);
  made[0]?.say('all');
  made[0]?.say('all');
  expect(told).toBe(3);
});

test('half-open: without an echo the connection is given up after 3 s, and nodes read often until another one is heard', async () => {
  const hints = start();
  await pass(5_000);
  expect([said, made.length]).toEqual([2, 1]);
  echoes = false;
  await pass(5_000);
  expect([said, made.length, hints.idle()]).toEqual([3, 1, 1_000]);
  await pass(2_999);
  expect(made[0]?.destroyed()).toBe(false);
  await pass(1);
  expect([made[0]?.destroyed(), hints.idle()]).toEqual([true, 200]);
  await pass(50);
  expect(made).toHaveLength(2);
  // The engine is down: neither is the connection opened again and again, nor for ever left alone.
  await pass(60_000);
  expect(made.length).toBeGreaterThan(10);
  expect(made.length).toBeLessThan(25);
  echoes = true;
  await pass(5_100);
  expect(hints.idle()).toBe(1_000);
  // What an earlier connection still says is not heard.
  const before = told;
  made[0]?.say('all');
  expect(told).toBe(before);
});

test('a subscription that is not answered is given up', async () => {
  answers = false;
  start();
  await pass(3_000);
  expect([made[0]?.destroyed(), told]).toEqual([true, 0]);
  answers = true;
  await pass(50);
  expect([made.length, told]).toEqual([2, 1]);
});

test('dropped, it opens another one; stopped, none', async () => {
  const hints = start();
  await pass(0);
  hints.drop();
  await pass(50);
  expect([made.length, hints.idle()]).toEqual([2, 1_000]);
  stop();
  await pass(60_000);
  expect([made.length, made[1]?.destroyed()]).toEqual([2, true]);
});
