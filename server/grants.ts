/** The signed, expiring proof that one login session may listen on a set of channels: made by `/auth`, shown to `/stream`. */
import type { Channel } from '../adapters/channel.js';
import { type Position, parsePosition } from '../adapters/position.js';
import type { Secrets } from './secrets.js';

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
