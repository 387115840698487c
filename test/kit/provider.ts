/** A hosted provider that does what the test says, and remembers what it was given. */
import type { RevokeEntry } from '../../adapters/contract.js';
import type { Outgoing, ProviderAdapter, PublishOutcome } from '../../adapters/provider.js';

export interface ScriptedProvider {
  readonly adapter: ProviderAdapter;
  /** Every call of `publish`. */
  readonly calls: (readonly Outgoing[])[];
  /** What it has taken, in order. */
  readonly accepted: Outgoing[];
  /** Every call of `revoke`. */
  readonly revoked: (readonly [users: readonly string[], channels: readonly string[] | undefined])[];
  /** Decides on one item. Default: accepts it. */
  outcome: (item: Outgoing) => PublishOutcome;
  /** Rejects every call with this, where it is set. */
  broken: unknown;
  /** Holds the answers back until it is set to false. What it takes, it takes when it answers. */
  held: boolean;
  /** Rejects every `revoke` with this, where it is set. */
  deaf: unknown;
  closed: boolean;
  /** The first item that it has taken, now or later, that matches. */
  until(matches: (item: Outgoing) => boolean): Promise<Outgoing>;
}

export const ACCEPTED: PublishOutcome = { kind: 'accepted' };

export function later(message = 'not now', retryAfterMs?: number): PublishOutcome {
  return { kind: 'later', error: new Error(message), ...(retryAfterMs !== undefined && { retryAfterMs }) };
}

/** @param more replaces parts of the adapter, `authorise` and `forms` mostly. */
export function scriptedProvider(more: Partial<ProviderAdapter> = {}): ScriptedProvider {
  const waiting = new Set<() => void>();
  const watchers = new Set<() => void>();
  let held = false;

  const answered = (): Promise<void> =>
    new Promise((resolve) => {
      if (held) waiting.add(resolve);
      else resolve();
    });

  const provider: ScriptedProvider = {
    calls: [],
    accepted: [],
    revoked: [],
    outcome: () => ACCEPTED,
    broken: undefined,
    deaf: undefined,
    closed: false,
    until: (matches) =>
      new Promise((resolve) => {
        const look = (): void => {
          const found = provider.accepted.find(matches);
          if (!found) return;
          watchers.delete(look);
          resolve(found);
        };
        watchers.add(look);
        look();
      }),
    get held() {
      return held;
    },
    set held(now) {
      held = now;
      if (now) return;
      for (const resolve of waiting) resolve();
      waiting.clear();
    },
    adapter: {
      name: 'scripted',
      capabilities: { fansOut: 'provider' },
      publicSettings: { key: 'public' },
      async publish(batch) {
        provider.calls.push(batch);
        await answered();
        if (provider.broken !== undefined) throw provider.broken;
        const refused = new Set<string>();
        const outcomes = batch.map((item) => {
          // As the contract says: behind an item that waits, nothing on its channels is taken.
          const outcome = item.channels.some((channel) => refused.has(channel))
            ? later('behind')
            : provider.outcome(item);
          if (outcome.kind === 'accepted') provider.accepted.push(item);
          if (outcome.kind === 'later') for (const channel of item.channels) refused.add(channel);
          return outcome;
        });
        for (const look of watchers) look();
        return outcomes;
      },
      async authorise({ connection, channels, expires }) {
        return { details: { connection, channels, expires }, renewIn: 3_600_000 };
      },
      async revoke(users, channels) {
        provider.revoked.push([users, channels]);
        await answered();
        if (provider.deaf !== undefined) throw provider.deaf;
      },
      async close() {
        provider.closed = true;
      },
      ...more,
    },
  };
  return provider;
}

/** `channels action@offset`, with what the rendering says of the id; a control message with its window. */
export function shown(items: readonly Outgoing[]): string[] {
  return items.map(({ channels, position, json }) => {
    const wire = JSON.parse(json) as { id?: string; action?: string; check?: number };
    const place = position.slice(position.indexOf(':') + 1);
    const what = wire.check !== undefined ? `check ${wire.check}` : `${wire.action}${wire.id ? ` of ${wire.id}` : ''}`;
    return `${channels.join()} ${what} @${place}`;
  });
}

export const revocation = (user: string, id?: string): RevokeEntry => ({
  kind: 'revoke',
  users: [user],
  ...(id !== undefined && { object: { entity: 'Order', id } }),
});
