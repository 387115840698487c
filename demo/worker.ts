/**
 * One of several processes that serve the desk's pages; `server/processes.ts` starts it, and has the database and the port.
 * It ends when told to, on SIGTERM (its pages then move to the other processes first), and when the first process has gone.
 */
import { createServer } from 'node:http';
import { createApp } from './server/app.js';
import { channelTo, createCalls } from './server/calls.js';
import { onConnection } from './server/distribute.js';
import { figuresOf } from './server/figures.js';
import { GOODBYE_MS, STOP_MS } from './server/listen.js';
import { createDeskNotifier } from './server/notifier.js';
import type { FirstAnswers, ServingAnswers } from './server/processes.js';
import { remoteDatabase } from './server/remote-database.js';

/** Pages are served until they have another stream, and two seconds more at most: `drain` of the notifier. */
const DRAIN_MS = GOODBYE_MS + 2_500;

// A Ctrl-C reaches all processes of a terminal at once. The first one tells when to end.
process.on('SIGINT', () => {});
process.once('SIGTERM', async () => {
  await call('leaving');
  await stop(true);
});
// Without the database there is nothing to serve, and pages come again where there is.
process.once('disconnect', () => process.exit(0));

const call = createCalls<FirstAnswers, ServingAnswers>(channelTo(process), {
  figures: () => figuresOf(notifier),
  stop: () => void stop(false),
});
const db = remoteDatabase(call);
const notifier = createDeskNotifier(db, process.env);
const server = createServer(
  createApp({
    db,
    notifier,
    page: process.env.DEMO_PAGE,
    startReport: (id) => call('startReport', id),
    processes: () => call('processes'),
  }),
);

async function stop(drain: boolean): Promise<void> {
  setTimeout(() => process.exit(1), drain ? DRAIN_MS : STOP_MS).unref();
  await notifier.close({ within: GOODBYE_MS, drain });
  process.exit(0);
}

onConnection((socket) => {
  socket.once('close', () => void call('closed').catch(() => {}));
  // As a server does that accepts it by itself: small writes are not held back.
  socket.setNoDelay(true);
  server.emit('connection', socket);
  socket.resume();
});
// Whoever comes first need not wait for the log. Without its engine the desk is served all the same, and says that it is
// degraded.
await notifier.position().catch(() => {});
await call('serving');
