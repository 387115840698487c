/** How many pages listen over a hosted provider: DESIGN 6, "Spread". */
import { describe, expect, test } from 'vitest';
import { EVERYBODY } from '../../../adapters/provider.js';
import { MOST_SPREAD, spreadFor } from '../../../adapters/spread.js';
import { createAudience, MOST_COUNTED, MOST_OF_USER } from '../../../server/audience.js';
import { handClock } from '../../kit/entries.js';

const USER = '@user/u';

describe('the audience', () => {
  test('a connection counts on each of its channels until its authorisation ends; renewed, once', () => {
    const { now, pass } = handClock();
    const audience = createAudience(now, 10_000);
    audience.note(USER, 'a', ['Order/1', 'Order', EVERYBODY], now() + 1_000);
    audience.note(USER, 'b', ['Order/1', EVERYBODY], now() + 3_000);
    audience.note(USER, 'a', ['Order/1', EVERYBODY], now() + 2_000);
    const counts = () => [audience.count(['Order/1']), audience.count(['Order']), audience.total()];
    expect(counts()).toEqual([2, 1, 2]);
    expect(audience.count(['Order/1', 'Order'])).toBe(3);
    pass(1_000);
    expect(counts()).toEqual([2, 0, 2]);
    pass(1_000);
    // Behind `b`, which lasts longer: it goes with it.
    pass(1_000);
    audience.sweep();
    expect(counts()).toEqual([0, 0, 0]);
  });

  test('nothing is counted beyond what makes a difference, nor beyond the bound', () => {
    const { now, pass } = handClock();
    const audience = createAudience(now, 10_000);
    for (let n = 0; n < MOST_SPREAD + 50; n++) audience.note(USER, `c${n}`, [EVERYBODY], now() + 1_000);
    expect(audience.total()).toBe(MOST_SPREAD);
    expect(spreadFor(audience.total())).toBe(60_000);
    for (let n = 0; n < MOST_COUNTED; n += 1_000) {
      const channels = Array.from({ length: 1_000 }, (_, k) => `Order/${n + k}`);
      audience.note(`@user/${Math.floor(n / MOST_OF_USER)}`, 'x', channels, now() + 1_000);
    }
    expect(audience.count(['Order/0'])).toBe(1);
    expect(audience.count([`Order/${MOST_COUNTED - 1}`])).toBe(0);
    pass(1_000);
    audience.sweep();
    audience.note(USER, 'y', [`Order/${MOST_COUNTED - 1}`], now() + 1_000);
    expect(audience.count([`Order/${MOST_COUNTED - 1}`])).toBe(1);
  });

  test('one user makes nobody wait by naming ever new connections', () => {
    const { now } = handClock();
    const audience = createAudience(now, 3);
    for (let n = 0; n < 10; n++) audience.note(USER, `c${n}`, [USER, 'Order/1'], now() + 1_000);
    audience.note('@user/other', 'c', ['@user/other', 'Order/1'], now() + 1_000);
    expect(audience.count(['Order/1'])).toBe(4);
    audience.note(USER, 'c0', [USER, 'Order/1', 'Order/2'], now() + 1_000);
    expect(audience.count(['Order/2'])).toBe(1);
  });

  test('nor does one fill the table, so that nobody else is counted; what it held is free again when it ends', () => {
    const { now, pass } = handClock();
    const audience = createAudience(now, 200);
    const many = Array.from({ length: 1_000 }, (_, n) => `Order/${n}`);
    for (let n = 0; n < 200; n++) audience.note(USER, `c${n}`, many, now() + 1_000);
    expect(audience.count(['Order/0'])).toBe(MOST_OF_USER / 1_000);
    // Renewed, what it holds already stays.
    audience.note(USER, 'c0', many, now() + 1_000);
    expect(audience.count(['Order/0'])).toBe(MOST_OF_USER / 1_000);
    for (let n = 0; n < 1_500; n++) audience.note(`@user/${n}`, `p${n}`, ['Board/1', EVERYBODY], now() + 2_000);
    expect([audience.count(['Board/1']), audience.total()]).toEqual([1_500, 1_500]);
    pass(1_000);
    audience.sweep();
    audience.note(USER, 'c0', many, now() + 1_000);
    expect(audience.count(['Order/999'])).toBe(1);
  });

  test.each([
    [89, 0],
    [90, 3_000],
    [300, 10_000],
    [1_800, 60_000],
    [5_000, 60_000],
  ])('%i listeners spread over %i ms', (listeners, ms) => {
    expect(spreadFor(listeners)).toBe(ms);
  });
});
