/** The whole server: everything that a person's pages ask lives below `/as/<person>`, where that person's cookie is sent. */
import express, { type ErrorRequestHandler, type Express, type Request, Router } from 'express';
import type { Notifier } from 'notify-listen/server';
import { rememberRequest, routes } from 'notify-listen/server/express';
import type { Database } from './database.js';
import { Refusal, signedIn } from './desk.js';
import { orderRoutes } from './order-routes.js';
import { people, personOf } from './people.js';
import { createReports, findReports, type Reports } from './reports.js';
import { createSessions } from './sessions.js';

export interface AppOptions {
  readonly db: Database;
  readonly notifier: Notifier;
  /** The folder with the built page; none while Vite serves it. */
  readonly page?: string | undefined;
}

export function createApp({ db, notifier, page }: AppOptions): { app: Express; reports: Reports } {
  const sessions = createSessions(db);
  const reports = createReports(db, notifier);

  const own = Router({ mergeParams: true });
  own.use(sessions.recognise);
  own.use('/notify-listen', routes(notifier));
  own.use('/api', rememberRequest(), express.json());
  own.post('/api/login', async (request: Request<{ person: string }>, response) => {
    const person = personOf(request.params.person);
    if (!person) throw new Refusal(404, 'There is nobody of that name.');
    await sessions.logIn(person, response);
    response.json(person);
  });
  own.post('/api/logout', async (request, response) => {
    await sessions.logOut(request, response);
    response.json({});
  });
  own.get('/api/me', (request, response) => void response.json(request.login?.person ?? null));
  own.use('/api', orderRoutes({ db, notifier }));
  own.get('/api/reports', async (request, response) => {
    response.json(await findReports(db, signedIn(request).person));
  });
  own.post('/api/reports', async (request, response) => {
    response.status(202).json(await reports.ask(signedIn(request)));
  });

  const app = express();
  app.disable('x-powered-by');
  app.get('/api/people', (_request, response) => void response.json(people));
  app.use('/as/:person', own);
  app.use(['/api', '/as/:person/api'], () => {
    throw new Refusal(404, 'There is nothing here.');
  });
  if (page) {
    app.use(express.static(page, { index: false }));
    app.get('/{*path}', (_request, response) => response.sendFile('index.html', { root: page }));
  }
  app.use(answerErrors);
  return { app, reports };
}

const answerErrors: ErrorRequestHandler = (error: { status?: number; message?: string }, _request, response, next) => {
  if (response.headersSent) return next(error);
  const status = error.status ?? 500;
  if (status >= 500) console.error(error);
  response.status(status).json({ message: status >= 500 ? 'That went wrong on the server.' : error.message });
};
