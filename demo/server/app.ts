/** The whole server: everything that a person's pages ask lives below `/as/<person>`, where that person's cookie is sent. */
import express, { type ErrorRequestHandler, type Express, type Request, Router } from 'express';
import type { Notifier } from 'notify-listen/server';
import { rememberRequest, routes } from 'notify-listen/server/express';
import type { Database } from './database.js';
import { Refusal, signedIn } from './desk.js';
import type { ProcessFigures } from './figures.js';
import { orderRoutes } from './order-routes.js';
import { people, personOf } from './people.js';
import { askForReport, findReports } from './reports.js';
import { createSessions } from './sessions.js';

export interface AppOptions {
  readonly db: Database;
  readonly notifier: Notifier;
  /** Has a report worked out in the background, by this process or another. */
  readonly startReport: (id: number) => unknown;
  /** The figures of all processes of this desk. */
  readonly processes: () => Promise<readonly ProcessFigures[]>;
  /** The folder with the built page; none while Vite serves it. */
  readonly page?: string | undefined;
}

export function createApp({ db, notifier, startReport, processes, page }: AppOptions): Express {
  const sessions = createSessions(db);

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
    const report = await askForReport(db, notifier, signedIn(request));
    await startReport(report.id);
    response.status(202).json(report);
  });

  const app = express();
  app.disable('x-powered-by');
  app.use((_request, response, next) => {
    response.setHeader('x-process', process.pid);
    next();
  });
  app.get('/api/processes', async (_request, response) => void response.json(await processes()));
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
  return app;
}

const answerErrors: ErrorRequestHandler = (error: { status?: number; message?: string }, _request, response, next) => {
  if (response.headersSent) return next(error);
  const status = error.status ?? 500;
  if (status >= 500) console.error(error);
  response.status(status).json({ message: status >= 500 ? 'That went wrong on the server.' : error.message });
};
