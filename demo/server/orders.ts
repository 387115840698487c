/** The orders in the database. Every question names the person who asks, and SQL leaves out what that person may not see. */
import type { Queryable } from './database.js';
import type { Person } from './people.js';
import { ARTICLES, draftOrder } from './seed.js';

export interface Order {
  readonly id: number;
  readonly customer: string;
  readonly city: string;
  readonly article: string;
  readonly pieces: number;
  /** Cents for one piece. */
  readonly price: number;
  readonly depot: string;
  readonly status: 'new' | 'packed' | 'held' | 'shipped';
  readonly note: string;
  /** Grows by one with every change, so it serves as `changedDate`. */
  readonly version: number;
  readonly changedBy: string;
  readonly changedAt: string;
}

export interface OrderChange {
  readonly id: number;
  readonly what: string;
  readonly changedBy: string;
  readonly changedAt: string;
}

export interface OrderFilter {
  readonly search: string;
  readonly status: string;
  readonly depot: string;
  /** From 1. */
  readonly page: number;
}

export type OrderPatch = Partial<Pick<Order, 'pieces' | 'depot' | 'status' | 'note'>>;

const PAGE_SIZE = 10;
const MAX_ID = 2 ** 31 - 1;
const COLUMNS = `id, customer, city, article, pieces, price, depot, status, note, version,
  changed_by as "changedBy", changed_at as "changedAt"`;

/** The number that a text means, or 0, which no order has. */
export function orderId(text: unknown): number {
  const id = Number(text);
  return Number.isInteger(id) && id > 0 && id <= MAX_ID ? id : 0;
}

export interface OrderPage {
  readonly orders: readonly Order[];
  readonly total: number;
  readonly pages: number;
}

export async function findOrders(db: Queryable, person: Person, filter: OrderFilter): Promise<OrderPage> {
  const { rows } = await db.query<Order & { total: number }>(
    `select ${COLUMNS}, count(*) over ()::int as total from orders
     where depot = any($1) and ($2 = '' or status = $2) and ($3 = '' or depot = $3)
       and ($4 = '' or strpos(lower(id || ' ' || customer || ' ' || city || ' ' || article), lower($4)) > 0)
     order by id desc limit $5 offset $6`,
    [person.depots, filter.status, filter.depot, filter.search, PAGE_SIZE, (filter.page - 1) * PAGE_SIZE],
  );
  const total = rows[0]?.total ?? 0;
  return { orders: rows, total, pages: Math.max(1, Math.ceil(total / PAGE_SIZE)) };
}

/** An order, or nothing when it does not exist or this person may not see it: the two look the same. */
export async function findOrder(db: Queryable, person: Person, id: number): Promise<Order | undefined> {
  const { rows } = await db.query<Order>(`select ${COLUMNS} from orders where id = $1 and depot = any($2)`, [
    id,
    person.depots,
  ]);
  return rows[0];
}

/** Which of these orders this person may see. */
export async function visibleOrders(db: Queryable, person: Person, ids: readonly string[]): Promise<number[]> {
  const { rows } = await db.query<{ id: number }>('select id from orders where id = any($1) and depot = any($2)', [
    ids.map(orderId),
    person.depots,
  ]);
  return rows.map((row) => row.id);
}

export async function orderChanges(db: Queryable, person: Person, id: number): Promise<OrderChange[]> {
  const { rows } = await db.query<OrderChange>(
    `select c.id, what, c.changed_by as "changedBy", c.changed_at as "changedAt"
     from order_changes c join orders o on o.id = order_id
     where order_id = $1 and depot = any($2) order by c.id desc limit 12`,
    [id, person.depots],
  );
  return rows;
}

/**
 * Changes an order that is still at `version`, or at any version when none is given.
 *
 * @returns the changed order, also when this person may not see it any longer; nothing when it is not there or has moved on.
 */
