/**
 * Starts the order desk: `npm run demo`, or `npm run dev` with hot reload. Stops on Ctrl-C. With `-- --provider pusher`
 * (or `ably`) its notifications go through that provider: an emulator of it, or your account where its constants are set.
 * With `-- --processes 4` so many processes serve it, which share the log that `--log` names, or a Redis of their own.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Express } from 'express';
import { createPublisher } from 'notify-listen/server';
import { createApp } from './server/app.js';
import { type Database, openDatabase } from './server/database.js';
import { createDistributor, type Distributor } from './server/distribute.js';
import { figuresOf } from './server/figures.js';
import { GOODBYE_MS, HOST, listen, STOP_MS } from './server/listen.js';
import { Mistake, openLog } from './server/log.js';
import { createDeskNotifier, tellTrouble } from './server/notifier.js';
import { startProcesses } from './server/processes.js';
import { openProvider } from './server/provider.js';
import { createReportJobs } from './server/report-jobs.js';
import { buildPage, servePage } from './vite.js';

const USE = 'Use: npm run demo -- --provider sse|pusher|ably --processes 1…16 --log redis://…|postgres://…|nats://…';
/** Above it one machine is none for a demo. */
const MOST_PROCESSES = 16;
/** Several processes are given time to end one after the other. */
const STOP_ALL_MS = STOP_MS + 3_000;
const ORPHAN_CHECK_MS = 300;

type Env = Readonly<Record<string, string | undefined>>;

const { dev, provider: named, processes, log: namedLog } = readArguments();
const port = Number(process.env.PORT ?? 3000);
const data = resolve(process.env.DEMO_DATA ?? join(import.meta.dirname, '.data'));

/** What to undo at the end, the last first. */
const undo: (() => unknown)[] = [];
let stopping = false;

async function start(): Promise<void> {
  // Bound first, so that a taken port is known before anything is built. Connections wait until the desk is ready.
  let ready = (_app: Express): void => {};
  const app = new Promise<Express>((resolve) => {
    ready = resolve;
  });
  const distributor = processes > 1 ? createDistributor() : undefined;
  const alone = createServer(async (request, response) => (await app)(request, response));
  let shown = await listen(distributor?.server ?? alone, dev ? 0 : port);
  undo.push(() => alone.closeAllConnections());

  await mkdir(data, { recursive: true });
  const log = await openLog({ named: namedLog, env: process.env, processes, data });
  undo.push(log.close);
  const { db, close } = await openDatabase(data);
  undo.push(close);
  const provider = await openProvider(named, log.env);
  undo.push(provider.close);
  const env = { ...provider.env, NOTIFY_LISTEN_SECRET: await secret() };
  const page = dev ? undefined : await buildPage(join(data, 'page'));

  if (distributor) await serveOnSeveral(db, env, page, distributor);
  else ready(await serve(db, env, page));
  undo.push(() => void (distributor?.server ?? alone).close());
  if (dev) {
    const vite = await servePage({ host: HOST, port, server: `http://${HOST}:${shown}` });
    undo.push(() => vite.close());
    shown = vite.port;
  }
  console.log(provider.told);
  if (log.told) console.log(log.told);
  if (processes > 1) {
    console.log(
      `${processes} processes serve it; http://${HOST}:${shown}/api/processes tells how many pages each has.`,
    );
  }
  console.log(`The order desk is open: http://${HOST}:${shown}/  (Ctrl-C stops it)`);
  console.log(`Its data lie in ${data}; delete the folder to begin anew.`);
}

/** The whole desk in this process. */
async function serve(db: Database, env: Env, page: string | undefined): Promise<Express> {
  const notifier = createDeskNotifier(db, env);
  undo.push(() => notifier.close({ within: GOODBYE_MS }));
  const jobs = createReportJobs(db, notifier);
  undo.push(() => jobs.close());
  await jobs.resume();
  return createApp({ db, notifier, page, startReport: jobs.start, processes: async () => [figuresOf(notifier)] });
}

/** The pages in processes of their own; here, what only one may do. */
async function serveOnSeveral(
  db: Database,
  env: Env,
  page: string | undefined,
  distributor: Distributor,
): Promise<void> {
  const publisher = createPublisher({ env, logger: tellTrouble });
  undo.push(() => publisher.close());
  const jobs = createReportJobs(db, publisher);
  undo.push(() => jobs.close());
  await jobs.resume();
  const serving = await startProcesses({
    count: processes,
    // Not what Vite's build has made of this process's NODE_ENV.
    env: { ...env, DEMO_PAGE: page },
    db,
    jobs,
    distributor,
    onGivenUp() {
      console.error('The processes end again and again: the desk stops.');
      void stop(1);
    },
  });
  undo.push(() => serving.close());
}

function readArguments(): { dev: boolean; provider: string | undefined; processes: number; log: string | undefined } {
  try {
    const { values } = parseArgs({
      options: {
        dev: { type: 'boolean' },
        provider: { type: 'string' },
        processes: { type: 'string', default: '1' },
        log: { type: 'string' },
      },
    });
    const { dev = false, provider, log } = values;
    const processes = Number(values.processes);
    if (!/^\d+$/.test(values.processes) || processes < 1 || processes > MOST_PROCESSES) {
      throw new Error(`--processes is "${values.processes}"; write a whole number from 1 to ${MOST_PROCESSES}`);
    }
    if (dev && processes > 1)
      console.log('--dev serves the desk from one process: --processes is left out of account.');
    return { dev, provider, processes: dev ? 1 : processes, log };
  } catch (error) {
    console.error(`${(error as Error).message}\n${USE}`);
    process.exit(2);
  }
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
  setTimeout(() => process.exit(code || 1), processes > 1 ? STOP_ALL_MS : STOP_MS).unref();
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
    console.error(error.code === 'EBUSY' || error instanceof Mistake ? error.message : error);
  }
  void stop(1);
});
