/**
 * The first screen: one desk, and a press that opens a second person beside it and lets that person ship an order. Each
 * half is a page of its own with a login of its own; what the stage does, it does through the same API as they.
 */
import { type ReactNode, useEffect, useRef, useState } from 'react';
import type { Order, OrderPage } from '../server/orders.js';
import type { Person } from '../server/people.js';
import type { DeskMessage } from './refreshed.js';
import { logIn } from './sign-in.js';
import { mayShip } from './words.js';

const FIRST = { id: 'ann', name: 'Ann' };
const SECOND = { id: 'ben', name: 'Ben' };

interface Shipment {
  readonly order: number;
  /** By the page's monotonic clock, in milliseconds. */
  readonly pressedAt: number;
  /** Milliseconds until a half had refreshed. */
  readonly took: Readonly<Record<string, number>>;
}

export function Stage(): ReactNode {
  const [open, setOpen] = useState<readonly string[]>([]);
  const [shipment, setShipment] = useState<Shipment>();
  const [problem, setProblem] = useState('');
  const shippedOnce = useRef(false);

  const attempt = (work: Promise<void>): void => {
    setProblem('');
    work.catch((error: Error) => setProblem(error.message));
  };
  const show = async ({ id }: typeof FIRST): Promise<void> => {
    await enter(id);
    setOpen((desks) => (desks.includes(id) ? desks : [...desks, id]));
  };
  const ship = async (): Promise<void> => {
    const order = await orderToShip();
    setShipment({ order, pressedAt: performance.now(), took: {} });
    await ask(SECOND.id, `orders/${order}/ship`, 'POST');
  };

  // biome-ignore lint/correctness/useExhaustiveDependencies: once, when the stage opens
  useEffect(() => attempt(show(FIRST)), []);

  // biome-ignore lint/correctness/useExhaustiveDependencies: only setters and refs are used
  useEffect(() => {
    const hear = ({ origin, data }: MessageEvent<DeskMessage>): void => {
      if (origin !== window.location.origin || !data?.desk) return;
      if (data.what === 'live' && data.desk === SECOND.id && !shippedOnce.current) {
        shippedOnce.current = true;
        attempt(ship());
      }
      if (data.what === 'refreshed' && data.action === 'shipped') {
        setShipment((old) => old && { ...old, took: { [data.desk]: performance.now() - old.pressedAt, ...old.took } });
      }
    };
    window.addEventListener('message', hear);
    return () => window.removeEventListener('message', hear);
  }, []);

  const both = open.includes(SECOND.id);
  return (
    <div className="stage">
      <header>
        <h1>Order desk</h1>
        <p role="status">
          <Sentence both={both} shipment={shipment} />
        </p>
        {both ? (
          <button type="button" onClick={() => attempt(ship())}>
            Ship another as {SECOND.name}
          </button>
        ) : (
          <button type="button" className="primary" disabled={open.length === 0} onClick={() => attempt(show(SECOND))}>
            Open {SECOND.name} beside {FIRST.name}
          </button>
        )}
        {problem && <p role="alert">{problem}</p>}
      </header>
      <div className="halves">
        {[FIRST, SECOND].map(
          ({ id, name }) => open.includes(id) && <iframe key={id} title={`${name}’s desk`} src={`/as/${id}/orders`} />,
        )}
      </div>
    </div>
  );
}

function Sentence({ both, shipment }: { readonly both: boolean; readonly shipment: Shipment | undefined }): ReactNode {
  if (!both) {
    return (
      <>
        Press{' '}
        <strong>
          Open {SECOND.name} beside {FIRST.name}
        </strong>
        : {SECOND.name} ships an order, and you see both halves refresh.
      </>
    );
  }
  if (!shipment) return <>Opening {SECOND.name}’s desk…</>;
  const took = [FIRST, SECOND].flatMap(({ id, name }) => {
    const ms = shipment.took[id];
    return ms === undefined ? [] : [`${name}’s half after ${Math.round(ms)} ms`];
  });
  return (
    <>
      {SECOND.name} has shipped <strong>order {shipment.order}</strong>.
      {took.length > 0 && ` Refreshed by itself: ${took.join(', ')}. Your turn, in either half.`}
    </>
  );
}

async function ask<T>(person: string, path: string, method = 'GET'): Promise<T> {
  const response = await fetch(`/as/${person}/api/${path}`, { method });
  if (!response.ok) throw new Error(`${person}: the server answered ${response.status}.`);
  return response.json();
}

/** Logs a person in, unless this browser already holds that login. */
async function enter(person: string): Promise<void> {
  const known = await ask<Person | null>(person, 'me');
  if (!known) await logIn(person);
}

/** How many rows of the list are seen in either half, however small the window is. */
const IN_SIGHT = 4;

/** One of the newest orders, so that its row is in sight; a fresh one when none of them may be shipped. */
async function orderToShip(): Promise<number> {
  const { orders } = await ask<OrderPage>(SECOND.id, 'orders');
  const order = orders.slice(0, IN_SIGHT).find(mayShip) ?? (await ask<Order>(SECOND.id, 'orders', 'POST'));
  return order.id;
}
