// #region server
import express from 'express';
import { createNotifier } from 'notify-listen/server';
import { routes } from 'notify-listen/server/express';

/** Over how long pages spread their move to other nodes, in milliseconds. */
const MOVE_WITHIN = 10_000;
/** Below the time after which the platform kills the process (often 30 s). */
const GRACE = 25_000;

const notifier = createNotifier({
  user: (request: express.Request) => request.header('x-forwarded-user'), // as an authenticating proxy tells it
  canListen: { Order: { one: () => true } },
});

const app = express();
app.use('/notify-listen', routes(notifier));
app.post('/api/orders/:id/ship', async (request, response) => {
  const result = await notifier.notify('shipped', { entity: 'Order', id: request.params.id });
  response.json(result);
});

const { PORT = '3000', HOST = '0.0.0.0' } = process.env;
const server = app.listen(Number(PORT), HOST);

process.once('SIGTERM', async () => {
  // Nothing that hangs may keep the process until it is killed.
  setTimeout(() => process.exit(1), GRACE).unref();
  // At once /health answers 503, and so do new streams. Pages move, each at a moment of its own, and are served until then.
  await notifier.close({ within: MOVE_WITHIN, drain: true });
  // No new connections; what is being answered is answered to its end.
  server.close(() => process.exit(0));
});
// #endregion
