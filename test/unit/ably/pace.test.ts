import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createPace } from '../../../adapters/ably/pace.js';

describe('the pace of one channel', () => {
  test('never lets more than 50 messages into any second, however they come', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 120 }), { minLength: 1, maxLength: 300 }), (steps) => {
        let now = 0;
        const pace = createPace(() => now);
        const sent: number[] = [];
        for (const step of steps) {
          now += step < 60 ? 0 : step - 60;
          if (pace.take(['hot']) === 0) sent.push(now);
        }
        for (const start of sent)
          expect(sent.filter((at) => at >= start && at < start + 1_000).length).toBeLessThanOrEqual(50);
      }),
    );
  });

  test('says how long to wait, and keeps to it', () => {
    let now = 5_000;
    const pace = createPace(() => now);
    let wait = 0;
    while (wait === 0) wait = pace.take(['hot']);
    now += wait - 1;
    expect(pace.take(['hot'])).toBe(1);
    now += 1;
    expect(pace.take(['hot'])).toBe(0);
  });

  test('takes no place on any channel while one of them is full', () => {
    const pace = createPace(() => 0);
    while (pace.take(['hot']) === 0);
    for (let time = 0; time < 100; time++) expect(pace.take(['cold', 'hot'])).toBeGreaterThan(0);
    expect(pace.take(['cold'])).toBe(0);
  });

  test('gives a steady 40 a second', () => {
    let now = 0;
    const pace = createPace(() => now);
    let sent = 0;
    for (; now < 10_000; now++) if (pace.take(['hot']) === 0) sent++;
    expect(sent).toBeGreaterThanOrEqual(400);
  });
});
