/** How entries are sent to Redis. */
import { expect, test } from 'vitest';
import { encode } from '../../../server/log/redis/entries.js';
import { note } from '../../kit/entries.js';

test('keys that differ in a lone surrogate are different bytes; none is an empty argument', () => {
  const keys = ['', '\ud800', '\ud801', '\ufffd'].map((dedupeKey) => {
    const [key = ''] = encode([note(1, 'updated', {}, { dedupeKey })]);
    return Buffer.from(key).toString('hex');
  });
  expect(new Set(keys).size).toBe(4);
  expect(keys).not.toContain('');
  expect(encode([note(1)])[0]).toBe('');
});
