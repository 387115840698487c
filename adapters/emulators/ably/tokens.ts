/**
 * Tokens: asked for with a signed request, issued, read again. A token carries its own contents, signed with the key's
 * secret, so that an emulator that was started anew with the same key still knows it, as the real service would.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { App, Key } from './apps.js';
import { type Capability, capabilityText, EVERYTHING, intersect, parseCapability } from './capability.js';
import { AblyError } from './errors.js';

const HOUR = 3_600_000;
/** The life of a token that asks for none, and the longest of all. Milliseconds. */
const DEFAULT_TTL = HOUR;
const MAX_TTL = 24 * HOUR;
/** Of tokens of a key with `revocableTokens`. */
const MAX_REVOCABLE_TTL = HOUR;
/** How far a request's clock may be off, in milliseconds. */
const CLOCK_SKEW = 120_000;
const MIN_NONCE = 16;
/** Nonces that are remembered; a request is too old before so many others have come. */
const MAX_NONCES = 100_000;

/** What a token says. */
export interface TokenClaims {
  readonly keyName: string;
  readonly issued: number;
  readonly expires: number;
  readonly capability: Capability;
  readonly clientId?: string;
  readonly revocationKey?: string;
}

/** The signature of a token request: each field with a line end after it, empty when it is absent. */
export function signTokenRequest(secret: string, request: Readonly<Record<string, unknown>>): string {
  const fields = ['keyName', 'ttl', 'capability', 'clientId', 'timestamp', 'nonce'];
  const text = fields.map((field) => `${request[field] ?? ''}\n`).join('');
  return createHmac('sha256', secret).update(text).digest('base64');
}

export function sameText(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}

const seal = (secret: string, body: string): string =>
  createHmac('sha256', secret).update(`token\n${body}`).digest('base64url');

export interface TokenDetails {
  readonly token: string;
  readonly keyName: string;
  readonly issued: number;
  readonly expires: number;
  readonly capability: string;
  readonly clientId?: string;
}

function issue(key: Key, claims: TokenClaims): TokenDetails {
  const { issued, expires, clientId, capability } = claims;
  const body = Buffer.from(JSON.stringify(claims)).toString('base64url');
  const appId = key.name.split('.')[0];
  return {
    token: `${appId}.${body}~${seal(key.secret, body)}`,
    keyName: key.name,
    issued,
    expires,
    capability: capabilityText(capability),
    ...(clientId !== undefined && { clientId }),
  };
}

/** Answers token requests. `now`: wall clock. */
export function createTokenDesk(now: () => number) {
  const nonces = new Map<string, number>();

  /** @throws AblyError 40105 when it was used before */
  function spend(nonce: string): void {
    if (nonces.has(nonce)) throw new AblyError(40105, 'nonce value replayed', 401);
    nonces.set(nonce, now());
    for (const [old, at] of nonces) {
      if (nonces.size <= MAX_NONCES && now() - at <= 2 * CLOCK_SKEW) break;
      nonces.delete(old);
    }
  }

  return {
    /**
     * @param signed false when the request comes with the key itself, which needs no signature
     * @throws AblyError 40101 (mac), 40104 (clock), 40105 (nonce), 40003 (ttl, capability), 40012, 40160
     */
    request(key: Key, request: Readonly<Record<string, unknown>>, signed: boolean): TokenDetails {
      const { keyName, timestamp, nonce, mac, clientId } = request;
      if (keyName !== undefined && keyName !== key.name)
        throw new AblyError(40102, 'another keyName than in the path', 401);
      if (clientId === '' || (clientId !== undefined && clientId !== null && typeof clientId !== 'string'))
        throw new AblyError(40012, 'invalid clientId');
      const ttl = readTtl(request.ttl, key);
      const asked =
        request.capability === undefined || request.capability === null || request.capability === ''
          ? EVERYTHING
          : parseCapability(request.capability);
      if (signed || mac !== undefined) {
        if (typeof mac !== 'string' || !sameText(mac, signTokenRequest(key.secret, request)))
          throw new AblyError(40101, 'the mac does not match', 401);
        if (Math.abs(Number(timestamp) - now()) > CLOCK_SKEW || !(Number(timestamp) > 0))
          throw new AblyError(40104, 'timestamp not current', 401);
        if (typeof nonce !== 'string' || nonce.length < MIN_NONCE)
          throw new AblyError(40003, `nonce must have ${MIN_NONCE} characters or more`);
        spend(`${key.name} ${nonce}`);
      }
      const capability = asked === EVERYTHING ? key.capability : intersect(asked, key.capability);
      if (Object.keys(capability).length === 0)
        throw new AblyError(40160, 'the key allows nothing of the capability that is asked for', 401);
      const issued = now();
      return issue(key, {
        keyName: key.name,
        issued,
        expires: issued + ttl,
        capability,
        ...(typeof clientId === 'string' && { clientId }),
      });
    },
  };
}

