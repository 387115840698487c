/** Who may listen at the test double: the test's own rule, what its hands refused, and the grants that were given. */
import { type Channel, channelOf } from '../channel.js';
import type { ObjectRef } from '../contract.js';
import { checkObject } from '../notification.js';
import type { Position } from '../position.js';
import type { AuthAnswer } from '../protocol.js';

export type MayListen = (user: string, object: ObjectRef) => boolean | Promise<boolean>;

/** What stands behind the opaque text that a page holds. */
export interface Grant {
  /** The user's hash. */
  readonly user: string;
  readonly channels: readonly Channel[];
  /** Where the log was before the right was asked: a later revocation cancels the grant. */
  readonly position: Position;
}

export interface TestAccess {
  refuse(object: ObjectRef, user?: string): void;
  allow(object: ObjectRef, user?: string): void;
  /** Asks for every object, and makes one grant for those that are allowed. */
  ask(
    who: { readonly user: string; readonly hash: string },
    objects: readonly ObjectRef[],
    position: Position,
  ): Promise<Pick<AuthAnswer, 'results' | 'grant'>>;
  /** Those of the grants that are this user's. */
  grantsOf(hash: string, tokens: readonly string[]): readonly Grant[];
  /** No grant holds any more. */
  forget(): void;
}

export function createTestAccess(mayListen: MayListen): TestAccess {
  const refused = new Set<string>();
  const grants = new Map<string, Grant>();
  let count = 0;

  const keyOf = (object: ObjectRef, user = '*'): string =>
    `${encodeURIComponent(user)} ${channelOf(checkObject(object))}`;

  async function allows(user: string, object: ObjectRef): Promise<boolean> {
    if (refused.has(keyOf(object)) || refused.has(keyOf(object, user))) return false;
    return mayListen(user, object);
  }

  return {
    refuse: (object, user) => void refused.add(keyOf(object, user)),
    allow: (object, user) => void refused.delete(keyOf(object, user)),
    async ask({ user, hash }, objects, position) {
      const allowed = await Promise.all(objects.map((object) => allows(user, checkObject(object))));
      const results = allowed.map((yes) => (yes ? 'granted' : 'refused'));
      const channels = objects.filter((_, index) => allowed[index]).map(channelOf);
      if (channels.length === 0) return { results };
      const grant = `grant-${++count}`;
      grants.set(grant, { user: hash, channels, position });
      return { results, grant };
    },
    grantsOf: (hash, tokens) => tokens.flatMap((token) => grants.get(token) ?? []).filter(({ user }) => user === hash),
    forget: () => grants.clear(),
  };
}
