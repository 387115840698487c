/** The one clock by which moments are compared. */
import { expect, test } from 'vitest';
import { fullWorld, pageAge } from '../../../widget/client/world.js';

function machine() {
  const at = { wall: 1_800_000_000_000, mono: 1_000 };
  const world = fullWorld({ now: () => at.wall, monotonic: () => at.mono });
  const start = world.clock();
  return { at, world, elapsed: () => world.clock() - start };
}

test('runs with the monotonic clock, and takes in what that one slept through', () => {
  const { at, elapsed } = machine();
  at.wall += 5_000;
  at.mono += 5_000;
  expect(elapsed()).toBe(5_000);
  at.wall += 3_600_000;
  expect(elapsed()).toBe(3_605_000);
  at.wall += 1_000;
  at.mono += 1_000;
  expect(elapsed()).toBe(3_606_000);
});

test('a wall clock that is set back means nothing, and hides no later sleep', () => {
  const { at, elapsed } = machine();
  at.wall -= 3_600_000;
  at.mono += 10;
  expect(elapsed()).toBe(10);
  at.wall += 600_000;
  expect(elapsed()).toBeGreaterThanOrEqual(600_000);
});

test('the rounding of the wall clock adds nothing, however often it is read', () => {
  const { at, elapsed } = machine();
  const { wall } = at;
  for (let read = 1; read <= 10_000; read++) {
    at.mono = 1_000 + read * 0.3;
    at.wall = wall + Math.floor(read * 0.3);
    elapsed();
  }
  expect(elapsed()).toBeCloseTo(3_000);
});

test('a page that slept while it loaded is as old as the wall clock says', () => {
  const { world } = machine();
  expect(pageAge(world, true)).toBe(1_000);
  const slept = fullWorld({ now: () => performance.timeOrigin + 60_000, monotonic: () => 1_000 });
  expect(pageAge(slept, false)).toBe(60_000);
});
