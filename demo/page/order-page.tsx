/** One order: what it says, its form, its history. All widgets in it listen to the same object, in one subscription. */
import { ListenObject } from 'notify-listen/react';
import type { ReactNode } from 'react';
import type { Order } from '../server/orders.js';
import type { Person } from '../server/people.js';
import { post } from './api.js';
import { say } from './notices.js';
import { OrderForm } from './order-form.js';
import { OrderHistory } from './order-history.js';
import { base } from './person.js';
import { Link } from './router.js';
import { useFlash } from './use-flash.js';
import { useLoaded } from './use-loaded.js';
import { capital, euros, when } from './words.js';

export function OrderPage({ id, person }: { readonly id: string; readonly person: Person }): ReactNode {
  const order = useLoaded<Order>(`orders/${encodeURIComponent(id)}`, (next, shown) => next.version < shown.version);
  return (
    <ListenObject value={{ entity: 'Order', id }}>
      <p className="back">
        <Link to={`${base}/orders`}>All orders</Link>
      </p>
      <div className="heading">
        <h1>Order {id}</h1>
        {order.data && <Status status={order.data.status} />}
      </div>
      {order.missing && (
        <p className="empty">
          There is no order {id}, or it is not {person.name}’s to see. The two look the same from here.
        </p>
      )}
      {order.error && <p role="alert">{order.error}</p>}
      {order.data && <Facts order={order.data} />}
      <OrderForm id={id} order={order} person={person} />
      {order.data && <OrderHistory id={order.data.id} />}
      {order.data && person.mayChange && <Burst id={order.data.id} show={order.put} />}
    </ListenObject>
  );
}

function Status({ status }: { readonly status: Order['status'] }): ReactNode {
  return <span className={`status status-${status} ${useFlash(status)}`}>{capital(status)}</span>;
}

function Facts({ order }: { readonly order: Order }): ReactNode {
  const total = order.pieces * order.price;
  return (
    <dl className="facts">
      <div>
        <dt>Customer</dt>
        <dd>
          {order.customer}, {order.city}
        </dd>
      </div>
      <div>
        <dt>Article</dt>
        <dd>
          {order.article}, {euros(order.price)}
        </dd>
      </div>
      <div className={useFlash(total)}>
        <dt>Total</dt>
        <dd>{euros(total)}</dd>
      </div>
      <div className={useFlash(order.version)}>
        <dt>Last change</dt>
        <dd>
          {order.changedBy}, {when(order.changedAt)}
        </dd>
      </div>
    </dl>
  );
}

const BURST = 10;

/** Ten changes, each a request and a transaction of its own. The pages that listen merge what arrives meanwhile. */
function Burst({ id, show }: { readonly id: number; readonly show: (order: Order) => void }): ReactNode {
  const burst = (): void => {
    for (let change = 0; change < BURST; change++) {
      post<Order>(`orders/${id}/add-piece`).then(show, (error: Error) => say(error.message));
    }
  };
  return (
    <section className="try">
      <button type="button" onClick={burst}>
        Add ten pieces, one by one
      </button>
      <span className="muted">
        Ten requests and ten notifications: each page that shows the order refreshes once or twice.
      </span>
    </section>
  );
}
