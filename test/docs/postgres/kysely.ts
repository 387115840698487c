// #region sample
import type { Kysely } from 'kysely';
import type { Publisher } from 'notify-listen/server';

interface Database {
  orders: { id: number; state: string };
}

export async function shipWithKysely(db: Kysely<Database>, notifier: Publisher, id: number): Promise<void> {
  await db.transaction().execute(async (trx) => {
    await trx.updateTable('orders').set({ state: 'shipped' }).where('id', '=', id).execute();
    await notifier.notify('shipped', { entity: 'Order', id }, { transaction: trx });
  });
}
// #endregion
