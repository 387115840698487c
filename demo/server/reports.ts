/** Reports, as the pages ask for them and read them. The work on them is done in the background: `report-jobs.ts`. */
import type { Publisher } from 'notify-listen/server';
import type { Database, Queryable } from './database.js';
import { orderId } from './orders.js';
import type { Person } from './people.js';
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

/** Writes the order for a report. Whoever works on reports (`report-jobs.ts`) is told its id. */
export function askForReport(db: Database, notifier: Publisher, { person, session }: Login): Promise<Report> {
  return notifier.transaction(() =>
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
}
