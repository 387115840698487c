/** Keys as the log in Postgres keeps them: a hash for each pair of a namespace and an application's key. */
import { expect, test } from 'vitest';
import { encodeBatch } from '../../../server/log/postgres/codec.js';
import { note } from '../../kit/entries.js';

test('keys that differ have different hashes, also with halves of a surrogate pair and line ends', () => {
  const pairs = [
    ['n', '\ud83d'],
    ['n', '\ud83e'],
    ['n', '\ufffd'],
    ['n\na', 'b'],
    ['n', 'a\nb'],
  ] as const;
  const keys = pairs.map(
    ([namespace, dedupeKey]) => JSON.parse(encodeBatch(namespace, [note(1, 'made', {}, { dedupeKey })]))[0][0],
  );
  expect(new Set(keys).size).toBe(pairs.length);
});
