/** Revoked tokens: by client, by revocation key or by channel, up to the moment of issue that was named. */
import type { Key } from './apps.js';
import { AblyError } from './errors.js';
import type { TokenClaims } from './tokens.js';

/** Targets of one request. */
const MAX_TARGETS = 100;
/** Revocations that are kept at a time; each is forgotten once no token of before can live any more. */
const MAX_KEPT = 10_000;
/** The longest life of a revocable token, in milliseconds. */
const TOKEN_LIFE = 3_600_000;
/** How long users have to come with another token, with `allowReauthMargin`. Milliseconds. */
export const REAUTH_MARGIN = 30_000;
const KINDS: readonly string[] = ['clientId', 'revocationKey', 'channel'];

export interface Revocation {
  readonly keyName: string;
  readonly target: string;
  readonly issuedBefore: number;
  readonly appliesAt: number;
}

/** Whether the target names this token. A channel must stand in its capability as it is written there. */
export function names(revocation: Revocation, claims: TokenClaims): boolean {
  if (claims.keyName !== revocation.keyName || claims.issued >= revocation.issuedBefore) return false;
  const [kind, value] = splitTarget(revocation.target);
  if (kind === 'clientId') return claims.clientId === value;
  if (kind === 'revocationKey') return claims.revocationKey === value;
  return Object.hasOwn(claims.capability, value);
}

function splitTarget(target: string): readonly [kind: string, value: string] {
  const colon = target.indexOf(':');
  return colon < 0 ? [target, ''] : [target.slice(0, colon), target.slice(colon + 1)];
}

export interface Revocations {
  /**
   * Takes a request to `revokeTokens`. Answers one result for each target, and the revocations that were made.
   *
   * @throws AblyError 40163 when the key's tokens cannot be revoked, 40003 for what cannot be read
   */
  take(key: Key, body: unknown): { readonly results: readonly unknown[]; readonly made: readonly Revocation[] };
  /** Whether this token is revoked by now. */
  revoked(claims: TokenClaims): boolean;
}

export function createRevocations(now: () => number): Revocations {
  const kept = new Map<string, Revocation>();

  function keep(revocation: Revocation): void {
    const name = `${revocation.keyName} ${revocation.target}`;
    kept.delete(name);
    kept.set(name, revocation);
    for (const [old, { appliesAt }] of kept) {
      if (kept.size <= MAX_KEPT && now() - appliesAt <= TOKEN_LIFE) break;
      kept.delete(old);
    }
  }

  return {
    take(key, body) {
      const { targets, issuedBefore, allowReauthMargin } = (body ?? {}) as Record<string, unknown>;
      if (!key.revocable) throw new AblyError(40163, 'token revocation is not enabled for this key', 401);
      if (!Array.isArray(targets) || targets.length === 0 || targets.length > MAX_TARGETS)
        throw new AblyError(40003, `targets must be a list of 1 to ${MAX_TARGETS}`);
      if (issuedBefore !== undefined && (typeof issuedBefore !== 'number' || issuedBefore > now()))
        throw new AblyError(40003, 'issuedBefore must be a time that has passed');
      const made: Revocation[] = [];
      const results = targets.map((target: unknown) => {
        const [kind, value] = splitTarget(String(target));
        if (!KINDS.includes(kind) || value === '')
          return { target, error: new AblyError(40003, `a target begins with one of ${KINDS.join(', ')}`).info };
        const revocation: Revocation = {
          keyName: key.name,
          target: String(target),
          // Tokens of this very millisecond were issued before the request.
          issuedBefore: issuedBefore ?? now() + 1,
          appliesAt: now() + (allowReauthMargin === true ? REAUTH_MARGIN : 0),
        };
        keep(revocation);
        made.push(revocation);
        return { target, issuedBefore: issuedBefore ?? now(), appliesAt: revocation.appliesAt };
      });
      return { results, made };
    },
    revoked: (claims) => [...kept.values()].some((each) => each.appliesAt <= now() && names(each, claims)),
  };
}
