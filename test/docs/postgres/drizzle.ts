// #region sample
import { eq } from 'drizzle-orm';
import type { NodePgDatabase } from 'drizzle-orm/node-postgres';
import { integer, pgTable, text } from 'drizzle-orm/pg-core';
import type { Publisher } from 'notify-listen/server';

const orders = pgTable('orders', { id: integer().primaryKey(), state: text() });

export async function shipWithDrizzle(db: NodePgDatabase, notifier: Publisher, id: number): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.update(orders).set({ state: 'shipped' }).where(eq(orders.id, id));
    await notifier.notify('shipped', { entity: 'Order', id }, { transaction: tx });
  });
}
// #endregion
