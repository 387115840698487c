import type { ErrorCode } from '../adapters/errors.js';

/** An answer that is not 2xx. Its message is for the developer of the page; it tells nothing about objects or users. */
export class HttpError extends Error {
  override readonly name = 'HttpError';
  readonly status: number;
  readonly code: ErrorCode;
  /** Seconds. */
  readonly retryAfter: number | undefined;

  constructor(status: number, code: ErrorCode, message: string, options?: { retryAfter?: number; cause?: unknown }) {
    super(message, options);
    this.status = status;
    this.code = code;
    this.retryAfter = options?.retryAfter;
  }
}

/** This node cannot answer truthfully now; the client comes back. */
export function unavailable(message: string, cause?: unknown): HttpError {
  return new HttpError(503, 'unavailable', message, { retryAfter: 1, cause });
}
