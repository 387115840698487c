/**
 * Shipped clients and shipped servers in one process, without sockets: requests go straight into the handler, and the time
 * of both is that of Vitest's fake timers. A thousand pages and an hour cost seconds.
 */
import { createListenClient, type ListenClient, type ListenClientOptions } from 'notify-listen/client';
import { createNotifier, type Notifier, type NotifierOptions } from 'notify-listen/server';
import { fetchHandler } from 'notify-listen/server/fetch';
import { onTestFinished, vi } from 'vitest';
import { SECRET } from './server.js';

export type Fetch = (input: RequestInfo | URL, init?: RequestInit) => Promise<Response>;

export interface InProcessNode {
  readonly notifier: Notifier;
  readonly fetch: Fetch;
  /** What reached `onError`. */
  readonly errors: readonly unknown[];
}

/** Everybody may listen to orders. The user is the header `x-user`. */
export function nodeOf(options: Partial<NotifierOptions<Request>> = {}): InProcessNode {
  const errors: unknown[] = [];
  const notifier = createNotifier<Request>({
    user: (request) => request.headers.get('x-user'),
    canListen: { Order: { one: () => true, all: () => true } },
    env: { NOTIFY_LISTEN_SECRET: SECRET },
    logger: () => {},
    onError: (error) => errors.push(error),
    ...options,
  });
  onTestFinished(() => void notifier.close({ within: 0 }));
  const handle = fetchHandler(notifier);
  return {
    notifier,
    errors,
    async fetch(input, init) {
      const request = new Request(input, init);
      // A request that is collected as garbage does not hear that its page gave it up.
      init?.signal?.addEventListener('abort', () => request.signal.throwIfAborted, { once: true });
      return (await handle(request)) ?? new Response('no route', { status: 404 });
    },
  };
}

/** A page of this user whose requests go where `fetch` takes them. */
export function pageOf(user: string, fetch: Fetch, options: ListenClientOptions = {}): ListenClient {
  const client = createListenClient({
    url: 'http://nodes.example/notify-listen',
    headers: { 'x-user': user },
    onError: () => {},
    world: { fetch },
    ...options,
  });
  onTestFinished(() => client.close());
  return client;
}

/** Lets time pass in steps until the condition holds; fails after `limit` milliseconds. */
export async function passUntil(condition: () => boolean, limit = 60_000, step = 50): Promise<void> {
  for (let passed = 0; !condition(); passed += step) {
    if (passed >= limit) throw new Error(`not within ${limit} ms: ${condition}`);
    await vi.advanceTimersByTimeAsync(step);
  }
}
