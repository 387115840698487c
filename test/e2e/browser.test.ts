/** The browser of a machine that has none: npm's Chromium unpacks, starts and paints. The other tests prefer the system's. */

import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launchChromium, npmChromium } from '../kit/browser.js';

let browser: Browser;
beforeAll(async () => {
  browser = await launchChromium(await npmChromium());
});
afterAll(() => browser?.close());

test("npm's Chromium runs scripts and has a font to paint text with", async () => {
  const page = await browser.newPage({ viewport: { width: 400, height: 100 } });
  const paint = async (text: string) => {
    await page.setContent(`<h1>${text}</h1>`);
    return page.screenshot();
  };
  expect(await page.evaluate(() => typeof EventSource)).toBe('function');
  expect((await paint('order')).equals(await paint(''))).toBe(false);
});
