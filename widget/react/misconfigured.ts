/** Wrong configuration: what a developer must see at once, and a visitor of the finished page must not. */
import { ListenError } from '../../adapters/errors.js';
import { DEV } from '../client/dev.js';

/**
 * Throws in development, at render, so that the message with the fix stands where the mistake is. In production it
 * returns the error, for `onError`.
 */
export function misconfigured(message: string, cause?: unknown): ListenError {
  const error = new ListenError('configuration', message, { cause });
  if (DEV) throw error;
  return error;
}
