/** The order desk on four processes: whichever serves a page, it hears all, and the end of one costs no page anything. */
import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Mistake, openLog } from '../../demo/server/log.js';
import { openBrowser } from '../kit/browser.js';
import { type Demo, openDesk, removeDataFolder, seededDataFolder, startDemo } from '../kit/demo.js';
import { type EventStream, readEvents } from '../kit/event-stream.js';
import { ask, send } from '../kit/http.js';
import { figuresOf, missingRedisOnPath, runs, streamsOf } from '../kit/processes.js';

const PROCESSES = 4;
const STREAMS = 40;
/** How far the connections of one process may be from the mean. */
const EVEN = 0.2;
/** The next page of another person is with another process, unless a request came between. */
const TRIES = 8;

const browser = openBrowser();

describe.skipIf(missingRedisOnPath())('four processes', () => {
  let demo: Demo;
  beforeAll(async () => {
    demo = await startDemo(await seededDataFolder(), { processes: PROCESSES });
  });
  afterAll(async () => {
    await demo.stop();
    removeDataFolder(demo.data);
  });

  const pids = async (): Promise<number[]> => (await figuresOf(demo)).map(({ pid }) => pid);

  /** The cookie of a new login. */
  async function cookieOf(person: string): Promise<string> {
    const response = await ask(`${demo.url}/as/${person}/api/login`, { method: 'POST' });
    return String(response.headers['set-cookie']).split(';')[0] as string;
  }

  async function listen(person: string, cookie: string): Promise<EventStream> {
    const headers = { cookie };
    const stream = readEvents(await send(`${demo.url}/as/${person}/notify-listen/stream?object=Order`, { headers }));
    await stream.next('ready');
    return stream;
  }

  interface Desk {
    readonly context: BrowserContext;
    readonly page: Page;
    readonly process: () => number;
  }
  async function open(person: string): Promise<Desk> {
    const context = await browser().newContext();
    const process = streamsOf(context);
    const page = await openDesk(context, demo, person, 'orders?status=packed');
    await page.locator('tr[data-order]').first().waitFor();
    return { context, page, process };
  }

  /** Ships the first order of a page, and tells which. */
  async function ship(page: Page): Promise<string> {
    const id = (await page.locator('tr[data-order]').first().getAttribute('data-order')) ?? '';
    await page.locator(`[data-order="${id}"]`).getByRole('button', { name: 'Ship' }).click();
    return id;
  }
  const shipped = (page: Page, id: string) => page.locator(`[data-order="${id}"]`).waitFor({ state: 'detached' });

  test('two people on two processes; one is killed, and its page misses nothing', async () => {
    const ann = await open('ann');
    let ben = await open('ben');
    for (let tries = 1; ben.process() === ann.process() && tries < TRIES; tries++) {
      await ben.context.close();
      ben = await open('ben');
    }
    try {
      const killed = ann.process();
      expect(ben.process()).not.toBe(killed);
      expect(await pids()).toContain(killed);

      await shipped(ann.page, await ship(ben.page));

      process.kill(killed, 'SIGKILL');
      const meanwhile = await ship(ben.page);
      await shipped(ann.page, meanwhile);
      await ann.page.locator('[data-state=connected]').waitFor();
      await expect.poll(ann.process).not.toBe(killed);
      expect(runs(killed)).toBe(false);

      await expect.poll(pids).toHaveLength(PROCESSES);
      expect(await pids()).not.toContain(killed);
      // On whichever process it is now, the page listens.
      await shipped(ben.page, await ship(ann.page));
    } finally {
      await ann.context.close();
      await ben.context.close();
    }
  });

  test('a report is made although the process that took the order for it is killed', async () => {
    const headers = { cookie: await cookieOf('ann') };
    const asked = await ask(`${demo.url}/as/ann/api/reports`, { method: 'POST', headers });
    const { id } = asked.json<{ id: number }>();
    process.kill(Number(asked.headers['x-process']), 'SIGKILL');
    const finished = async (): Promise<boolean> => {
      const reports = await ask(`${demo.url}/as/ann/api/reports`, { headers });
      return reports
        .json<{ id: number; finishedAt: string | null }[]>()
        .some((report) => report.id === id && report.finishedAt);
    };
    await expect.poll(finished).toBe(true);
    await expect.poll(pids).toHaveLength(PROCESSES);
  });

  test('connections are spread evenly, all of them hear, and a stop says goodbye to all and leaves nobody behind', async () => {
    const carried = async (): Promise<number[]> => (await figuresOf(demo)).map(({ connections }) => connections);
    const sum = async (): Promise<number> => (await carried()).reduce((total, connections) => total + connections, 0);
    await expect.poll(sum).toBe(0);
    const people = await Promise.all(['ann', 'ben', 'cleo'].map(async (name) => [name, await cookieOf(name)] as const));
    // All at once, as after the end of a process that had them.
    const streams = await Promise.all(
      Array.from({ length: STREAMS }, (_, n) => listen(...(people[n % people.length] as (typeof people)[number]))),
    );
    await expect.poll(sum).toBe(STREAMS);
    const mean = STREAMS / PROCESSES;
    const figures = await carried();
    expect(Math.max(...figures.map((connections) => Math.abs(connections - mean)))).toBeLessThanOrEqual(mean * EVEN);

    const headers = { cookie: people[1]?.[1] ?? '' };
    const done = await ask(`${demo.url}/as/ben/api/orders/1150/add-piece`, { method: 'POST', headers });
    expect(done.status).toBe(200);
    await Promise.all(streams.map((stream) => stream.until(({ data }) => data.action === 'updated', 'the update')));

    const all = await pids();
    expect(await demo.stop()).toBe(0);
    await Promise.all(streams.map((stream) => stream.next('goodbye')));
    expect(await Promise.all(streams.map((stream) => stream.ended))).toEqual(streams.map(() => 'ended'));
    expect(all.filter(runs)).toEqual([]);
    const redis = /redis:\/\/[\d.]+:\d+/.exec(demo.output())?.[0] ?? '';
    await expect(fetch(redis.replace('redis', 'http'))).rejects.toThrow();
  });
});

describe('processes without a log in common are refused with what to do', () => {
  test.each([
    ['a log for one process', { named: 'memory:', env: {} }, /2 needs a log that .* share, and memory: .*--log redis:/],
    ['no log and no redis-server', { named: undefined, env: {} }, /2 needs a log that .* share: install redis-server/],
  ])('%s', async (_what, asked, told) => {
    const opening = openLog({ ...asked, processes: 2, data: '' });
    await expect(opening).rejects.toThrow(told);
    await expect(opening).rejects.toBeInstanceOf(Mistake); // told without a stack
  });
});
