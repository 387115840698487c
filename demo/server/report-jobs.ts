/**
 * Works on reports in the background, in one process. Each step and the end are told to the person who asked, and to nobody
 * else; the login session that asked hears in addition that its report is ready to read.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { type Publisher, withSession } from 'notify-listen/server';
import type { Database, Queryable } from './database.js';
import { type Person, personOf } from './people.js';
import type { ReportLine } from './reports.js';

/** How long a step takes beside its question to the database: it stands for real work. */
const STEP_MS = 600;

export interface ReportJobs {
  /** Begins to work on a report. It may have been begun already. */
  start(id: number): void;
  /** Takes up what was left unfinished, by an earlier process or by one that could not hand it over any more. */
  resume(): Promise<void>;
  /** Stops after the step at hand. */
  close(): Promise<void>;
}

/** The record of a job: with it the job knows, in whatever process, who asked. */
interface Job {
  readonly id: number;
  readonly person: string;
  readonly session: string;
  readonly done: number;
}

/** @param publisher a notifier, or in a process that serves no pages a publisher on the same log */
export function createReportJobs(db: Database, publisher: Publisher): ReportJobs {
  const stop = new AbortController();
  const running = new Map<number, Promise<void>>();

  function start(id: number): void {
    if (running.has(id) || stop.signal.aborted) return;
    const job = work(id)
      .catch((error: unknown) => {
        if (!stop.signal.aborted) console.error(`report ${id}:`, error);
      })
      .finally(() => running.delete(id));
    running.set(id, job);
  }

  async function work(id: number): Promise<void> {
    const report = { entity: 'Report', id };
    for (;;) {
      await pause(STEP_MS, undefined, { signal: stop.signal });
      const finished = await publisher.transaction(() =>
        db.transaction(async (tx) => {
          const job = await findJob(tx, id);
          const person = personOf(job?.person);
          if (!job || !person) return true;
          const last = await step(tx, job, person);
          const to = { users: [person.id] };
          await publisher.notify(last ? 'finished' : 'progressed', report, { to, spread: false });
          if (last) await withSession(job.session, () => publisher.notify('ready', report, { to: 'caller' }));
          return last;
        }),
      );
      if (finished) return;
    }
  }

  return {
    start,
    async resume() {
      const { rows } = await db.query<Pick<Job, 'id'>>('select id from reports where finished_at is null');
      for (const { id } of rows) start(id);
    },
    async close() {
      stop.abort();
      await Promise.all(running.values());
    },
  };
}

async function findJob(tx: Queryable, id: number): Promise<Job | undefined> {
  const { rows } = await tx.query<Job>(
    'select id, person, session, done from reports where id = $1 and finished_at is null',
    [id],
  );
  return rows[0];
}

/** Works out one more depot. True when that was the last one. */
async function step(tx: Queryable, { id, done }: Job, person: Person): Promise<boolean> {
  const depot = person.depots[done] as string;
  const { rows: lines } = await tx.query<ReportLine>(
    `select $1 as depot, count(*)::int as open, coalesce(sum(pieces * price), 0)::int as value
     from orders where depot = $1 and status <> 'shipped'`,
    [depot],
  );
  const last = done + 1 >= person.depots.length;
  await tx.query('update reports set done = done + 1, lines = lines || $2::jsonb, finished_at = $3 where id = $1', [
    id,
    JSON.stringify(lines),
    last ? new Date() : null,
  ]);
  return last;
}
