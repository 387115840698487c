/**
 * Everything that is made with `NOTIFY_LISTEN_SECRET`: keyed hashes of users and sessions, and signatures of grants. The
 * secret is a list: the first signs, all verify, so that it can be changed without a moment at which pages are refused.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/**
 * Hashes that are remembered, about 2 MB: a page asks for its grants and then for its stream, and each hash costs as much as
 * a twentieth of accepting that. Longer ids are not remembered, so that they fill no memory.
 */
const MOST_REMEMBERED = 10_000;
const LONGEST_REMEMBERED = 100;

/** 96 bits: no two users share a hash by chance, and forty of them fit into one notification. */
const HASH_CHARACTERS = 16;

export interface Secrets {
  /** The keyed hash of a user or a login session, one for each secret; the first is the one told to its owner. */
  hashes(kind: 'user' | 'session', id: string): readonly [string, ...string[]];
  /** A hash for each secret, by which processes know whether they share one. */
  marks(): readonly string[];
  sign(text: string): string;
  verify(text: string, signature: string): boolean;
}

/** `secrets` holds at least one. The namespace goes into everything, so that two environments never take each other's. */
export function createSecrets(secrets: readonly string[], namespace: string): Secrets {
  // Each use has a key of its own: a hash that is shown to a page can never pass for a signature.
  const mac = (secret: string, use: string, text: string): Buffer =>
    createHmac('sha256', secret).update(`${use}\0${namespace}\0${text}`).digest();
  const hashesOf = (kind: 'user' | 'session', id: string): readonly [string, ...string[]] => {
    const [first, ...others] = secrets.map((secret) =>
      mac(secret, kind, id).toString('base64url').slice(0, HASH_CHARACTERS),
    );
    return [first as string, ...others];
  };
  const remembered = {
    user: new Map<string, readonly [string, ...string[]]>(),
    session: new Map<string, readonly [string, ...string[]]>(),
  };
  return {
    hashes(kind, id) {
      const known = remembered[kind].get(id);
      if (known) return known;
      const hashes = hashesOf(kind, id);
      if (remembered[kind].size >= MOST_REMEMBERED) remembered[kind].clear();
      if (id.length <= LONGEST_REMEMBERED) remembered[kind].set(id, hashes);
      return hashes;
    },
    marks: () => secrets.map((secret) => mac(secret, 'mark', '').toString('base64url').slice(0, HASH_CHARACTERS)),
    sign: (text) => mac(secrets[0] as string, 'grant', text).toString('base64url'),
    verify(text, signature) {
      const given = Buffer.from(signature, 'base64url');
      return secrets.some((secret) => {
        const right = mac(secret, 'grant', text);
        return given.length === right.length && timingSafeEqual(given, right);
      });
    },
  };
}

/** Secrets of requests that a page may send: long enough to be unguessable, short enough to hash without a thought. */
const CAUSE_SECRET = /^[\w-]{16,128}$/;

/** The public mark of a request, from the secret that only its page knows; `undefined` for what is no such secret. */
export function causeOf(secret: string | undefined): string | undefined {
  return secret !== undefined && CAUSE_SECRET.test(secret)
    ? createHash('sha256').update(secret).digest('hex')
    : undefined;
}
