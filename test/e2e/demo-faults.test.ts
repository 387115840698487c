/** The order desk while something fails: the server dies, the network goes, the tab is hidden. Nothing is lost. */
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { openBrowser } from '../kit/browser.js';
import {
  countReads,
  type Demo,
  logIn,
  openDesk,
  removeDataFolder,
  seededDataFolder,
  startDemo,
  strip,
} from '../kit/demo.js';

const QUIET_MS = 600;

const browser = openBrowser();
let demo: Demo;
let context: BrowserContext;

beforeAll(async () => {
  demo = await startDemo(await seededDataFolder());
});
afterAll(async () => {
  await demo.stop();
  removeDataFolder(demo.data);
});
beforeEach(async () => {
  context = await browser().newContext();
});
afterEach(() => context.close());

async function addPiece(id: number): Promise<void> {
  await logIn(context, demo, 'ben');
  const response = await fetchAs(`${demo.url}/as/ben/api/orders/${id}/add-piece`);
  expect(response.ok).toBe(true);
}

/** Outside the browser, so that an offline context does not matter. */
async function fetchAs(url: string): Promise<Response> {
  const login = await fetch(url.replace(/api\/.*/, 'api/login'), { method: 'POST' });
  const cookie = login.headers
    .getSetCookie()
    .map((each) => each.split(';')[0])
    .join('; ');
  return fetch(url, { method: 'POST', headers: { cookie } });
}

const pieces = (page: Page) => () => page.getByLabel('Pieces').inputValue();
const light = (page: Page, state: string) => page.locator(`[data-state=${state}]`);

/**
 * Headless Chromium shows every tab as visible, so the page is told otherwise: `document.visibilityState` is overridden
 * and `visibilitychange` dispatched, which is all that a page can see of being hidden.
 */
async function setVisibility(page: Page, state: 'hidden' | 'visible'): Promise<void> {
  await page.evaluate((value) => {
    Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => value });
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => value === 'hidden' });
    document.dispatchEvent(new Event('visibilitychange'));
  }, state);
}

test('a server that is killed and started again: the light goes and returns, and what changed meanwhile is shown', async () => {
  const page = await openDesk(context, demo, 'ann', 'orders/1180');
  const before = Number(await pieces(page)());
  const { data, port } = demo;

  await demo.kill();
  await light(page, 'reconnecting').waitFor();
  const db = await PGlite.create(join(data, 'database'));
  await db.query('update orders set pieces = pieces + 5, version = version + 1 where id = 1180');
  await db.close();
  demo = await startDemo(data, { port });

  await light(page, 'connected').waitFor();
  await expect.poll(pieces(page)).toBe(String(before + 5));
});

test('offline and online again: the page catches up by itself', async () => {
  const page = await openDesk(context, demo, 'ann', 'orders/1181');
  const before = Number(await pieces(page)());
  await context.setOffline(true);
  await addPiece(1181);
  await page.waitForTimeout(QUIET_MS);
  expect(await pieces(page)()).toBe(String(before));
  await context.setOffline(false);
  await expect.poll(pieces(page)).toBe(String(before + 1));
  await light(page, 'connected').waitFor();
});

test('a hidden tab waits, and runs once when it is seen', async () => {
  const page = await openDesk(context, demo, 'ann', 'orders/1182');
  const before = Number(await pieces(page)());
  const reads = countReads(page, 'orders/1182');
  await setVisibility(page, 'hidden');
  for (let change = 0; change < 3; change++) await addPiece(1182);
  await expect.poll(() => strip(page)).toContainEqual(expect.stringMatching(/Order 1182: updated by Ben.*deferred/));
  expect(reads()).toBe(0);

  await setVisibility(page, 'visible');
  await expect.poll(pieces(page)).toBe(String(before + 3));
  await page.waitForTimeout(QUIET_MS);
  expect(reads()).toBe(1);
});
