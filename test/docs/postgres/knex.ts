// #region sample
import type { Knex } from 'knex';
import type { Publisher } from 'notify-listen/server';

export async function shipWithKnex(knex: Knex, notifier: Publisher, id: number): Promise<void> {
  await knex.transaction(async (trx) => {
    await trx('orders').update({ state: 'shipped' }).where({ id });
    await notifier.notify('shipped', { entity: 'Order', id }, { transaction: trx });
  });
}
// #endregion
