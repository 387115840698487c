/** What the routes of the desk share: what they work with, and the two questions that most of them begin with. */
import type { Request } from 'express';
import type { Notifier } from 'notify-listen/server';
import type { Database } from './database.js';
import type { Person } from './people.js';
import type { Login } from './sessions.js';

export interface Desk {
  readonly db: Database;
  readonly notifier: Notifier;
}

/** An answer that is not 2xx, with a sentence for the person who asked. */
export class Refusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Who is logged in. Answers 401 when nobody is. */
export function signedIn(request: Request): Login {
  if (!request.login) throw new Refusal(401, 'Nobody is logged in.');
  return request.login;
}

/** The person, if allowed to change orders. Answers 403 otherwise. */
export function mayChange(request: Request): Person {
  const { person } = signedIn(request);
  if (!person.mayChange) throw new Refusal(403, `${person.name} may read, and not change anything.`);
  return person;
}
