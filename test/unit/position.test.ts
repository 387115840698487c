/** Positions: what a client compares to know what it has seen. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  comparePositions,
  epochOf,
  isAfter,
  makePosition,
  type Position,
  parsePosition,
} from '../../adapters/position.js';

const LARGEST = 10n ** 32n - 1n;
const epoch = fc.stringMatching(/^[\w-]{1,40}$/);
const offset = fc.oneof(
  fc.bigInt(0n, LARGEST),
  fc.bigInt(0n, 20n),
  fc.integer({ min: 0, max: 31 }).map((digits) => 10n ** BigInt(digits)),
);
const sign = (value: number | bigint | undefined): number | undefined =>
  value === undefined ? undefined : Number(value > 0) - Number(value < 0);

describe('parsePosition', () => {
  test('reads what makePosition writes, up to 32 digits', () => {
    fc.assert(
      fc.property(epoch, offset, (name, at) => {
        const position = makePosition(name, at);
        expect(parsePosition(position)).toEqual({ epoch: name, offset: String(at) });
        expect(epochOf(position)).toBe(name);
      }),
    );
  });

  test('never throws, and takes nothing that makePosition would not have written', () => {
    fc.assert(
      fc.property(fc.oneof(fc.anything(), fc.string(), fc.stringMatching(/^[\w:-]*$/)), (input) => {
        const parts = parsePosition(input);
        if (parts) expect(makePosition(parts.epoch, parts.offset)).toBe(input);
      }),
      { numRuns: 1_000 },
    );
  });

  test.each([
    '',
    ':',
    'e:',
    ':1',
    'e:01',
    'e:-1',
    'e:+1',
    'e:1.5',
    'e:1e3',
    'e: 1',
    'e:1 ',
    'e:1\n',
    'e\n:1',
    'e:1:1',
    'é:1',
    `${'e'.repeat(41)}:1`,
    `e:${'9'.repeat(33)}`,
    'e:١', // a digit, but not of ASCII
    null,
    undefined,
    7,
    ['e:1'],
    { toString: () => 'e:1' },
  ])('does not take %j', (input) => {
    expect(parsePosition(input)).toBeUndefined();
  });
});

describe('comparePositions', () => {
  test('is the order of the offsets as numbers', () => {
    fc.assert(
      fc.property(epoch, offset, offset, (name, a, b) => {
        const [left, right] = [makePosition(name, a), makePosition(name, b)];
        expect(sign(comparePositions(left, right))).toBe(sign(a - b));
        expect(isAfter(left, right)).toBe(a > b);
      }),
      { numRuns: 1_000 },
    );
  });

  test('is transitive and antisymmetric, so that sorting by it is the log order', () => {
    fc.assert(
      fc.property(epoch, fc.array(offset, { maxLength: 30 }), (name, offsets) => {
        const sorted = offsets.map((at) => makePosition(name, at)).sort((a, b) => comparePositions(a, b) ?? Number.NaN);
        const expected = [...offsets].sort((a, b) => sign(a - b) as number).map((at) => makePosition(name, at));
        expect(sorted).toEqual(expected);
      }),
    );
  });

  test('positions of different epochs say nothing about each other, in either direction', () => {
    fc.assert(
      fc.property(epoch, epoch, offset, offset, (one, other, a, b) => {
        fc.pre(one !== other);
        const [left, right] = [makePosition(one, a), makePosition(other, b)];
        expect(comparePositions(left, right)).toBeUndefined();
        expect(comparePositions(right, left)).toBeUndefined();
        expect(isAfter(left, right) || isAfter(right, left)).toBe(false);
      }),
    );
  });

  test('an epoch that begins like another is another', () => {
    const [short, long]: Position[] = ['ab:1', 'abc:1'];
    expect(comparePositions(short as Position, long as Position)).toBeUndefined();
  });
});
