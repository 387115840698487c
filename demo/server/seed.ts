/** 200 plausible orders, the same on every machine: the numbers come from a small generator with a fixed start. */
import type { Queryable } from './database.js';
import { DEPOTS } from './people.js';

const FIRST_ID = 1001;
const COUNT = 200;

const CUSTOMERS = [
  ['Bright & Sons', 'Bristol'],
  ['Café Lindqvist', 'Uppsala'],
  ['Delta Marine', 'Rotterdam'],
  ['Ferreira Irmãos', 'Porto'],
  ['Gasthof Adler', 'Bregenz'],
  ['Highland Outfitters', 'Inverness'],
  ['Imkerei Vogt', 'Freiburg'],
  ['Jansen Cycles', 'Utrecht'],
  ['Kowalski Print', 'Kraków'],
  ['Librería Sol', 'Sevilla'],
  ['Maison Perrin', 'Lyon'],
  ['Northwind Bakery', 'Aarhus'],
  ['Officina Riva', 'Brescia'],
  ['Pine Street School', 'Leeds'],
  ['Quay Hotel', 'Cork'],
  ['Rosendahl Garden', 'Odense'],
] as const;

/** The article and its price in cents. */
export const ARTICLES: readonly (readonly [string, number])[] = [
  ['Oak shelf, 90 cm', 6490],
  ['Desk lamp, brass', 4250],
  ['Storage box, set of 3', 1890],
  ['Wall clock', 3575],
  ['Stool, stackable', 5200],
  ['Linen curtain', 4410],
  ['Coat rack', 2780],
  ['Notice board', 1995],
  ['Steel trolley', 11900],
  ['Door mat', 1450],
];

const NOTES = [
  '',
  '',
  '',
  'Call before delivery.',
  'Ring at the side door.',
  'Invoice to the head office.',
  'Fragile: keep upright.',
];
/** The newest orders are mostly open, the older ones mostly gone. */
const OPEN = ['new', 'new', 'packed', 'packed', 'new', 'held', 'shipped'];
const GONE = ['shipped', 'shipped', 'shipped', 'shipped', 'packed', 'held', 'new'];
const RECENT = 60;
const HOUR = 3600;

/** A linear congruential generator (the constants of Numerical Recipes). */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

export function pick<T>(items: readonly T[], index: number): T {
  return items[index % items.length] as T;
}

export interface OrderDraft {
  readonly customer: string;
  readonly city: string;
  readonly article: string;
  readonly price: number;
  readonly pieces: number;
  readonly depot: string;
  readonly note: string;
}

/** A made-up order; what it is made of follows from `random`. */
export function draftOrder(random: (below: number) => number): OrderDraft {
  const [customer, city] = pick(CUSTOMERS, random(CUSTOMERS.length));
  const [article, price] = pick(ARTICLES, random(ARTICLES.length));
  return {
    customer,
    city,
    article,
    price,
    pieces: 1 + random(24),
    depot: pick(DEPOTS, random(DEPOTS.length)),
    note: pick(NOTES, random(NOTES.length)),
  };
}

/** Fills an empty table of orders. */
export async function seedOrders(db: Queryable): Promise<void> {
  const { rows } = await db.query('select 1 from orders limit 1');
  if (rows.length > 0) return;
  const random = generator(1001);
  const orders = Array.from({ length: COUNT }, (_, index) => ({
    id: FIRST_ID + index,
    ...draftOrder(random),
    status: pick(COUNT - index <= RECENT ? OPEN : GONE, random(OPEN.length)),
    changed_by: random(2) === 0 ? 'Ann' : 'Ben',
    ago: (COUNT - index) * 2 * HOUR + random(HOUR),
  }));
  await db.query(
    `insert into orders (id, customer, city, article, pieces, price, depot, status, note, changed_by, changed_at)
     select id, customer, city, article, pieces, price, depot, status, note, changed_by, now() - make_interval(secs => ago)
     from jsonb_to_recordset($1::jsonb) as o(id int, customer text, city text, article text, pieces int, price int,
       depot text, status text, note text, changed_by text, ago int)`,
    [JSON.stringify(orders)],
  );
  await db.query(
    `insert into order_changes (order_id, what, changed_by, changed_at)
     select id, 'Entered', changed_by, changed_at from orders order by id`,
  );
}
