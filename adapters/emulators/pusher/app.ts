/** The one application that an emulator serves, and what is signed with its secret. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { MAX_CLOCK_SKEW } from './limits.js';

export interface PusherApp {
  readonly id: string;
  readonly key: string;
  readonly secret: string;
  /** Clients may trigger events of their own. */
  readonly clientEvents: boolean;
  /** Subscribers are told how many they are. */
  readonly subscriptionCount: boolean;
}

export const sign = (secret: string, text: string): string => createHmac('sha256', secret).update(text).digest('hex');

/** In constant time: hashed first, so that the length tells nothing either. */
function same(left: string, right: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(left), digest(right));
}

/** Whether `auth` (`<key>:<hex>`) was signed for `text`: a subscription or a sign-in. */
export function isSignedBy(app: PusherApp, auth: unknown, text: string): boolean {
  return typeof auth === 'string' && same(auth, `${app.key}:${sign(app.secret, text)}`);
}

export interface SignedRequest {
  readonly method: string;
  /** As it was sent. */
  readonly path: string;
  readonly query: string;
  readonly body: Uint8Array;
}

/**
 * Why a REST request is not taken; `undefined` when it is.
 *
 * @param now the wall clock, in milliseconds
 */
export function authenticate(app: PusherApp, request: SignedRequest, now: number): string | undefined {
  const query = new URLSearchParams(request.query);
  if (query.get('auth_key') !== app.key) return 'auth_key is not a key of this app';
  if (query.get('auth_version') !== '1.0') return 'auth_version must be 1.0';
  const seconds = Math.floor(now / 1000);
  const timestamp = query.get('auth_timestamp') ?? '';
  if (!/^\d{1,12}$/.test(timestamp) || Math.abs(Number(timestamp) - seconds) > MAX_CLOCK_SKEW) {
    return `auth_timestamp ${timestamp} is not within ${MAX_CLOCK_SKEW} s of ${seconds}`;
  }
  if (request.body.length > 0) {
    const md5 = createHash('md5').update(request.body).digest('hex');
    if (!same(query.get('body_md5') ?? '', md5)) return 'body_md5 does not match the body';
  }
  const signature = query.get('auth_signature') ?? '';
  // Libraries sign the path as they were given it, and their HTTP client escapes it on its way.
  const paths = [request.path, unescaped(request.path)];
  if (!paths.some((path) => same(signature, requestSignature(app.secret, request.method, path, query)))) {
    return 'auth_signature does not match this method, path and query';
  }
  return undefined;
}

/** The signature of a REST request: over its query without escapes, sorted by the lower-case key. */
export function requestSignature(secret: string, method: string, path: string, query: URLSearchParams): string {
  const pairs = [...query]
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .filter(([name]) => name !== 'auth_signature')
    .sort(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0));
  return sign(secret, [method, path, pairs.map(([name, value]) => `${name}=${value}`).join('&')].join('\n'));
}

export function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
