/** The test that docs/testing.md shows is the one that is run: copied, never typed. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const read = (file: string): string =>
  readFileSync(fileURLToPath(new URL(`../../../${file}`, import.meta.url)), 'utf8');

test('docs/testing.md shows test/docs/testing/order-page.tsx', () => {
  const shown = /<!-- test\/docs\/testing\/order-page\.tsx#example -->\n```tsx\n([\s\S]*?)```\n/.exec(
    read('docs/testing.md'),
  );
  const run = /\/\/ #region example\n([\s\S]*?)\/\/ #endregion/.exec(read('test/docs/testing/order-page.tsx'));
  expect(run?.[1]?.length).toBeGreaterThan(1_000);
  expect(shown?.[1]).toBe(run?.[1]);
});
