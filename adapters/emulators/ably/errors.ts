/** Errors as Ably names them: a code of five digits, an HTTP status and a sentence. */
import type { ErrorInfo } from './protocol.js';

/** What is answered when something is refused: by REST as a body, on a connection as NACK, ERROR or DISCONNECTED. */
export class AblyError extends Error {
  override readonly name = 'AblyError';
  readonly code: number;
  readonly statusCode: number;

  /** @param statusCode default: the first three digits of a code from 400 to 599 */
  constructor(code: number, message: string, statusCode: number = Math.floor(code / 100)) {
    super(message);
    this.code = code;
    this.statusCode = statusCode >= 400 && statusCode < 600 ? statusCode : 400;
  }

  get info(): ErrorInfo {
    const { code, statusCode, message } = this;
    return { code, statusCode, message, href: `https://help.ably.io/error/${code}` };
  }
}

/** Whatever was thrown, as an error of Ably's. What is not one is a mistake of this server: 50000. */
export function asAblyError(thrown: unknown): AblyError {
  if (thrown instanceof AblyError) return thrown;
  return new AblyError(50000, `internal error: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
}

/** Codes that tell a client to get another token and to come again. */
export const isTokenError = (code: number): boolean => code >= 40140 && code < 40150;

/**
 * Whether a connection that ends with it may come back by itself: token errors and faults of the server do, and 80003,
 * the usual end of a transport. Every other 4xx is final for the vendor's client.
 */
export const isPassing = ({ code, statusCode }: ErrorInfo): boolean =>
  isTokenError(code) || statusCode >= 500 || code === 80003;
