// #region ahead
import type { IncomingMessage } from 'node:http';
import express from 'express';
import { createNotifier } from 'notify-listen/server';
import { routes, streamAhead } from 'notify-listen/server/express';

/** For every route: from what every request has, so not from `request.session` or `request.cookies`. */
async function user(request: IncomingMessage): Promise<string | undefined> {
  const session = /(?:^|; )sid=([\w-]+)/.exec(request.headers.cookie ?? '')?.[1];
  return session && (await userOfSession(session));
}

const notifier = createNotifier({ user, canListen: { Order: { one: () => true } } });

const app = express();
app.use('/notify-listen', routes(notifier)); // /config, /auth and /health, as ever
streamAhead(app.listen(3000), notifier);
// #endregion
