/** The planted bugs still fit into the sources, and there are enough of each kind. `npm run sim:planted` catches them. */
import { expect, test } from 'vitest';
import { BUGS } from './planted/bugs.js';
import { plantedText } from './planted/plant.js';

test.each(BUGS)('$part: $name', (bug) => {
  expect(plantedText(bug)).toContain(bug.replace);
});

test('there are at least 25, and three or more of each part', () => {
  expect(BUGS.length).toBeGreaterThanOrEqual(25);
  for (const part of ['client', 'scheduler', 'tabs', 'history', 'grants', 'relay'])
    expect(BUGS.filter((bug) => bug.part === part).length, part).toBeGreaterThanOrEqual(3);
});
