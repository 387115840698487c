/**
 * The desk on several processes. The first one has the database, works on reports and keeps the others running; each of the
 * others serves pages, with a notifier of its own on the log that all share. They share one port, in turn.
 */
import cluster, { type Worker } from 'node:cluster';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Call, channelTo, createCalls } from './calls.js';
import type { Database } from './database.js';
import type { ProcessFigures } from './figures.js';
import { STOP_MS } from './listen.js';
import { Mistake } from './log.js';
import { type DatabaseAnswers, serveDatabase } from './remote-database.js';
import type { ReportJobs } from './report-jobs.js';

/** What the first process answers to those that serve pages. */
export interface FirstAnswers extends DatabaseAnswers {
  startReport(id: number): void;
  processes(): Promise<readonly ProcessFigures[]>;
}

/** What a process that serves pages answers to the first one. */
export interface ServingAnswers {
  figures(): ProcessFigures;
  /** Says goodbye to its pages and ends. */
  stop(): void;
}

/** One that has lived for so long, in milliseconds, did not fail at its start. */
const STEADY_MS = 10_000;
/** So many that ended before, one after the other, and the desk gives up. */
const MOST_IN_A_ROW = 8;
/** How long a process may take to tell its figures, in milliseconds. Without it one that stands still hides all. */
const FIGURES_MS = 1_000;
/** One that has not ended so long after it was asked to is ended by force. */
const END_MS = STOP_MS + 500;

export interface ProcessesOptions {
  readonly count: number;
  /** All that the processes are told: the notifier's constants, the port (`PORT`), the folder of the page (`DEMO_PAGE`). */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly db: Database;
  readonly jobs: ReportJobs;
  /** They end again and again. */
  readonly onGivenUp: () => void;
}

export interface Processes {
  /** They say goodbye to their pages and end. */
  close(): Promise<void>;
}

/** Resolves as soon as all of them serve. Rejects when one ends before. */
export async function startProcesses({ count, env, db, jobs, onGivenUp }: ProcessesOptions): Promise<Processes> {
  const live = new Map<Worker, Call<ServingAnswers>>();
  let closing = false;
  let failures = 0;

  cluster.setupPrimary({ exec: join(import.meta.dirname, '../worker.ts'), args: [], serialization: 'advanced' });
  cluster.schedulingPolicy = cluster.SCHED_RR;

  async function figures(): Promise<ProcessFigures[]> {
    const late = pause(FIGURES_MS, undefined, { ref: false });
    const asked = [...live.values()].map((call) => Promise.race([call('figures').catch(() => undefined), late]));
    return (await Promise.all(asked)).filter((told) => told !== undefined);
  }

  /** Resolves when it listens. */
  function fork(): Promise<void> {
    const worker = cluster.fork(env);
    const began = performance.now();
    const database = serveDatabase(db);
    const call = createCalls<ServingAnswers, FirstAnswers>(channelTo(worker), {
      ...database.answers,
      startReport: jobs.start,
      processes: figures,
    });
    return new Promise((resolve, reject) => {
      worker.once('listening', () => {
        live.set(worker, call);
        resolve();
      });
      worker.once('exit', (code, signal) => {
        database.release();
        const how = signal || `exit code ${code}`;
        if (!live.delete(worker))
          return reject(new Mistake(`Process ${worker.process.pid} ended at its start (${how}).`));
        if (!closing) replace(worker, how, performance.now() - began);
      });
    });
  }

  function replace(worker: Worker, how: string, lived: number): void {
    failures = lived > STEADY_MS ? 1 : failures + 1;
    console.error(`Process ${worker.process.pid} ended (${how}); another one takes its place.`);
    // It may have written the order for a report, and not have told it any more.
    jobs.resume().catch((error: unknown) => console.error(error));
    again();
  }

  function again(): void {
    if (failures > MOST_IN_A_ROW) {
      onGivenUp();
      return;
    }
    fork().catch((error: Error) => {
      if (closing) return;
      failures += 1;
      console.error(error.message);
      again();
    });
  }

  async function end(worker: Worker): Promise<void> {
    if (worker.isDead()) return;
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    const kill = (): void => void worker.process.kill('SIGKILL');
    const call = live.get(worker);
    // One that does not serve yet has nobody to say goodbye to.
    if (call) call('stop').catch(() => {});
    else kill();
    const late = setTimeout(kill, END_MS);
    await ended;
    clearTimeout(late);
  }

  async function close(): Promise<void> {
    closing = true;
    await Promise.all(Object.values(cluster.workers ?? {}).map((worker) => worker && end(worker)));
  }

  try {
    // The first one alone: what is wrong for one is wrong for all, and need not be told by each.
    await fork();
    await Promise.all(Array.from({ length: count - 1 }, fork));
  } catch (error) {
    await close();
    throw error;
  }
  return { close };
}
