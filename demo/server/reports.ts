/**
 * Reports: work in the background. Each step and the end are told to the person who asked, and to nobody else; the
 * login session that asked hears in addition that its report is ready to read.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Notifier } from 'notify-listen/server';
import type { Database, Queryable } from './database.js';
import { orderId } from './orders.js';
import { type Person, personOf } from './people.js';
import type { Login } from './sessions.js';

export interface ReportLine {
  readonly depot: string;
  readonly open: number;
  /** Cents. */
  readonly value: number;
}

export interface Report {
  readonly id: number;
  readonly done: number;
  readonly steps: number;
  readonly lines: readonly ReportLine[];
  readonly askedAt: string;
  readonly finishedAt: string | null;
}

/** How long a step takes beside its question to the database: it stands for real work. */
const STEP_MS = 600;

const COLUMNS = 'id, done, steps, lines, asked_at as "askedAt", finished_at as "finishedAt"';

export async function findReports(db: Queryable, person: Person): Promise<Report[]> {
  const { rows } = await db.query<Report>(`select ${COLUMNS} from reports where person = $1 order by id desc limit 8`, [
    person.id,
  ]);
  return rows;
}

/** Which of these reports this person has asked for. */
export async function ownReports(db: Queryable, person: Person, ids: readonly string[]): Promise<number[]> {
  const { rows } = await db.query<{ id: number }>('select id from reports where id = any($1) and person = $2', [
    ids.map(orderId),
    person.id,
  ]);
  return rows.map((row) => row.id);
}

export interface Reports {
  /** Writes the order for a report and begins to work on it. */
  ask(login: Login): Promise<Report>;
  /** Takes up what an earlier process left unfinished. */
  resume(): Promise<void>;
  /** Stops after the step at hand. */
  close(): Promise<void>;
}

export function createReports(db: Database, notifier: Notifier): Reports {
  const stop = new AbortController();
  const running = new Set<Promise<void>>();

  function start(id: number, { person, session }: Login): void {
    const job = work(id, person, session)
      .catch((error: unknown) => {
        if (!stop.signal.aborted) console.error(`report ${id}:`, error);
      })
      .finally(() => running.delete(job));
    running.add(job);
  }

  async function work(id: number, person: Person, session: string): Promise<void> {
    const to = { users: [person.id] };
    for (;;) {
      await pause(STEP_MS, undefined, { signal: stop.signal });
      const finished = await notifier.transaction(() =>
        db.transaction(async (tx) => {
          const done = await step(tx, id, person);
          await notifier.notify(done ? 'finished' : 'progressed', { entity: 'Report', id }, { to, spread: false });
          if (done) await notifier.notify('ready', { entity: 'Report', id }, { to: { sessions: [session] } });
          return done;
        }),
      );
      if (finished) return;
    }
  }

  return {
    async ask(login) {
      const { person, session } = login;
      const report = await notifier.transaction(() =>
        db.transaction(async (tx) => {
          const { rows } = await tx.query<Report>(
            `insert into reports (person, session, steps) values ($1, $2, $3) returning ${COLUMNS}`,
            [person.id, session, person.depots.length],
          );
          const asked = rows[0] as Report;
          await notifier.notify('asked', { entity: 'Report', id: asked.id }, { to: { users: [person.id] } });
          return asked;
        }),
      );
      start(report.id, login);
      return report;
    },

    async resume() {
      const { rows } = await db.query<{ id: number; person: string; session: string }>(
        'select id, person, session from reports where finished_at is null',
      );
      for (const { id, person, session } of rows) {
        const asker = personOf(person);
        if (asker) start(id, { person: asker, session });
      }
    },

    async close() {
      stop.abort();
      await Promise.all(running);
    },
  };
}

/** Works out one more depot. True when that was the last one. */
async function step(tx: Queryable, id: number, person: Person): Promise<boolean> {
  const { rows } = await tx.query<Report>(`select ${COLUMNS} from reports where id = $1`, [id]);
  const report = rows[0] as Report;
  const depot = person.depots[report.done] as string;
  const { rows: lines } = await tx.query<ReportLine>(
    `select $1 as depot, count(*)::int as open, coalesce(sum(pieces * price), 0)::int as value
     from orders where depot = $1 and status <> 'shipped'`,
    [depot],
  );
  const last = report.done + 1 >= report.steps;
  await tx.query('update reports set done = done + 1, lines = lines || $2::jsonb, finished_at = $3 where id = $1', [
    id,
    JSON.stringify(lines),
    last ? new Date() : null,
  ]);
  return last;
}