function readTtl(given: unknown, key: Key): number {
  if (given === undefined || given === null || given === '') return DEFAULT_TTL;
  const ttl = Number(given);
  const longest = key.revocable ? MAX_REVOCABLE_TTL : MAX_TTL;
  if (!Number.isInteger(ttl) || ttl <= 0 || ttl > longest)
    throw new AblyError(40003, `ttl must be between 1 and ${longest} ms`);
  return ttl;
}

type FindApp = (id: string) => App | undefined;

/** The key that a name stands for. @throws AblyError 40400 (no such app), 40101 (no such key) */
export function findKey(apps: FindApp, name: string): { readonly app: App; readonly key: Key } {
  const app = apps(name.split('.')[0] ?? '');
  if (!app) throw new AblyError(40400, `no application found with id ${name.split('.')[0]}`, 404);
  const key = app.keys.get(name);
  if (!key) throw new AblyError(40101, `no key found with name ${name}`, 401);
  return { app, key };
}

/**
 * Reads a token of either kind. Whether it has expired or was revoked is not asked here.
 *
 * @throws AblyError 40144 (JWT), 40145 (Ably token), 40400, 40101
 */
export function readToken(
  apps: FindApp,
  text: string,
): { readonly app: App; readonly key: Key; readonly claims: TokenClaims } {
  if (/^[\w-]+\.[\w-]+\.[\w-]*$/.test(text)) return readJwt(apps, text);
  const [, body, seen] = /^[^.]+\.([\w-]+)~([\w-]+)$/.exec(text) ?? [];
  const claims = body === undefined ? undefined : parseJson(body);
  if (body === undefined || seen === undefined || typeof claims?.keyName !== 'string')
    throw new AblyError(40145, 'invalid Ably token', 401);
  const { app, key } = findKey(apps, claims.keyName);
  if (!sameText(seen, seal(key.secret, body))) throw new AblyError(40145, 'invalid Ably token', 401);
  return { app, key, claims: claims as unknown as TokenClaims };
}

function readJwt(apps: FindApp, text: string): ReturnType<typeof readToken> {
  const [head = '', body = '', seen = ''] = text.split('.');
  const [header, payload] = [parseJson(head), parseJson(body)];
  const bad = (why: string): AblyError => new AblyError(40144, `invalid JWT: ${why}`, 401);
  if (!header || !payload) throw bad('unreadable');
  if (header.alg !== 'HS256') throw bad('only HS256 is taken');
  if (typeof header.kid !== 'string') throw bad('no kid');
  const { app, key } = findKey(apps, header.kid);
  const expected = createHmac('sha256', key.secret).update(`${head}.${body}`).digest('base64url');
  if (!sameText(seen, expected)) throw bad('the signature does not match');
  const { iat, exp } = payload;
  if (typeof iat !== 'number' || typeof exp !== 'number') throw bad('iat and exp are needed');
  if ((exp - iat) * 1_000 > (key.revocable ? MAX_REVOCABLE_TTL : MAX_TTL)) throw bad('it lives too long');
  const asked = payload['x-ably-capability'];
  const clientId = payload['x-ably-clientId'];
  const revocationKey = payload['x-ably-revocation-key'];
  const capability = asked === undefined ? key.capability : intersect(parseCapability(asked), key.capability);
  return {
    app,
    key,
    claims: {
      keyName: key.name,
      issued: iat * 1_000,
      expires: exp * 1_000,
      capability,
      ...(typeof clientId === 'string' && { clientId }),
      ...(typeof revocationKey === 'string' && { revocationKey }),
    },
  };
}

function parseJson(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString());
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
