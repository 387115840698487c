/** The order of what a history keeps: as added, whatever is taken out, from wherever it stands. */
import { describe, expect, test } from 'vitest';
import { createOrder, type Linked } from '../../../server/order.js';

interface Item extends Linked<Item> {
  readonly name: number;
}

const item = (name: number): Item => ({ name, before: undefined, behind: undefined });
const five = (): { order: ReturnType<typeof createOrder<Item>>; items: Item[] } => {
  const order = createOrder<Item>();
  const items = [0, 1, 2, 3, 4].map(item);
  for (const one of items) order.add(one);
  return { order, items };
};
const names = (order: Iterable<Item>): number[] => [...order].map(({ name }) => name);

describe('an order', () => {
  test.each([
    { what: 'the first', gone: [0], left: [1, 2, 3, 4] },
    { what: 'the last', gone: [4], left: [0, 1, 2, 3] },
    { what: 'some between', gone: [1, 3, 2], left: [0, 4] },
    { what: 'all', gone: [2, 0, 4, 1, 3], left: [] },
  ])('holds the others when $what left, and takes new ones behind them', ({ gone, left }) => {
    const { order, items } = five();
    for (const index of gone) order.remove(items[index] as Item);
    expect([names(order), order.size()]).toEqual([left, left.length]);
    order.add(item(5));
    expect([names(order), order.size()]).toEqual([[...left, 5], left.length + 1]);
  });

  test('lets go of its neighbours with what left, so that it keeps none of them in memory', () => {
    const { order, items } = five();
    order.remove(items[2] as Item);
    expect(items[2]).toEqual(item(2));
  });

  test('what is given may be removed, and put at the end, while it is walked', () => {
    const { order } = five();
    const seen: number[] = [];
    for (const one of order) {
      seen.push(one.name);
      if (seen.length > 7) break;
      order.remove(one);
      if (one.name % 2 === 0) order.add(one);
    }
    expect(seen).toEqual([0, 1, 2, 3, 4, 0, 2, 4]);
  });

  test('holds nothing once it is cleared', () => {
    const { order } = five();
    order.clear();
    order.add(item(7));
    expect([names(order), order.size()]).toEqual([[7], 1]);
  });
});
