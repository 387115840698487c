// #region server
import express, { type Express } from 'express';
import { currentSession, type Notifier } from 'notify-listen/server';
import { rememberRequest, routes } from 'notify-listen/server/express';

/** A job carries the login session that asked for it: the request is over when the job runs. */
interface Queue {
  add(job: { readonly report: string; readonly session: string | undefined }): Promise<void>;
}

export function createApp(notifier: Notifier, queue: Queue): Express {
  const app = express();
  // Behind whatever knows the login session, ahead of the routes that start jobs.
  app.use(rememberRequest(notifier));
  app.use('/notify-listen', routes(notifier));

  app.post('/reports/:id', async (request, response) => {
    await queue.add({ report: request.params.id, session: await currentSession() });
    response.status(202).end();
  });

  app.post('/recalculate/:id', (request, response) => {
    response.status(202).end();
    // A job of this process inherits the caller, also after the answer.
    setImmediate(() => notifier.notify('recalculated', { entity: 'Report', id: request.params.id }, { to: 'caller' }));
  });
  return app;
}
// #endregion
