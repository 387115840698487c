/**
 * Rights that a provider's standard client was given by a form. Nobody renews them: such a client asks once for each
 * connection. So this node asks the application again before a grant of ours would have ended, and has the provider end
 * what is refused.
 */
import { type Channel, objectOf } from '../adapters/channel.js';
import type { ObjectRef } from '../adapters/contract.js';
import type { ProviderAdapter } from '../adapters/provider.js';
import type { Access, Identity } from './access.js';

/**
 * Channels times users that are asked about again, about 20 MB with what the application keeps of a user. Who comes when
 * it is full is not served: a right that nobody asks about again would have no end.
 */
export const MOST_STANDING = 20_000;
/**
 * How long after it was last given a right is asked about, in milliseconds: nobody tells when a client has left, and a
 * connection that lasts longer than a day without a break is rare. Each new connection begins anew.
 */
export const ASKED_FOR: number = 24 * 3_600_000;
/** The part of a grant's life after which it is asked again; the rest is for the answer, and for telling the provider. */
const ASK_AT = 0.7;

export interface Standing {
  /** These were granted to the user just now. `false`: there is no room, and they must not be handed out. */
  note(identity: Identity, channels: readonly Channel[]): boolean;
  /** Asks about what is due. Call it now and then; it resolves when all is answered, and never rejects. */
  sweep(): Promise<void>;
  readonly size: number;
}

export interface StandingOptions {
  readonly check: Access<unknown>['check'];
  readonly revoke: ProviderAdapter['revoke'];
  /** The life of a grant, in milliseconds. */
  readonly life: number;
  readonly monotonic: () => number;
  readonly onError: (error: unknown) => void;
}

interface Given {
  readonly identity: Identity;
  readonly channel: Channel;
  readonly object: { readonly entity: string; readonly id?: string };
  /** When it was last given. */
  readonly since: number;
  due: number;
}

/** The object whose right a channel of a form stands for: what concerns every order is heard by who may see the list. */
export function objectOfForm(channel: Channel): (ObjectRef & { readonly id?: string }) | undefined {
  const every = channel.endsWith('/*');
  const object = objectOf(every ? channel.slice(0, -2) : channel);
  return every && object?.id !== undefined ? undefined : object;
}

export function createStanding({ check, revoke, life, monotonic, onError }: StandingOptions): Standing {
  /** In the order in which they were given. */
  const given = new Map<string, Given>();
  const keyOf = (user: string, channel: Channel): string => `${user} ${channel}`;
  let sweeping: Promise<void> | undefined;

  async function ask(ones: readonly Given[]): Promise<void> {
    const [{ identity }] = ones as [Given];
    const results = await check(
      identity,
      ones.map(({ object }) => object),
    );
    const ended = ones.filter((one, index) => {
      if (results[index] === 'granted') one.due = monotonic() + life * ASK_AT;
      return results[index] === 'refused';
    });
    if (ended.length === 0) return; // what could not be answered is due still
    await revoke(
      identity.users,
      ended.map(({ channel }) => channel),
    );
    for (const one of ended) {
      const key = keyOf(identity.users[0], one.channel);
      // It may have been given again while the provider was told.
      if (given.get(key) === one) given.delete(key);
    }
  }

  async function sweep(): Promise<void> {
    const now = monotonic();
    const due = new Map<string, Given[]>();
    for (const [key, one] of given) {
      if (now - one.since > ASKED_FOR) given.delete(key);
      else if (one.due <= now) due.set(one.identity.users[0], [...(due.get(one.identity.users[0]) ?? []), one]);
    }
    // One user after the other: it is nobody's hurry, and the application has other work.
    for (const ones of due.values()) await ask(ones).catch(onError);
  }

  return {
    note(identity, channels) {
      const fresh = channels.flatMap((channel) => {
        const object = objectOfForm(channel);
        return object && !identity.own.includes(channel) ? [{ channel, object }] : [];
      });
      const [user] = identity.users;
      const more = fresh.filter(({ channel }) => !given.has(keyOf(user, channel))).length;
      if (given.size + more > MOST_STANDING) return false;
      const since = monotonic();
      for (const { channel, object } of fresh)
        given.set(keyOf(user, channel), { identity, channel, object, since, due: since + life * ASK_AT });
      return true;
    },
    sweep() {
      sweeping ??= sweep().finally(() => {
        sweeping = undefined;
      });
      return sweeping;
    },
    get size() {
      return given.size;
    },
  };
}
