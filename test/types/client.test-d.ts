/** What the types of `notify-listen/client` allow, and, after each `@ts-expect-error`, what must not compile. */
import { createListenClient, defineEntities, type Listening } from 'notify-listen/client';
import type { Notifier } from 'notify-listen/server';

const { Order, Report } = defineEntities({ Order: ['updated', 'shipped'], Report: ['done'] });
const client = createListenClient();
const run = (): void => {};

export const declared: Listening[] = [
  client.listen(Order(42), { shipped: run, '*': run }),
  client.listen(Order('42'), [
    { on: ['updated', 'shipped', '*'], run: [run, 'named'], when: () => true, otherwise: 'ask' },
  ]),
  client.listen(Order.all, { updated: run }, { loadedAt: new Date(), position: 'e:1', ignoreOwn: true }),
  client.listen({ entity: 'Order', id: 42 }, { anything: run }),
  client.listen({ entity: 'Order' }, [{ on: 'anything', run }]),

  // @ts-expect-error no action of an order
  client.listen(Order(42), { done: run }),
  // @ts-expect-error no action of an order, in a row
  client.listen(Order(42), [{ on: 'done', run }]),
  // @ts-expect-error one of the two is none
  client.listen(Order.all, [{ on: ['updated', 'done'], run }]),
  // @ts-expect-error no action of a report
  client.listen(Report(1), { shipped: run }),
  // @ts-expect-error an id is a number or text
  client.listen(Order({ id: 42 }), { shipped: run }),
  // @ts-expect-error a row runs something
  client.listen({ entity: 'Order' }, [{ on: 'updated' }]),
  // @ts-expect-error an option that there is not
  client.listen({ entity: 'Order' }, { updated: run }, { loadedat: 1 }),
];

export async function notify(notifier: Notifier): Promise<void> {
  await notifier.notify('shipped', Order(42), { notifier: 'Ann' });
  await notifier.notify('shipped', [Order(42), Order.all]);
  await notifier.notify('shipped', { ...Order(42), changedDate: new Date() });
  await notifier.notify('anything', { entity: 'Order', id: 42, changedDate: 7 });
  // @ts-expect-error no action of an order
  await notifier.notify('done', Order(42));
  // @ts-expect-error no action of an order, in a list
  await notifier.notify('done', [Order(42)]);
}

// @ts-expect-error an entity that was not declared
export const unknown: unknown = defineEntities({ Order: ['updated'] }).Invoice;
// @ts-expect-error actions are text
export const wrong: unknown = defineEntities({ Order: [1] });
