/**
 * The samples of docs/data-libraries.md, each against the races that its library's own invalidation loses: a
 * notification during the first load, one during a refetch, a burst, and a refetch that fails.
 */
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { render, screen, waitFor } from '@testing-library/react';
import { type ReactElement, type ReactNode, version } from 'react';
import { SWRConfig } from 'swr';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { OrderPage as PlainPage } from '../docs/data-libraries/plain-fetch.js';
import { OrderPage as RtkPage, Store } from '../docs/data-libraries/rtk-query.js';
import { OrderPage as SwrPage } from '../docs/data-libraries/swr.js';
import { OrderPage as TanStackPage } from '../docs/data-libraries/tanstack-query.js';
import { createDesk, type Desk } from './kit/desk.js';
import { covers, nothingHappens, order, Page } from './kit/page.js';

/** The application's own API: it reads when it is asked, and answers when the test lets it. */
interface Api {
  state: string;
  /** Requests that were asked and not yet answered, oldest first. */
  readonly waiting: { answer(): void; fail(): void }[];
  asked: number;
  /** Answers by itself from now on. */
  auto: boolean;
}

function createFakeApi(): Api {
  const api: Api = { state: 'new', waiting: [], asked: 0, auto: false };
  vi.stubGlobal('fetch', (input: RequestInfo | URL, init?: RequestInit) => {
    api.asked++;
    const signal = input instanceof Request ? input.signal : init?.signal;
    const body = JSON.stringify({ id: 42, state: api.state }); // read now
    const json = { status: 200, headers: { 'content-type': 'application/json' } };
    if (api.auto) return Promise.resolve(new Response(body, json));
    return new Promise<Response>((resolve, reject) => {
      api.waiting.push({
        answer: () => resolve(new Response(body, json)),
        fail: () => resolve(new Response('', { status: 502 })),
      });
      signal?.addEventListener('abort', () => reject(signal.reason));
    });
  });
  return api;
}

interface Library {
  readonly name: string;
  readonly OrderPage: (props: { id: number }) => ReactElement;
  readonly wrap: (page: ReactNode) => ReactElement;
}

const libraries: Library[] = [
  { name: 'plain fetch', OrderPage: PlainPage, wrap: (page) => <>{page}</> },
  {
    name: 'TanStack Query',
    OrderPage: TanStackPage,
    wrap: (page) => (
      <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
        {page}
      </QueryClientProvider>
    ),
  },
  {
    name: 'SWR',
    OrderPage: SwrPage,
    wrap: (page) => <SWRConfig value={{ provider: () => new Map(), shouldRetryOnError: false }}>{page}</SWRConfig>,
  },
  {
    name: 'RTK Query',
    OrderPage: RtkPage,
    wrap: (page) => <Store>{page}</Store>,
  },
];

// These two reach React through CommonJS, past the alias that puts React 18 in place; they run on the newest.
const needsNewest = ['SWR', 'RTK Query'];

describe.each(libraries.filter(({ name }) => version.startsWith('19') || !needsNewest.includes(name)))(
  '$name',
  ({ OrderPage, wrap }) => {
    let desk: Desk;
    let api: Api;

    beforeEach(() => {
      desk = createDesk();
      api = createFakeApi();
    });
    afterEach(() => {
      vi.unstubAllGlobals();
    });

    /** Opens the page with its first load in flight and its listener ready. */
    async function open(): Promise<void> {
      render(
        <Page desk={desk} world={{ fetch: desk.fetch, random: () => 0 }} onError={() => {}}>
          {wrap(<OrderPage id={42} />)}
        </Page>,
      );
      await covers(desk, 'Order/42');
      await waitFor(() => expect(api.waiting).toHaveLength(1));
    }

    it('is fresh when a notification lands during the first load', async () => {
      await open();
      api.state = 'shipped';
      desk.notify('shipped', order);
      await nothingHappens();
      api.auto = true;
      const [first, ...later] = api.waiting; // a library that waits for the first load has none later
      for (const request of later) request.answer();
      await nothingHappens();
      first?.answer(); // it read before the change, and answers last
      await screen.findByText('shipped');
      await nothingHappens();
      screen.getByText('shipped');
      expect(api.asked).toBe(2);
    });

    it('is fresh when the first load answers before the refetch that the notification began', async () => {
      await open();
      const first = api.waiting[0];
      api.state = 'shipped';
      desk.notify('shipped', order);
      await nothingHappens();
      first?.answer();
      await waitFor(() => expect(api.asked).toBe(2));
      for (const request of api.waiting) request.answer();
      await screen.findByText('shipped');
    });

    it('is fresh when a notification lands during a refetch, with one more request', async () => {
      await open();
      api.waiting[0]?.answer();
      await screen.findByText('new');
      api.state = 'packed';
      desk.notify('packed', order);
      await waitFor(() => expect(api.waiting).toHaveLength(2));
      api.state = 'shipped';
      desk.notify('shipped', order);
      await nothingHappens();
      api.waiting[1]?.answer();
      await waitFor(() => expect(api.waiting).toHaveLength(3));
      api.waiting[2]?.answer();
      await screen.findByText('shipped');
      expect(api.asked).toBe(3);
    });

    it('sends two requests for a burst of ten', async () => {
      await open();
      api.auto = true;
      api.waiting[0]?.answer();
      await screen.findByText('new');
      for (let count = 1; count <= 10; count++) {
        api.state = `state ${count}`;
        desk.notify('packed', order);
      }
      await screen.findByText('state 10');
      await nothingHappens();
      expect(api.asked).toBeLessThanOrEqual(3);
    });

    it('knows that a refetch failed, and makes it again', async () => {
      await open();
      api.waiting[0]?.answer();
      await screen.findByText('new');
      api.state = 'shipped';
      desk.notify('shipped', order);
      await waitFor(() => expect(api.waiting).toHaveLength(2));
      api.waiting[1]?.fail();
      api.auto = true;
      await screen.findByText('shipped', undefined, { timeout: 4_000 });
    });
  },
);
