/**
 * One-click logins. The cookie's path is `/as/<person>`, so one window can hold several people side by side: the browser
 * sends to each page, API and stream exactly the cookie of its own person, and no request needs a special header.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { NextFunction, Request, Response } from 'express';
import type { Database } from './database.js';
import { type Person, personOf } from './people.js';

export interface Login {
  readonly person: Person;
  /** The login session: the hash of the cookie's secret. */
  readonly session: string;
}

declare module 'express-serve-static-core' {
  interface Request {
    login?: Login;
  }
}

const COOKIE = 'desk';

const hash = (secret: string): string => createHash('sha256').update(secret).digest('base64url');

function secretOf(request: Request): string | undefined {
  return request.headers.cookie?.match(/(?:^|;\s*)desk=([\w-]+)/)?.[1];
}

export interface Sessions {
  /** Middleware: finds out who is asking. Does not refuse anybody. */
  recognise(request: Request, response: Response, next: NextFunction): Promise<void>;
  logIn(person: Person, response: Response): Promise<void>;
  logOut(request: Request, response: Response): Promise<void>;
}

export function createSessions(db: Database): Sessions {
  const cookie = (person: string) => ({ path: `/as/${person}`, httpOnly: true, sameSite: 'lax' }) as const;
  return {
    async recognise(request, _response, next) {
      const secret = secretOf(request);
      if (secret) {
        const session = hash(secret);
        const { rows } = await db.query<{ person: string }>('select person from sessions where id = $1', [session]);
        const person = personOf(rows[0]?.person);
        if (person && person.id === request.params.person) request.login = { person, session };
      }
      next();
    },
    async logIn(person, response) {
      const secret = randomBytes(24).toString('base64url');
      await db.query('insert into sessions (id, person) values ($1, $2)', [hash(secret), person.id]);
      response.cookie(COOKIE, secret, cookie(person.id));
    },
    async logOut(request, response) {
      if (!request.login) return;
      await db.query('delete from sessions where id = $1', [request.login.session]);
      response.clearCookie(COOKIE, cookie(request.login.person.id));
    },
  };
}
