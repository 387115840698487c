/**
 * A node of a cluster as a process of its own, which carries notifications to a provider that the test plays: it posts each
 * batch to `PROVIDER`. It prints `holds` or `waits` whenever that changes. The library's own constants are its environment.
 */
import { createNotifier, type Outgoing } from 'notify-listen/server';

const { PROVIDER = '' } = process.env;

async function post(batch: readonly Outgoing[]): Promise<void> {
  const body = JSON.stringify(
    batch.map(({ action, position, channels }) => ({ action, position, channels, pid: process.pid })),
  );
  const { ok, status } = await fetch(PROVIDER, { method: 'POST', body });
  if (!ok) throw new Error(`the provider answered ${status}`);
}

const notifier = createNotifier({
  user: () => undefined,
  canListen: {},
  logger: () => {},
  adapter: {
    name: 'posted',
    capabilities: { fansOut: 'provider' },
    publicSettings: {},
    async publish(batch) {
      await post(batch);
      return batch.map(() => ({ kind: 'accepted' as const }));
    },
    authorise: async () => ({ details: {}, renewIn: 60_000 }),
    revoke: async () => {},
    close: async () => {},
  },
});

let told: string | undefined;
setInterval(() => {
  const state = notifier.metrics().relay?.holds ? 'holds' : 'waits';
  if (state !== told) console.log(state);
  told = state;
}, 20);
