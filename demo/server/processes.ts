/**
 * The desk on several processes. The first one has the database and the port, works on reports and keeps the others running;
 * each of the others serves pages, with a notifier of its own on the log that all share.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Call, channelTo, createCalls } from './calls.js';
import type { Database } from './database.js';
import type { Distributor } from './distribute.js';
import type { ProcessFigures } from './figures.js';
import { STOP_MS } from './listen.js';
import { Mistake } from './log.js';
import { type DatabaseAnswers, serveDatabase } from './remote-database.js';
import type { ReportJobs } from './report-jobs.js';

/** What the first process answers to those that serve pages. */
export interface FirstAnswers extends DatabaseAnswers {
  /** From now on it serves. */
  serving(): void;
  /** One of its connections has ended. */
  closed(): void;
  /** It wants no more connections. */
  leaving(): void;
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

const WORKER = join(import.meta.dirname, '../worker.ts');

export interface ProcessesOptions {
  readonly count: number;
  /** All that the processes are told: the notifier's constants, and the folder of the page (`DEMO_PAGE`). */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly db: Database;
  readonly jobs: ReportJobs;
  readonly distributor: Distributor;
  /** They end again and again. */
  readonly onGivenUp: () => void;
}

export interface Processes {
  /** They say goodbye to their pages and end. */
  close(): Promise<void>;
}

/** Resolves as soon as all of them serve. Rejects when one ends before. */
export async function startProcesses(options: ProcessesOptions): Promise<Processes> {
  const { count, env, db, jobs, distributor, onGivenUp } = options;
  const started = new Set<ChildProcess>();
  const serving = new Map<ChildProcess, Call<ServingAnswers>>();
  let closing = false;
  let failures = 0;

  async function figures(): Promise<ProcessFigures[]> {
    const late = pause(FIGURES_MS, undefined, { ref: false });
    const asked = [...serving.values()].map((call) => Promise.race([call('figures').catch(() => undefined), late]));
    return (await Promise.all(asked)).filter((told) => told !== undefined);
  }

  /** Resolves when it serves. */
  function start(): Promise<void> {
    const child = fork(WORKER, { env, serialization: 'advanced' });
    started.add(child);
    const began = performance.now();
    const database = serveDatabase(db);
    return new Promise((resolve, reject) => {
      const call = createCalls<ServingAnswers, FirstAnswers>(channelTo(child), {
        ...database.answers,
        startReport: jobs.start,
        processes: figures,
        serving() {
          serving.set(child, call);
          distributor.add(child);
          resolve();
        },
        closed: () => distributor.closed(child),
        leaving: () => distributor.remove(child),
      });
      child.once('error', reject);
      child.once('exit', (code, signal) => {
        started.delete(child);
        distributor.ended(child);
        database.release();
        const how = signal || `exit code ${code}`;
        if (!serving.delete(child)) return reject(new Mistake(`Process ${child.pid} ended at its start (${how}).`));
        if (!closing) replace(child, how, performance.now() - began);
      });
    });
  }

  function replace(child: ChildProcess, how: string, lived: number): void {
    failures = lived > STEADY_MS ? 1 : failures + 1;
    console.error(`Process ${child.pid} ended (${how}); another one takes its place.`);
    // It may have written the order for a report, and not have told it any more.
    jobs.resume().catch((error: unknown) => console.error(error));
    again();
  }

  function again(): void {
    if (failures > MOST_IN_A_ROW) {
      onGivenUp();
      return;
    }
    start().catch((error: Error) => {
      if (closing) return;
      failures += 1;
      console.error(error.message);
      again();
    });
  }

  async function end(child: ChildProcess): Promise<void> {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    const kill = (): void => void child.kill('SIGKILL');
    const call = serving.get(child);
    // One that does not serve yet has nobody to say goodbye to.
    if (call) call('stop').catch(() => {});
    else kill();
    const late = setTimeout(kill, END_MS);
    await ended;
    clearTimeout(late);
  }

  async function close(): Promise<void> {
    closing = true;
    await Promise.all([...started].map(end));
  }

  try {
    // The first one alone: what is wrong for one is wrong for all, and need not be told by each.
    await start();
    await Promise.all(Array.from({ length: count - 1 }, start));
  } catch (error) {
    await close();
    throw error;
  }
  return { close };
}
