/** Local channels -> names at Ably: injective, within Ably's rules for names and for the resources of a capability. */
import { createHash } from 'node:crypto';
import { type Channel, qualify } from '../channel.js';

/**
 * Longer names are replaced by their hash. Ably advises to stay below 2,048 characters; what binds here is the token: a
 * connection holds 200 channels at most, so its capability stays below 34 KB, and the request that carries it below the
 * 64 KiB that Ably takes everywhere.
 */
export const LONGEST_NAME = 150;

/**
 * The name of a channel at Ably.
 *
 * - The namespace comes first and ends at the first `:`, as Ably reads it; so rules set for it in Ably's dashboard hold
 *   for all channels of this environment. It never starts with `[` or `:`.
 * - `*` would be a wildcard in a capability. Inside entities and ids it is escaped already; the one that is left, of
 *   `Order/*`, becomes `+`, which an escaped name never holds.
 * - A name of more than {@link LONGEST_NAME} characters becomes `#` and its SHA-256; an escaped name never holds `#`.
 *
 * Rules: https://ably.com/docs/channels#name and https://ably.com/docs/auth/capabilities#wildcards
 *
 * @throws TypeError when the namespace is not as the grammar of channels says.
 */
export function ablyName(namespace: string, channel: Channel): string {
  const name = qualify(namespace, channel.replace(/\/\*$/, '/+'));
  if (name.length <= LONGEST_NAME) return name;
  return qualify(namespace, `#${createHash('sha256').update(channel).digest('base64url')}`);
}
