// #region loader
import type { Notifier, Position } from 'notify-listen/server';

interface Order {
  readonly id: string;
  readonly state: string;
}
interface LoadedOrder {
  readonly order: Order;
  /** None while the log was never reached: the page then compares times. */
  readonly position?: Position | undefined;
}

/** Runs on the server: in a server component, a loader of a route, `getServerSideProps`. */
export async function loadOrder(
  notifier: Notifier,
  orders: { read(id: string): Promise<Order> },
  id: string,
): Promise<LoadedOrder> {
  const position = await notifier.position().catch(() => undefined); // before the data is read
  return { order: await orders.read(id), position };
}
// #endregion
