/** The test double in a real browser: it keeps the contract of an adapter there, and sends nothing to anywhere. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { openBrowser } from '../kit/browser.js';
import { bundle } from '../kit/bundle.js';
import type { runContract } from './double-page.js';

declare const entry: { readonly runContract: typeof runContract };

const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const browser = openBrowser();

test('the contract of an adapter, run by a page', async () => {
  const { code } = await bundle(root, {
    entry: `${root}/test/e2e/double-page.ts`,
    format: 'script',
    mode: 'development',
  });
  // `process` is not defined in a browser; a bundler of an application replaces it.
  const page = `<!doctype html><script>const process = { env: {} };</script><script>${code.replaceAll('</script', '<\\/script')}</script>`;
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
    response.end(page);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const tab = await browser().newPage();
  try {
    const asked: string[] = [];
    await tab.goto(`http://127.0.0.1:${port}/`);
    tab.on('request', (request) => asked.push(request.url()));
    const ends = await tab.evaluate(() => entry.runContract());
    expect(Object.entries(ends).filter(([, end]) => end !== 'passed')).toEqual([]);
    expect(Object.keys(ends).length).toBeGreaterThan(25);
    expect(asked).toEqual([]);
  } finally {
    await tab.close();
    await new Promise((resolve) => server.close(resolve));
  }
});
