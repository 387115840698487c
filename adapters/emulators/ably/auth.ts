/** Who is asking: a key, an Ably token or a JWT, from a header or the query; and what they may do. */
import type { App, Apps, Key } from './apps.js';
import { allows, type Capability } from './capability.js';
import { AblyError } from './errors.js';
import type { Revocations } from './revocations.js';
import { readToken, sameText, type TokenClaims } from './tokens.js';

/** Somebody whose credentials were checked. */
export interface Caller {
  readonly app: App;
  readonly key: Key;
  readonly capability: Capability;
  /** `*`: may say of each message whose it is. None: not identified. */
  readonly clientId: string | undefined;
  /** None: came with the key itself. */
  readonly token: TokenClaims | undefined;
}

export interface Credentials {
  readonly key?: string | undefined;
  readonly token?: string | undefined;
  /** Who the client says it is. */
  readonly clientId?: string | undefined;
}

/** From `Authorization`, or from the query: `key`, `access_token`, `accessToken`. */
export function readCredentials(
  authorization: string | undefined,
  query: URLSearchParams,
  clientIdHeader?: string,
): Credentials {
  const clientId =
    query.get('clientId') ?? (clientIdHeader && Buffer.from(clientIdHeader, 'base64').toString()) ?? undefined;
  const [, scheme = '', value = ''] = /^(\w+)\s+(.+)$/.exec(authorization ?? '') ?? [];
  if (/^basic$/i.test(scheme)) return { key: Buffer.from(value, 'base64').toString(), clientId };
  // A JWT is also taken as it is: base64 has no dots.
  if (/^bearer$/i.test(scheme))
    return { token: value.includes('.') ? value : Buffer.from(value, 'base64').toString(), clientId };
  const token = query.get('access_token') ?? query.get('accessToken') ?? undefined;
  return { key: query.get('key') ?? undefined, token, clientId };
}

export type Authenticate = (credentials: Credentials) => Caller;

/**
 * @returns a function that throws AblyError: 40101 (nobody, wrong key), 40400 (a token of no such app), 40102 (another clientId),
 *   40012 (invalid clientId), 40140 to 40145 (tokens)
 */
export function createAuthenticate(apps: Apps, revocations: Revocations, now: () => number): Authenticate {
  return ({ key: given, token: text, clientId }) => {
    if (clientId === '') throw new AblyError(40012, 'invalid clientId');
    if (text !== undefined) {
      const { app, key, claims } = readToken(apps.get, text);
      if (claims.expires <= now()) throw new AblyError(40142, 'token expired', 401);
      if (key.revocable && revocations.revoked(claims)) throw new AblyError(40141, 'token revoked', 401);
      if (clientId !== undefined && claims.clientId !== '*' && claims.clientId !== clientId)
        throw new AblyError(40102, 'the clientId is not that of the token', 401);
      return { app, key, capability: claims.capability, clientId: clientId ?? claims.clientId, token: claims };
    }
    if (given === undefined) throw new AblyError(40101, 'no credentials', 401);
    const [name = '', secret = ''] = [given.split(':', 1)[0], given.slice(given.indexOf(':') + 1)];
    const app = apps.get(name.split('.')[0] ?? '');
    const key = app?.keys.get(name);
    // Which of the two is wrong is not told; a token of an unknown app is told so (40400).
    if (!app || !key || !sameText(secret, key.secret)) throw new AblyError(40101, 'invalid key', 401);
    return { app, key, capability: key.capability, clientId: clientId ?? '*', token: undefined };
  };
}

/** @throws AblyError 40160 */
export function demand(caller: Caller, channel: string, operation: string): void {
  if (!allows(caller.capability, channel, operation))
    throw new AblyError(40160, `the capability does not allow ${operation} on ${channel}`, 401);
}
