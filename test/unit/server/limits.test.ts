/** Limits: row 55, a client that loops too fast is slowed down, never cut off for good. */
import { describe, expect, test } from 'vitest';
import { HttpError } from '../../../server/http-error.js';
import { createGate, DEFAULT_LIMITS } from '../../../server/limits.js';
import { handClock } from '../../kit/entries.js';

const limits = { ...DEFAULT_LIMITS, connectionsPerUser: 2, openingsBurst: 10, openingsPerSecond: 5 };

describe('openings in quick succession', () => {
  test('a burst is free, then each waits for its place', () => {
    const { now, pass } = handClock();
    const gate = createGate(limits, now);
    expect(Array.from({ length: 10 }, () => gate.delay('ann'))).toEqual(Array(10).fill(0));
    expect([gate.delay('ann'), gate.delay('ann'), gate.delay('ann')]).toEqual([200, 400, 600]);
    expect(gate.delay('ben')).toBe(0);
    pass(600);
    expect(gate.delay('ann')).toBe(200);
  });

  test('a debt has a bound: after a loop of a million openings the user waits seconds, not hours', () => {
    const { now, pass } = handClock();
    const gate = createGate(limits, now);
    let longest = 0;
    for (let n = 0; n < 1_000_000; n++) longest = Math.max(longest, gate.delay('ann'));
    expect(longest).toBe(2_000);
    pass(2_200);
    expect(gate.delay('ann')).toBe(0);
  });

  test('a client that keeps within the rate never waits', () => {
    const { now, pass } = handClock();
    const gate = createGate(limits, now);
    for (let n = 0; n < 1_000; n++) {
      expect(gate.delay('ann')).toBe(0);
      pass(200);
    }
  });

  test('sweep forgets whoever is within the rate again, and nobody else', () => {
    const { now, pass } = handClock();
    const gate = createGate(limits, now);
    for (let n = 0; n < 11; n++) gate.delay('ann');
    pass(1_000);
    gate.sweep();
    for (let n = 0; n < 4; n++) expect(gate.delay('ann')).toBe(0); // 5 came back, one of which was owed
    expect(gate.delay('ann')).toBeGreaterThan(0);
    pass(60_000);
    gate.sweep();
    for (let n = 0; n < 10; n++) expect(gate.delay('ann')).toBe(0);
    expect(gate.delay('ann')).toBe(200);
  });
});

describe('connections of one user', () => {
  test('are counted by user, and counted off once', () => {
    const gate = createGate(limits, () => 0);
    const leave = gate.enter('ann');
    gate.enter('ann');
    const refusal = (): unknown => {
      try {
        return gate.enter('ann');
      } catch (error) {
        return error;
      }
    };
    expect(refusal()).toBeInstanceOf(HttpError);
    expect(refusal()).toMatchObject({ status: 429, code: 'limit', retryAfter: 5 });
    expect(gate.enter('ben')).toBeTypeOf('function');
    leave();
    leave();
    gate.enter('ann');
    expect(refusal()).toMatchObject({ status: 429 });
  });
});
