/**
 * The error codes of the product, one list for both sides and every adapter. The first question about each is whether
 * trying again can help; {@link FINAL_CODES} answers it.
 */
export type ErrorCode =
  /** Nobody is logged in (401). Waits for a login, then resumes with its positions. */
  | 'unauthenticated'
  /** The user has no right to listen at all (403). */
  | 'forbidden'
  /** This user may not listen to this object, or it does not exist: the two look the same. */
  | 'refused'
  /** The page speaks a protocol that the server no longer serves (426). */
  | 'upgrade'
  /** The request came from a page of another origin that is not allowed (403). */
  | 'origin'
  /** The application configured something wrongly: an unknown system, an empty action, an adapter that is not there. */
  | 'configuration'
  /** The listener was closed before it became ready. */
  | 'closed'
  /** The request was not understood (400, 404, 405, 415). */
  | 'invalid'
  /** A body or a set of channels was over its limit (413). */
  | 'too-large'
  /** Too many connections, or reconnecting too fast (429). */
  | 'limit'
  /** The service cannot answer truthfully now: its tail is unproved, it is starting, or an access check failed (503). */
  | 'unavailable'
  /** No answer: offline, refused, cut, or nothing heard for longer than the watchdog allows. */
  | 'network'
  /** An answer that is not ours: a login page, an empty body, broken JSON. */
  | 'protocol'
  /** Two servers answer in turn, each with a log of its own: they never hear each other. */
  | 'split';

/** The codes where trying again by itself cannot help. Everything else is retried for ever. */
export const FINAL_CODES: ReadonlySet<ErrorCode> = /* @__PURE__ */ new Set<ErrorCode>([
  'forbidden',
  'refused',
  'upgrade',
  'origin',
  'configuration',
  'closed',
]);

/** Every error that this package gives to an application. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  declare readonly code: ErrorCode;
  /** How long the server asks to wait before the next try, in milliseconds; without it the backoff decides. */
  declare readonly retryAfter: number | undefined;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown; retryAfter?: number | undefined }) {
    super(message || code, options);
    this.code = code;
    this.retryAfter = options?.retryAfter;
  }

  /** Whether trying again by itself can help. */
  get retryable(): boolean {
    return !FINAL_CODES.has(this.code);
  }
}
