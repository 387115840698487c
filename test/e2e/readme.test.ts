/** The smallest server and page of README, as they stand there: a stranger's first live refresh, through Vite's proxy. */
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Notifier } from 'notify-listen/server';
import { createServer, type ViteDevServer } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openBrowser } from '../kit/browser.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = `${root}test/.cache/readme`;
const browser = openBrowser();

const [serverCode = '', pageCode = '', html = ''] = [
  ...readFileSync(`${root}README.md`, 'utf8').matchAll(/^```(?:tsx?|html)\n(.*?)^```$/gms),
].map((match) => match[1]);

let vite: ViteDevServer;
let api: { server: Server; notifier: Notifier };

beforeAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const server = serverCode
    .replace('app.listen(3000)', "export const server = app.listen(0, '127.0.0.1')")
    .replace('const notifier', 'export const notifier');
  writeFileSync(`${folder}/server.ts`, server);
  writeFileSync(`${folder}/page.tsx`, pageCode);
  writeFileSync(`${folder}/index.html`, html);
  api = (await import(pathToFileURL(`${folder}/server.ts`).href)) as typeof api;
  if (!api.server.listening) await once(api.server, 'listening');
  const { port } = api.server.address() as AddressInfo;
  vite = await createServer({
    configFile: false,
    root: folder,
    cacheDir: `${folder}/.vite`,
    logLevel: 'error',
    resolve: { tsconfigPaths: true },
    server: {
      host: '127.0.0.1',
      port: 0,
      proxy: { '/notify-listen': `http://127.0.0.1:${port}`, '/orders': `http://127.0.0.1:${port}` },
    },
  });
  await vite.listen();
});

afterAll(async () => {
  await vite?.close();
  await api?.notifier.close();
  api?.server.close();
});

test('its own lines are at most twelve', () => {
  // Not counted: imports, blank lines, comments, the bare Express app with its route, the function around the page.
  const given =
    /^(import |const app = |app\.(post|listen)|\/\/ |const order = |export function |return \($|\);$|\}$|$)|^<\/ListenProvider>|^response\.json\(order/;
  const written = [...serverCode.split('\n'), ...pageCode.split('\n')].filter((line) => !given.test(line.trim()));
  expect(written.length, written.join('\n')).toBeLessThanOrEqual(12);
});

test('a change of the order refreshes the page at once, and only then', async () => {
  const page = await browser().newPage();
  const listening = page.waitForResponse((response) => response.url().endsWith('/notify-listen/stream'));
  const address = vite.httpServer?.address() as AddressInfo | null | undefined;
  await page.goto(`http://127.0.0.1:${address?.port}/`);
  await listening;
  await expect.poll(() => api.notifier.metrics().channels).toBeGreaterThan(0);
  expect(await page.innerText('body')).toBe('');
  await page.request.post(`http://127.0.0.1:${(api.server.address() as AddressInfo).port}/orders/42/ship`);
  await page.waitForFunction(() => document.body.innerText.trim() === 'Shipped.');
  await page.close();
});