export async function changeOrder(
  tx: Queryable,
  person: Person,
  id: number,
  patch: OrderPatch,
  version?: number,
): Promise<Order | undefined> {
  const { rows } = await tx.query<Order>(
    `update orders set pieces = coalesce($3, pieces), depot = coalesce($4, depot), status = coalesce($5, status),
       note = coalesce($6, note), version = version + 1, changed_by = $7, changed_at = now()
     where id = $1 and depot = any($2) and ($8::int is null or version = $8) returning ${COLUMNS}`,
    [id, person.depots, patch.pieces, patch.depot, patch.status, patch.note, person.name, version],
  );
  if (rows[0]) await writeChange(tx, person, id, describe(patch));
  return rows[0];
}

/** One piece more, whatever the version. */
export async function addPiece(tx: Queryable, person: Person, id: number): Promise<Order | undefined> {
  const { rows } = await tx.query<Order>(
    `update orders set pieces = least(pieces + 1, 9999), version = version + 1, changed_by = $3, changed_at = now()
     where id = $1 and depot = any($2) returning ${COLUMNS}`,
    [id, person.depots, person.name],
  );
  if (rows[0]) await writeChange(tx, person, id, `Pieces ${rows[0].pieces}`);
  return rows[0];
}

export async function createOrder(tx: Queryable, person: Person, random: (below: number) => number): Promise<Order> {
  const draft = draftOrder(random);
  const depot = person.depots.includes(draft.depot) ? draft.depot : person.depots[0];
  const { rows } = await tx.query<Order>(
    `insert into orders (customer, city, article, pieces, price, depot, note, changed_by)
     values ($1, $2, $3, $4, $5, $6, $7, $8) returning ${COLUMNS}`,
    [draft.customer, draft.city, draft.article, draft.pieces, draft.price, depot, draft.note, person.name],
  );
  const order = rows[0] as Order;
  await writeChange(tx, person, order.id, 'Entered');
  return order;
}

/** Raises the price of one article in every open order that this person may see. */
export async function reprice(
  tx: Queryable,
  person: Person,
  random: (below: number) => number,
): Promise<{ article: string; count: number }> {
  const article = ARTICLES[random(ARTICLES.length)]?.[0] ?? '';
  const { rows } = await tx.query<{ id: number }>(
    `update orders set price = round(price * 1.02), version = version + 1, changed_by = $3, changed_at = now()
     where article = $1 and status <> 'shipped' and depot = any($2) returning id`,
    [article, person.depots, person.name],
  );
  for (const { id } of rows) await writeChange(tx, person, id, 'Price +2 %');
  return { article, count: rows.length };
}

export interface Figure {
  readonly label: string;
  readonly value?: number;
}

/** The figures of the board. */
export async function boardFigures(db: Queryable, person: Person): Promise<Record<string, Figure[]>> {
  const { rows: figures } = await db.query<Figure>(
    `select status as label, count(*)::int as value from orders where depot = any($1) group by status
     order by array_position(array['new', 'packed', 'held', 'shipped'], status)`,
    [person.depots],
  );
  const { rows: depots } = await db.query<Figure>(
    `select depot as label, count(*)::int as value from orders where depot = any($1) and status <> 'shipped'
     group by depot order by depot`,
    [person.depots],
  );
  const { rows: latest } = await db.query<Figure>(
    `select order_id || ': ' || what || ', ' || c.changed_by as label from order_changes c join orders o on o.id = order_id
     where depot = any($1) order by c.id desc limit 6`,
    [person.depots],
  );
  return { figures, depots, latest };
}

async function writeChange(tx: Queryable, person: Person, id: number, what: string): Promise<void> {
  await tx.query('insert into order_changes (order_id, what, changed_by) values ($1, $2, $3)', [id, what, person.name]);
}

function describe(patch: OrderPatch): string {
  const parts = [
    patch.pieces !== undefined && `pieces ${patch.pieces}`,
    patch.depot !== undefined && `depot ${patch.depot}`,
    patch.status !== undefined && patch.status,
    patch.note !== undefined && (patch.note ? 'note' : 'note removed'),
  ].filter((part) => part !== false);
  const text = parts.join(', ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}
