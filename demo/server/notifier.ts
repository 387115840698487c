/** The notifier of the order desk: who is asking, and who may listen to what. */
import type { Request } from 'express';
import { createNotifier, type LogLine, type Notifier } from 'notify-listen/server';
import type { Database } from './database.js';
import { visibleOrders } from './orders.js';
import { type Person, people } from './people.js';
import { ownReports } from './reports.js';

export function createDeskNotifier(db: Database, env: Record<string, string | undefined>): Notifier {
  return createNotifier<Request, Person>({
    env,
    logger: tellTrouble,
    user: (request) => request.login?.person,
    session: (request) => request.login?.session,
    mayListen: (person) => person.mayListen,
    canListen: {
      Order: { many: (person, ids) => visibleOrders(db, person, ids), all: () => true },
      Report: { many: (person, ids) => ownReports(db, person, ids), all: () => true },
    },
  });
}

/** On the terminal, what is wrong and nothing else. */
export function tellTrouble(line: LogLine): void {
  if (line.level === 'warn' || line.level === 'error') console[line.level](line);
}

/**
 * An order has left one depot for another: those who no longer see it stop listening, on every node, within a second.
 * The right has changed already, with the order; a page that listens gets `refused` and asks nothing more.
 */
export async function revokeAfterMove(notifier: Notifier, id: number, depot: string): Promise<void> {
  const outside = people.filter((person) => !person.depots.includes(depot));
  await Promise.all(outside.map((person) => notifier.revoke(person.id, { entity: 'Order', id })));
}
