// #region server
import express from 'express';
import type { Notifier } from 'notify-listen/server';
import { routes } from 'notify-listen/server/express';

interface Orders {
  read(id: string): Promise<{ readonly id: string; readonly state: string }>;
}

export function createApp(notifier: Notifier, orders: Orders): express.Express {
  const app = express();
  app.use('/notify-listen', routes(notifier));
  app.get('/api/orders/:id', async (request, response) => {
    response.json(await orders.read(request.params.id));
  });
  app.get('/orders/:id', async (request, response) => {
    // First the position, then the data. The other way round, a change between the two would be in neither.
    const position = await notifier.position().catch(() => undefined);
    const order = await orders.read(request.params.id);
    response.send(`<!doctype html>
<title>Order ${text(order.id)}</title>
<p>State: <output>${text(order.state)}</output></p>
<script type="application/json">${data({ id: order.id, position })}</script>
<script type="module" src="/order-page.js"></script>`);
  });
  return app;
}

const text = (value: string): string => value.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
/** JSON inside of a script: no value can end the script. */
const data = (value: unknown): string => JSON.stringify(value).replaceAll('<', '\\u003c');
// #endregion
