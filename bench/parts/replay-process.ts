/** A server on the memory log whose pages missed something: how much each catch-up costs it. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { NotificationEntry } from '../../adapters/contract.js';
import type { Position } from '../../adapters/position.js';
import { createNotifier } from '../../server/index.js';
import { createMemoryLog } from '../../server/log/memory.js';
import { nodeListener } from '../../server/use/node.js';
import { serveParent } from '../kit/child.js';

export interface ReplayAnswers {
  /** Opens the server; so many entries are kept. */
  open(historyCap: number): Promise<number>;
  /** Notifies of so many objects in turn, from the first one on. Resolves with where the log stood before. */
  notify(calls: number, objects: number): Promise<Position>;
  /** Collects garbage: what was notified must not be charged to what follows. */
  tidy(): void;
  /** User and system time so far, in microseconds. */
  cpu(): number;
}

const PLENTY = 1_000_000;
/** Entries of one append. */
const AT_ONCE = 500;

let notifier: ReturnType<typeof createNotifier> | undefined;
const log = createMemoryLog();

serveParent<ReplayAnswers>({
  async open(historyCap) {
    notifier = createNotifier<IncomingMessage>({
      user: (request) => request.headers['x-user'] as string | undefined,
      canListen: { Order: { one: () => true } },
      env: { NOTIFY_LISTEN_SECRET: 'a secret of the bench, long enough for it' },
      limits: { connectionsPerUser: PLENTY, openingsBurst: PLENTY, openingsPerSecond: PLENTY },
      historyCap,
      logger: () => {},
      onError: (error) => console.error(error),
      log,
    });
    await notifier.position();
    const handle = nodeListener(notifier);
    const server = createServer((request, response) => void handle(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  },
  async notify(calls, objects) {
    if (!notifier) throw new Error('open() comes first');
    const before = await notifier.position();
    // Straight into the log, as from another node: what `notify` costs beside is not measured here.
    for (let from = 0; from < calls; from += AT_ONCE) {
      const entries = Array.from({ length: Math.min(AT_ONCE, calls - from) }, (_, index): NotificationEntry => {
        const id = String((from + index) % objects);
        const notification = { entity: 'Order', id, action: 'updated', changedDate: from + index, notifier: 'Ann' };
        return { kind: 'notification', notification };
      });
      await log.append(entries);
    }
    return before;
  },
  tidy() {
    globalThis.gc?.();
  },
  cpu() {
    const { user, system } = process.cpuUsage();
    return user + system;
  },
});
