/**
 * Starts the order desk: `npm run demo`, or `npm run dev` with hot reload. Stops on Ctrl-C. With `-- --provider pusher`
 * (or `ably`) its notifications go through that provider: an emulator of it, or your account where its constants are set.
 */
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { createApp } from './server/app.js';
import { openDatabase } from './server/database.js';
import { createDeskNotifier } from './server/notifier.js';
import { openProvider } from './server/provider.js';
import { buildPage, servePage } from './vite.js';

const HOST = '127.0.0.1';
/** How long pages may take to come back after a clean stop: it is a demo, so at once. */
const GOODBYE_MS = 500;
/** A stop that takes longer than this is ended by force. */
const STOP_MS = 1500;
const ORPHAN_CHECK_MS = 300;

const { dev, provider: named } = readArguments();
const port = Number(process.env.PORT ?? 3000);
const data = resolve(process.env.DEMO_DATA ?? join(import.meta.dirname, '.data'));

/** What to undo at the end, the last first. */
const undo: (() => unknown)[] = [];
let stopping = false;

async function start(): Promise<void> {
  // Bound first, so that a taken port is known before anything is built. Requests wait until the desk is ready.
  let ready = (_app: ReturnType<typeof createApp>['app']): void => {};
  const app = new Promise<ReturnType<typeof createApp>['app']>((resolve) => {
    ready = resolve;
  });
  const server = createServer(async (request, response) => (await app)(request, response));
  await listen(server, dev ? 0 : port);
  undo.push(() => server.closeAllConnections());
  const address = server.address() as AddressInfo;

  const { db, close } = await openDatabase(data);
  undo.push(close);
  const provider = await openProvider(named, process.env);
  undo.push(provider.close);
  const notifier = createDeskNotifier(db, { ...provider.env, NOTIFY_LISTEN_SECRET: await secret() });
  undo.push(() => notifier.close({ within: GOODBYE_MS }));
  const page = dev ? undefined : await buildPage(join(data, 'page'));
  const desk = createApp({ db, notifier, page });
  undo.push(() => desk.reports.close());
  await desk.reports.resume();
  ready(desk.app);
  undo.push(() => void server.close());

  let shown = address.port;
  if (dev) {
    const vite = await servePage({ host: HOST, port, server: `http://${HOST}:${address.port}` });
    undo.push(() => vite.close());
    shown = vite.port;
  }
  console.log(provider.told);
  console.log(`The order desk is open: http://${HOST}:${shown}/  (Ctrl-C stops it)`);
  console.log(`Its data lie in ${data}; delete the folder to begin anew.`);
}

function readArguments(): { dev: boolean; provider: string | undefined } {
  try {
    const { values } = parseArgs({ options: { dev: { type: 'boolean' }, provider: { type: 'string' } } });
    return { dev: values.dev === true, provider: values.provider };
  } catch (error) {
    console.error(`${(error as Error).message}\nUse: npm run demo -- --provider sse|pusher|ably`);
    process.exit(2);
  }
}

function listen(server: Server, at: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(at, HOST, resolve);
  });
}

/** Signs the grants. Kept, so that pages which are open during a restart need not ask for their rights again. */
async function secret(): Promise<string> {
  if (process.env.NOTIFY_LISTEN_SECRET) return process.env.NOTIFY_LISTEN_SECRET;
  const file = join(data, 'secret');
  const kept = await readFile(file, 'utf8').catch(() => '');
  if (kept) return kept;
  const made = randomBytes(32).toString('base64url');
  await writeFile(file, made, { mode: 0o600 });
  return made;
}

async function stop(code: number): Promise<void> {
  if (stopping) return;
  stopping = true;
  setTimeout(() => process.exit(code || 1), STOP_MS).unref();
  for (const step of undo.reverse()) {
    try {
      await step();
    } catch (error) {
      console.error(error);
    }
  }
  process.exit(code);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void stop(0));
// npm hands a SIGTERM to its shell only, and that leaves without telling anybody: so does the desk when it is orphaned.
const parent = process.ppid;
setInterval(() => process.ppid !== parent && void stop(0), ORPHAN_CHECK_MS).unref();

start().catch((error: NodeJS.ErrnoException) => {
  if (stopping) return;
  if (error.code === 'EADDRINUSE') {
    console.error(`Port ${port} is taken. Choose another one: PORT=${port + 1} npm run ${dev ? 'dev' : 'demo'}`);
  } else {
    console.error(error.code === 'EBUSY' ? error.message : error);
  }
  void stop(1);
});
