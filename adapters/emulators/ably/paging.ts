/** Pages of a list, with links to the first and the next one. */
import { AblyError } from './errors.js';
import type { RestReply } from './rest.js';

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;

/** One item of a list, with what says where it stands: ascending, and never the same twice. */
export interface Placed {
  readonly place: number;
  readonly at: number;
  readonly item: unknown;
}

export function readLimit(query: URLSearchParams): number {
  const limit = Number(query.get('limit') ?? DEFAULT_LIMIT);
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT)
    throw new AblyError(40003, `limit is between 1 and ${MAX_LIMIT}`);
  return limit;
}

/** Reads `start`, `end` (milliseconds, both included), `direction`, `limit` and the place to go on from. @throws AblyError 40003 */
export function page(query: URLSearchParams, list: readonly Placed[]): RestReply {
  const limit = readLimit(query);
  const [start, end] = [Number(query.get('start') ?? 0), Number(query.get('end') ?? Number.MAX_SAFE_INTEGER)];
  if (Number.isNaN(start) || Number.isNaN(end) || start > end)
    throw new AblyError(40003, 'start and end are times in ms, in this order');
  const direction = query.get('direction') ?? 'backwards';
  if (direction !== 'forwards' && direction !== 'backwards')
    throw new AblyError(40003, 'direction is forwards or backwards');
  const cursor = query.get('cursor');
  const isAfter = (place: number): boolean =>
    cursor === null || (direction === 'forwards' ? place > Number(cursor) : place < Number(cursor));
  const fitting = list.filter(({ place, at }) => at >= start && at <= end && isAfter(place));
  if (direction === 'backwards') fitting.reverse();
  const items = fitting.slice(0, limit);
  const link = (place?: number): URLSearchParams => {
    const params = new URLSearchParams(query);
    params.delete('cursor');
    if (place !== undefined) params.set('cursor', String(place));
    return params;
  };
  const lastPlace = items.at(-1)?.place;
  return {
    body: items.map(({ item }) => item),
    links: {
      first: link(),
      current: new URLSearchParams(query),
      ...(fitting.length > items.length && { next: link(lastPlace) }),
    },
  };
}
