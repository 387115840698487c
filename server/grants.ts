/** The signed, expiring proof that one login session may listen on a set of channels: made by `/auth`, shown to `/stream`. */
import type { Channel } from '../adapters/channel.js';
import { type Position, parsePosition } from '../adapters/position.js';
import type { Secrets } from './secrets.js';

/**
 * How many characters of grants are remembered, twice at most: about 8 MB, two thousand and more pages with twenty objects
 * each.
 */
const MOST_REMEMBERED = 2_000_000;

export interface Grant {
  /** The keyed hash of the user, and of the login session where there is one. */
  readonly user: string;
  readonly session?: string;
  readonly channels: readonly Channel[];
  /** Wall clock, milliseconds since 1970: the only clock that nodes share. */
  readonly expires: number;
  /** Where it was made, and its end on the monotonic clock of that node, which judges it by that. */
  readonly node?: string;
  readonly ends?: number;
  /** Noted before the right was asked, so that a revocation at or after it cancels the grant. */
  readonly position: Position;
}

/** Makes and reads grants, under secrets that do not change. */
export interface Grants {
  write(grant: Grant): string;
  /** Whether what it reads still holds is for the caller to say, each time. */
  read(token: string): Grant | undefined;
}

/**
 * Remembers those that it made or has verified, to the letter: a page shows its grant after it was made, and again whenever
 * it reconnects. To verify and to parse one with twenty channels took a tenth of accepting its stream.
 */
export function createGrants(secrets: Secrets, most: number = MOST_REMEMBERED): Grants {
  /** The newest, and those before: so the ones that are used stay, and to remember one costs no order. */
  let young = new Map<string, Grant>();
  let old = new Map<string, Grant>();
  let characters = 0;

  function remember(token: string, grant: Grant): void {
    if (characters + token.length > most) {
      old = young;
      young = new Map();
      characters = 0;
    }
    young.set(token, grant);
    characters += token.length;
  }

  return {
    write(grant) {
      const token = writeGrant(grant, secrets);
      remember(token, grant);
      return token;
    },
    read(token) {
      const known = young.get(token);
      if (known) return known;
      const grant = old.get(token) ?? readGrant(token, secrets);
      if (grant) remember(token, grant);
      return grant;
    },
  };
}

/** The grant as opaque text without line breaks. */
export function writeGrant(grant: Grant, secrets: Secrets): string {
  const text = Buffer.from(JSON.stringify(grant)).toString('base64url');
  return `${text}.${secrets.sign(text)}`;
}

/** Reads a grant. Anything forged, cut or unknown is `undefined`; whether it still holds is for the caller to say. */
export function readGrant(token: string, secrets: Secrets): Grant | undefined {
  const [text, signature, more] = token.split('.');
  if (!text || !signature || more !== undefined || !secrets.verify(text, signature)) return undefined;
  try {
    const grant = JSON.parse(Buffer.from(text, 'base64url').toString()) as Grant;
    return parsePosition(grant.position) && Array.isArray(grant.channels) ? grant : undefined;
  } catch {
    return undefined; // signed by a future version of this server
  }
}
