// #region sample
import type { Publisher } from 'notify-listen/server';
import type { Pool } from 'pg';

export async function shipWithPg(pool: Pool, notifier: Publisher, id: number): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    await client.query("UPDATE orders SET state = 'shipped' WHERE id = $1", [id]);
    await notifier.notify('shipped', { entity: 'Order', id }, { transaction: client });
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
}
// #endregion
