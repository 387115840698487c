/** Errors: the first question about each is whether trying again can help. */
import { expect, test } from 'vitest';
import { type ErrorCode, FINAL_CODES, ListenError } from '../../adapters/errors.js';

// A table over the type, so that a new code cannot be added without deciding about it here.
const retryable: Record<ErrorCode, boolean> = {
  unauthenticated: true,
  forbidden: false,
  refused: false,
  upgrade: false,
  origin: false,
  configuration: false,
  closed: false,
  invalid: true,
  'too-large': true,
  limit: true,
  unavailable: true,
  network: true,
  protocol: true,
  split: true,
};

test.each(Object.entries(retryable) as [ErrorCode, boolean][])('%s: trying again can help: %s', (code, expected) => {
  expect(new ListenError(code, 'why').retryable).toBe(expected);
  expect(FINAL_CODES.has(code)).toBe(!expected);
});

test('carries its code, its message, its cause and the wait that the server asked for', () => {
  const cause = new Error('socket hang up');
  const error = new ListenError('unavailable', 'the tail is unproved', { cause, retryAfter: 2_000 });
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({
    name: 'ListenError',
    code: 'unavailable',
    message: 'the tail is unproved',
    retryAfter: 2_000,
  });
  expect(error.cause).toBe(cause);
  expect(error.stack).toContain('the tail is unproved');
});

test('without a wait there is none, and no cause that nobody gave', () => {
  const error = new ListenError('network', 'offline');
  expect(error.retryAfter).toBeUndefined();
  expect('cause' in error).toBe(false);
});
