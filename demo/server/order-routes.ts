/** The API of the orders: each change is one transaction, and what it notifies leaves after the commit. */
import { randomInt } from 'node:crypto';
import { Router } from 'express';
import type { Queryable } from './database.js';
import { type Desk, mayChange, Refusal, signedIn } from './desk.js';
import { revokeAfterMove } from './notifier.js';
import * as orders from './orders.js';
import { DEPOTS } from './people.js';

const STATUSES = ['new', 'packed', 'held', 'shipped'];
const MAX_NOTE = 500;
const MAX_PIECES = 9999;

export function orderRoutes({ db, notifier }: Desk): Router {
  const router = Router();

  router.get('/orders', async (request, response) => {
    const { search = '', status = '', depot = '', page = '1' } = request.query;
    const filter = {
      search: String(search),
      status: String(status),
      depot: String(depot),
      page: orders.orderId(page) || 1,
    };
    response.json(await orders.findOrders(db, signedIn(request).person, filter));
  });

  router.get('/orders/:id', async (request, response) => {
    const order = await orders.findOrder(db, signedIn(request).person, orders.orderId(request.params.id));
    response.json(order ?? notThere());
  });

  router.get('/orders/:id/changes', async (request, response) => {
    response.json(await orders.orderChanges(db, signedIn(request).person, orders.orderId(request.params.id)));
  });

  router.get('/board', async (request, response) => {
    response.json(await orders.boardFigures(db, signedIn(request).person));
  });

  router.post('/orders', async (request, response) => {
    const person = mayChange(request);
    response.status(201).json(await change('created', (tx) => orders.createOrder(tx, person, randomInt)));
  });

  router.post('/orders/reprice', async (request, response) => {
    const person = mayChange(request);
    const result = await notifier.transaction(() =>
      db.transaction(async (tx) => {
        const repriced = await orders.reprice(tx, person, randomInt);
        // Any order may have changed: one notification on the entity as a whole, not one for each.
        await notifier.notify('repriced', { entity: 'Order' }, { notifier: person.name });
        return repriced;
      }),
    );
    response.json(result);
  });

  router.post('/orders/:id/ship', async (request, response) => {
    const person = mayChange(request);
    const id = orders.orderId(request.params.id);
    const order = await change('shipped', (tx) => orders.changeOrder(tx, person, id, { status: 'shipped' }));
    response.json(order ?? notThere());
  });

  router.post('/orders/:id/add-piece', async (request, response) => {
    const person = mayChange(request);
    const id = orders.orderId(request.params.id);
    const order = await change('updated', (tx) => orders.addPiece(tx, person, id));
    response.json(order ?? notThere());
  });

  router.patch('/orders/:id', async (request, response) => {
    const person = mayChange(request);
    const id = orders.orderId(request.params.id);
    const patch = readPatch(request.body);
    const version: number = request.body.version;
    const order = await change('updated', (tx) => orders.changeOrder(tx, person, id, patch, version));
    if (order) {
      if (patch.depot) await revokeAfterMove(notifier, id, patch.depot);
      response.json(order);
    } else {
      const { changedBy } = (await orders.findOrder(db, person, id)) ?? notThere();
      response.status(409).json({ message: `Changed by ${changedBy} in the meantime.`, changedBy });
    }
  });

  /** One change of one order: the notification is held until the transaction has committed. */
  function change(
    action: string,
    work: (tx: Queryable) => Promise<orders.Order | undefined>,
  ): Promise<orders.Order | undefined> {
    return notifier.transaction(() =>
      db.transaction(async (tx) => {
        const order = await work(tx);
        if (order) await notifier.notify(action, hint(order), { notifier: order.changedBy });
        return order;
      }),
    );
  }

  return router;
}

/** The order as a notification names it. Its version grows strictly, so pages may skip what they have seen. */
function hint({ id, version }: orders.Order) {
  return { entity: 'Order', id, changedDate: version };
}

function notThere(): never {
  throw new Refusal(404, 'There is no such order, or it is not yours to see.');
}

/** The wanted changes; answers 400 with a sentence that says what is wrong with them. */
function readPatch(body: Record<string, unknown> | undefined): orders.OrderPatch {
  const { version, pieces, depot, status, note } = body ?? {};
  const whole = (value: unknown, max: number): boolean =>
    Number.isInteger(value) && Number(value) >= 1 && Number(value) <= max;
  const check = (right: boolean, rule: string): void => {
    if (!right) throw new Refusal(400, rule);
  };
  check(whole(version, Number.MAX_SAFE_INTEGER), 'Version: which one was changed?');
  check(pieces === undefined || whole(pieces, MAX_PIECES), `Pieces: a whole number from 1 to ${MAX_PIECES}.`);
  check(depot === undefined || DEPOTS.some((known) => known === depot), 'Depot: not one of ours.');
  check(status === undefined || STATUSES.some((known) => known === status), 'Status: not one of ours.');
  check(
    note === undefined || (typeof note === 'string' && note.length <= MAX_NOTE),
    `Note: at most ${MAX_NOTE} characters.`,
  );
  return { pieces, depot, status, note } as orders.OrderPatch;
}
