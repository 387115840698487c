/** The server of the page, in a process of its own: the page with its chunks, and the routes, whose requests it counts. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createNotifier } from '../../server/index.js';
import { nodeListener } from '../../server/use/node.js';
import { serveParent } from '../kit/child.js';

export interface PageServerAnswers {
  /** @param files the text of each chunk by its name; `page.js` is the first one */
  open(files: Readonly<Record<string, string>>): Promise<number>;
  /** Requests by route since the last call. */
  requests(): Record<string, number>;
  /** Resolves with when it was called, in milliseconds on the clock that all processes share. */
  notify(id: number): Promise<number>;
}

/** Nobody of the bench is a person's browser. */
const PLENTY = 1_000_000;
const BASE = '/notify-listen/';

let requests: Record<string, number> = {};

const notifier = createNotifier<IncomingMessage>({
  user: () => 'ann',
  canListen: { Order: { one: () => true } },
  env: { NOTIFY_LISTEN_SECRET: 'a secret of the bench, long enough for it' },
  limits: { connectionsPerUser: PLENTY, openingsBurst: PLENTY, openingsPerSecond: PLENTY },
  logger: () => {},
  onError: (error) => console.error(error),
});
const handle = nodeListener(notifier);

serveParent<PageServerAnswers>({
  async open(files) {
    const server = createServer((request, response) => {
      const { url = '/' } = request;
      if (url.startsWith(BASE)) {
        const route = url.slice(BASE.length);
        requests[route] = (requests[route] ?? 0) + 1;
        return void handle(request, response);
      }
      const script = files[url.slice(1)];
      response.writeHead(url === '/' || script !== undefined ? 200 : 404, {
        'content-type': script === undefined ? 'text/html' : 'text/javascript',
        // Only such a page is given a clock of microseconds.
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-embedder-policy': 'require-corp',
      });
      response.end(
        script ?? '<!doctype html><title>page</title><body><script type="module" src="/page.js"></script></body>',
      );
    });
    await notifier.position();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  },
  requests() {
    const counted = requests;
    requests = {};
    return counted;
  },
  async notify(id) {
    const began = performance.timeOrigin + performance.now();
    await notifier.notify('updated', { entity: 'Order', id });
    return began;
  },
});
