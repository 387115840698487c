/** The rows of the list. A row that has changed since it was last shown flashes. */
import { type ReactNode, useRef, useState } from 'react';
import type { Order } from '../server/orders.js';
import { post } from './api.js';
import { say } from './notices.js';
import { base } from './person.js';
import { Link } from './router.js';
import { useFlash } from './use-flash.js';
import { capital, euros, mayShip, when } from './words.js';

interface OrderTableProps {
  readonly orders: readonly Order[];
  /** Filter and page: rows that come with another one are not news. */
  readonly query: string;
  readonly mayChange: boolean;
}

export function OrderTable({ orders, query, mayChange }: OrderTableProps): ReactNode {
  const isNew = useNews(orders, query);
  if (orders.length === 0) return <p className="empty">No order fits.</p>;
  return (
    <table className="orders">
      <thead>
        <tr>
          <th scope="col">Order</th>
          <th scope="col" className="wide">
            Depot
          </th>
          <th scope="col" className="wide number">
            Total
          </th>
          <th scope="col" className="wider">
            Last change
          </th>
          <th scope="col">Status</th>
          <th scope="col">
            <span className="unseen">Ship</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {orders.map((order) => (
          <Row key={order.id} order={order} born={isNew(order)} mayChange={mayChange} />
        ))}
      </tbody>
    </table>
  );
}

function Row({ order, born, mayChange }: { order: Order; born: boolean; mayChange: boolean }): ReactNode {
  const flash = useFlash(order.version, born);
  const [busy, setBusy] = useState(false);
  async function ship(): Promise<void> {
    setBusy(true);
    await post(`orders/${order.id}/ship`).catch((error: Error) => say(error.message));
    setBusy(false);
  }
  return (
    <tr className={flash} data-order={order.id}>
      <th scope="row">
        <Link to={`${base}/orders/${order.id}`}>{order.id}</Link> <span className="customer">{order.customer}</span>
        <small>
          {order.pieces} × {order.article}
        </small>
      </th>
      <td className="wide">{order.depot}</td>
      <td className="wide number">{euros(order.pieces * order.price)}</td>
      <td className="wider muted">
        {order.changedBy}, {when(order.changedAt)}
      </td>
      <td>
        <span className={`status status-${order.status}`}>{capital(order.status)}</span>
      </td>
      <td className="do">
        {mayChange && mayShip(order) && (
          <button type="button" disabled={busy} onClick={() => void ship()} aria-label={`Ship order ${order.id}`}>
            Ship
          </button>
        )}
      </td>
    </tr>
  );
}

/** Tells which rows have come into a list that was already on the page. */
function useNews(orders: readonly Order[], query: string): (order: Order) => boolean {
  const seen = useRef<{ query: string; orders: readonly Order[]; before: ReadonlySet<number> | undefined }>(undefined);
  if (seen.current?.orders !== orders) {
    const before = seen.current?.query === query ? new Set(seen.current.orders.map((order) => order.id)) : undefined;
    seen.current = { query, orders, before };
  }
  const before = seen.current.before;
  return (order) => before !== undefined && !before.has(order.id);
}
