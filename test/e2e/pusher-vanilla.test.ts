/**
 * A page that holds nothing of ours: Pusher's own client and laravel-echo from script tags, with the requests that they
 * send by default, a login cookie that scripts cannot read, and a CSRF token.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { createNotifier } from 'notify-listen/server';
import { routes } from 'notify-listen/server/express';
import { expect, onTestFinished, test } from 'vitest';
import { startPusherEmulator } from '../../adapters/emulators/index.js';
import { openBrowser } from '../kit/browser.js';
import { root } from '../kit/build.js';

const browser = openBrowser();

const script = (file: string): string => readFileSync(`${root}node_modules/${file}`, 'utf8');

async function site() {
  const emulator = await startPusherEmulator();
  const notifier = createNotifier({
    user: (request) => /(?:^|; )login=(\w+)/.exec(request.headers.cookie ?? '')?.[1],
    canListen: { Order: { one: (user, id) => user === 'ann' && id === '42' } },
    env: {
      ...emulator.env,
      NOTIFY_LISTEN_SECRET: 'the secret of a page of somebody else',
      NOTIFY_LISTEN_NAMESPACE: 'shop',
      PUSHER_FIXED_NAMES: 'true',
    },
    logger: () => {},
  });
  const app = express();
  app.get('/', (_request, response) => {
    response.cookie('login', 'ann', { httpOnly: true, sameSite: 'strict' });
    response.send(
      '<!doctype html><meta name="csrf-token" content="t0ken"><script src="/pusher.js"></script><script src="/echo.js"></script>',
    );
  });
  app.get(
    '/pusher.js',
    (_request, response) => void response.type('js').send(script('pusher-js/dist/web/pusher.min.js')),
  );
  app.get('/echo.js', (_request, response) => void response.type('js').send(script('laravel-echo/dist/echo.iife.js')));
  app.use((request, response, next) => {
    if (request.method === 'GET' || request.headers['x-csrf-token'] === 't0ken') next();
    else response.status(419).end();
  });
  app.use('/notify-listen', routes(notifier));
  const server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    await notifier.close({ within: 0 });
    server.closeAllConnections();
    await emulator.close();
  });
  const context = await browser().newContext();
  onTestFinished(() => context.close());
  const page = await context.newPage();
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  return { page, notifier, emulator };
}

/** What the page itself runs: a script of its own, as text, so that nothing of ours is in it. */
const OPTIONS = `cluster: 'local', wsHost: '127.0.0.1', wsPort: PORT, forceTLS: false, enabledTransports: ['ws'],
  userAuthentication: { endpoint: '/notify-listen/auth', transport: 'ajax', headers: HEADERS }`;
const CLIENTS = {
  'pusher-js': `
    const HEADERS = { 'X-CSRF-Token': 't0ken' };
    const client = new Pusher('local-key', { ${OPTIONS}, channelAuthorization: {
      endpoint: '/notify-listen/auth', transport: 'ajax', headers: HEADERS } });
    const open = (name, done) => {
      const channel = client.subscribe('private-' + name);
      channel.bind('pusher:subscription_succeeded', () => done('subscribed'));
      channel.bind('pusher:subscription_error', (error) => done(error.status));
      channel.bind('shipped', (data) => heard.push(data.id));
    };
    client.signin();
    const user = () => client.user.user_data;`,
  // Echo takes the token from the page's <meta> by itself.
  'laravel-echo': `
    const HEADERS = {};
    const echo = new Echo.default({ broadcaster: 'pusher', key: 'local-key', ${OPTIONS}, authEndpoint: '/notify-listen/auth' });
    const open = (name, done) => echo.private(name)
      .listen('.shipped', (data) => heard.push(data.id))
      .subscribed(() => done('subscribed'))
      .error((error) => done(error.status));
    echo.connector.signin();
    const user = () => echo.connector.pusher.user.user_data;`,
};

test.each(Object.entries(CLIENTS))('%s with a cookie and a CSRF token', async (_name, client) => {
  const { page, notifier, emulator } = await site();
  await page.addScriptTag({
    content: `const heard = []; ${client.replaceAll('PORT', String(emulator.port))}
      const fates = {}; for (const id of ['42', '43']) open('shop;Order,' + id, (fate) => { fates[id] = fate; });`,
  });
  await page.waitForFunction('fates[42] && fates[43] && user()');
  expect(await page.evaluate('fates')).toEqual({ 42: 'subscribed', 43: 403 });
  await notifier.notify('shipped', [
    { entity: 'Order', id: 43 },
    { entity: 'Order', id: 42 },
  ]);
  await page.waitForFunction('heard.length > 0');
  expect(await page.evaluate('heard')).toEqual(['42']);
});
