/** What the chaos run judges with, and what makes its order repeatable. */
import { expect, test } from 'vitest';
import { ledger } from '../../chaos/ledger.js';
import { chance } from '../../chaos/random.js';

test('a value is due from when its notification was accepted, and staleness counts from the first one missed', () => {
  let now = 1_000;
  const items = ledger(['a', 'b'], () => now);
  const first = items.next('a');
  expect([first, items.due('a'), items.staleness('a', 0)]).toEqual([1, 0, 0]); // not accepted: nobody must show it
  items.accepted('a', first);
  now += 500;
  items.accepted('a', items.next('a'));
  now += 500;
  expect(items.due('a')).toBe(2);
  expect([0, 1, 2, 3].map((shown) => items.staleness('a', shown))).toEqual([1_000, 500, 0, 0]);
  expect(items.staleness('b', undefined)).toBe(0);
  expect(items.total()).toBe(2);
});

test('an answer that comes late does not make an older value due', () => {
  const items = ledger(['a']);
  const [older, newer] = [items.next('a'), items.next('a')];
  items.accepted('a', newer);
  items.accepted('a', older);
  expect(items.due('a')).toBe(2);
});

test('a seed repeats; a fork does not move what it came from by more than one step', () => {
  const draw = (seed: number): number[] => {
    const dice = chance(seed);
    const fork = dice.fork();
    fork.next();
    fork.next();
    return [dice.between(1, 6), ...dice.shuffled([1, 2, 3, 4, 5]), fork.between(1, 1e6)];
  };
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
  expect([...draw(7).slice(1, 6)].sort()).toEqual([1, 2, 3, 4, 5]);
  const many = Array.from(
    { length: 6_000 },
    (
      (dice) => () =>
        dice.between(1, 6)
    )(chance(1)),
  );
  for (let face = 1; face <= 6; face += 1) expect(many.filter((value) => value === face).length).toBeGreaterThan(800);
});
