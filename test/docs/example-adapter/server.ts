/** The server half: gives messages to the broker, and signs what its listeners may hear. */
import { createHmac } from 'node:crypto';
import type { ProviderAdapter, PublishOutcome } from 'notify-listen/server';

export interface ExampleOptions {
  /** Where the broker is. */
  readonly url: string;
  /** The secret of the account. Never leaves the server. */
  readonly key: string;
  /** As `NOTIFY_LISTEN_NAMESPACE`: two environments of one account must not hear each other. */
  readonly namespace: string;
}

/** The broker answers at once or not at all, in milliseconds. */
const PATIENCE = 5_000;
/** A page asks for a new ticket after this part of its life: late enough to be rare, early enough for a second try. */
const RENEW_AFTER = 0.7;

export function exampleServer({ url, key, namespace }: ExampleOptions): ProviderAdapter {
  // Neither half of a name holds a colon (see "Names"), so no two channels share a name and no two namespaces.
  const nameOf = (channel: string): string => `${namespace}:${channel}`;

  function sign(order: object): { text: string; proof: string } {
    const text = JSON.stringify(order);
    return { text, proof: createHmac('sha256', key).update(text).digest('base64url') };
  }

  /** Rejects for every fault; the relay tries again. */
  async function send(order: object): Promise<unknown> {
    const body = JSON.stringify(sign(order));
    const response = await fetch(url, { method: 'POST', body, signal: AbortSignal.timeout(PATIENCE) });
    if (!response.ok) throw new Error(`The broker answered ${response.status}.`);
    return response.json();
  }

  return {
    name: 'example',
    capabilities: { fansOut: 'provider' },
    publicSettings: { url },

    async publish(batch) {
      const publish = batch.map(({ channels, json }) => ({ names: channels.map(nameOf), data: json }));
      // The broker takes a batch as a whole, in its order. Where a part can fail, what comes after it on the same
      // channels must not be accepted either.
      const { outcomes } = (await send({ publish })) as { outcomes: readonly string[] };
      return batch.map((_, index): PublishOutcome => {
        if (outcomes[index] === 'ok') return { kind: 'accepted' };
        return { kind: 'impossible', error: new Error(`The broker will not take it: ${outcomes[index]}.`) };
      });
    },

    async authorise({ user, channels, expires }) {
      const issued = Date.now();
      const details = sign({ listen: { user, names: channels.map(nameOf), issued, expires } });
      return { details, renewIn: RENEW_AFTER * (expires - issued) };
    },

    async revoke(users, channels) {
      await send({ revoke: { users, names: channels?.map(nameOf), at: Date.now() } });
    },

    async close() {},
  };
}
