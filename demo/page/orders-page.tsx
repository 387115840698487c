/** The list of orders, with filter and paging. It listens to the entity as a whole. */
import { Listen } from 'notify-listen/react';
import { type FormEvent, type ReactNode, useEffect, useRef, useState } from 'react';
import type { OrderPage as OrderList } from '../server/orders.js';
import type { Person } from '../server/people.js';
import { post } from './api.js';
import { say } from './notices.js';
import { OrderTable } from './order-table.js';
import { base } from './person.js';
import { refreshing } from './refreshed.js';
import { go, useLocation } from './router.js';
import { useLoaded } from './use-loaded.js';
import { capital, STATUSES } from './words.js';

export function OrdersPage({ person }: { readonly person: Person }): ReactNode {
  const { searchParams } = useLocation();
  const query = new URLSearchParams([...searchParams].filter(([, value]) => value !== '')).toString();
  const { data, error, loadedAt, reload } = useLoaded<OrderList>(`orders?${query}`);
  const page = Number(searchParams.get('page') ?? 1);

  function show(change: Record<string, string>): void {
    const next = new URLSearchParams(searchParams);
    for (const [name, value] of Object.entries(change)) value ? next.set(name, value) : next.delete(name);
    go(`${base}/orders?${next}`, 'search' in change);
  }

  return (
    <>
      <Listen object={{ entity: 'Order' }} loadedAt={loadedAt} actions={[{ on: '*', run: refreshing(reload) }]} />
      <div className="heading">
        <h1>Orders</h1>
        {data && <span className="muted count-of">{data.total} in all</span>}
        {person.mayChange && <Changes />}
      </div>
      <Filter values={searchParams} depots={person.depots} show={show} />
      {error && <p role="alert">{error}</p>}
      {data && <OrderTable orders={data.orders} query={query} mayChange={person.mayChange} />}
      {data && <Pager page={page} pages={data.pages} to={(to) => show({ page: to > 1 ? String(to) : '' })} />}
      <OpenByNumber />
    </>
  );
}

function Changes(): ReactNode {
  const act = (path: string): void => void post(path).catch((error: Error) => say(error.message));
  return (
    <span className="actions">
      <button type="button" onClick={() => act('orders/reprice')}>
        Raise a price
      </button>
      <button type="button" className="primary" onClick={() => act('orders')}>
        New order
      </button>
    </span>
  );
}

interface FilterProps {
  readonly values: URLSearchParams;
  readonly depots: readonly string[];
  readonly show: (change: Record<string, string>) => void;
}

/** How long a pause in typing is the end of a word. */
const TYPING_MS = 250;

function Filter({ values, depots, show }: FilterProps): ReactNode {
  const given = values.get('search') ?? '';
  const [search, setSearch] = useState(given);
  const newest = useRef(show);
  newest.current = show;
  useEffect(() => {
    if (search === given) return;
    const typed = setTimeout(() => newest.current({ search, page: '' }), TYPING_MS);
    return () => clearTimeout(typed);
  }, [search, given]);

  const select = (name: string, all: string, options: readonly string[]): ReactNode => (
    <label>
      <span className="unseen">{capital(name)}</span>
      <select value={values.get(name) ?? ''} onChange={(event) => show({ [name]: event.target.value, page: '' })}>
        <option value="">{all}</option>
        {options.map((option) => (
          <option key={option} value={option}>
            {capital(option)}
          </option>
        ))}
      </select>
    </label>
  );
  return (
    <search className="filter">
      <label className="grow">
        <span className="unseen">Search</span>
        <input
          type="search"
          placeholder="Search number, customer, article"
          value={search}
          onChange={(event) => setSearch(event.target.value)}
        />
      </label>
      {select('status', 'Every status', STATUSES)}
      {depots.length > 1 && select('depot', 'Every depot', depots)}
    </search>
  );
}

interface PagerProps {
  readonly page: number;
  readonly pages: number;
  readonly to: (page: number) => void;
}

function Pager({ page, pages, to }: PagerProps): ReactNode {
  return (
    <nav className="pager" aria-label="Pages of the list">
      <button type="button" disabled={page <= 1} onClick={() => to(page - 1)}>
        Previous
      </button>
      <span>
        Page {page} of {pages}
      </span>
      <button type="button" disabled={page >= pages} onClick={() => to(page + 1)}>
        Next
      </button>
    </nav>
  );
}

/** Any number may be typed: also that of an order which this person may not see. */
function OpenByNumber(): ReactNode {
  const [number, setNumber] = useState('');
  const open = (event: FormEvent): void => {
    event.preventDefault();
    if (number) go(`${base}/orders/${number}`);
  };
  return (
    <form className="by-number" onSubmit={open}>
      <label>
        Open order number{' '}
        <input
          inputMode="numeric"
          pattern="\d+"
          size={6}
          value={number}
          onChange={(event) => setNumber(event.target.value)}
        />
      </label>
      <button type="submit">Open</button>
    </form>
  );
}
