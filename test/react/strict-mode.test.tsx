/** What React does to effects that the page did not ask for: StrictMode, Suspense, transitions, Activity. */
import { act, render, screen, waitFor } from '@testing-library/react';
import * as React from 'react';
import { type ReactElement, type ReactNode, StrictMode, Suspense, startTransition, useState } from 'react';
import { describe, expect, it, vi } from 'vitest';
import { Listen, useListen, useListenClient, useListenStatus } from '../../widget/react/index.js';
import { createDesk } from './kit/desk.js';
import { covers, nothingHappens, order, Page } from './kit/page.js';

describe('StrictMode (row 24, supabase and laravel-echo: closed or doubled subscriptions)', () => {
  it('makes one config, one auth and one stream, and gives up nothing', async () => {
    const desk = createDesk();
    const run = vi.fn();
    render(
      <StrictMode>
        <Page desk={desk}>
          <Listen object={order} actions={{ shipped: run }} />
          <Listen object={{ entity: 'Order' }} actions={{ '*': run }} />
        </Page>
      </StrictMode>,
    );
    await covers(desk, 'Order', 'Order/42');
    await nothingHappens();
    expect(desk.asked).toEqual({ config: 1, auth: 1, stream: 1 });
    expect(desk.objects.sort()).toEqual(['Order', 'Order/42']);
    desk.notify('shipped', order);
    await waitFor(() => expect(run).toHaveBeenCalledTimes(2));
  });

  it('keeps the client and the state of hooks', async () => {
    const desk = createDesk();
    const clients = new Set<unknown>();
    function Widget(): ReactElement {
      const { ready } = useListen(order, { shipped() {} });
      const { state } = useListenStatus();
      clients.add(useListenClient());
      return <p>{`${ready} ${state}`}</p>;
    }
    render(
      <StrictMode>
        <Page desk={desk}>
          <Widget />
        </Page>
      </StrictMode>,
    );
    await screen.findByText('true connected');
    expect(clients.size).toBe(1);
  });
});

describe('Suspense and transitions', () => {
  it('does not listen for a tree that never commits, and stays subscribed while its page suspends again', async () => {
    const desk = createDesk();
    let finish = (): void => {};
    let waiting: Promise<void> | undefined;
    const suspend = (): void => {
      waiting = new Promise((resolve) => {
        finish = () => {
          waiting = undefined;
          resolve();
        };
      });
    };
    function Data(): ReactNode {
      if (waiting) throw waiting;
      return 'data';
    }
    const seen: string[] = [];
    let again = (): void => {};
    function Shell(): ReactElement {
      const [round, setRound] = useState(0);
      again = () => setRound((value) => value + 1);
      return (
        <Suspense fallback="loading">
          <Listen object={order} actions={{ shipped: () => void seen.push(`round ${round}`) }} />
          <Data />
        </Suspense>
      );
    }
    suspend();
    render(
      <Page desk={desk}>
        <Shell />
      </Page>,
    );
    await nothingHappens();
    expect(desk.asked).toEqual({ config: 0, auth: 0, stream: 0 });
    await act(async () => finish());
    await covers(desk, 'Order/42');
    suspend();
    await act(async () => again());
    screen.getByText('loading');
    desk.notify('shipped', order);
    await waitFor(() => expect(seen).toHaveLength(1));
    await act(async () => finish());
    expect(desk.asked.stream).toBe(1);
  });

  it('runs the committed functions, not those of a render that was thrown away', async () => {
    const desk = createDesk();
    let waiting: Promise<void> | undefined;
    let finish = (): void => {};
    function Data({ round }: { round: number }): ReactNode {
      if (round > 0 && waiting) throw waiting;
      return null;
    }
    const seen: string[] = [];
    let next = (): void => {};
    function Shell(): ReactElement {
      const [round, setRound] = useState(0);
      next = () => startTransition(() => setRound(1));
      return (
        <Suspense fallback="loading">
          <Listen object={order} actions={{ shipped: () => void seen.push(`round ${round}`) }} />
          <Data round={round} />
        </Suspense>
      );
    }
    render(
      <Page desk={desk}>
        <Shell />
      </Page>,
    );
    await covers(desk, 'Order/42');
    waiting = new Promise((resolve) => {
      finish = () => {
        waiting = undefined;
        resolve();
      };
    });
    await act(async () => next());
    desk.notify('shipped', order);
    await waitFor(() => expect(seen).toEqual(['round 0']));
    await act(async () => finish());
    desk.notify('shipped', order);
    await waitFor(() => expect(seen).toEqual(['round 0', 'round 1']));
  });
});

// React 19.2 and newer; read by name so that the file also loads where it is missing.
const Activity = (React as unknown as Record<string, typeof StrictMode | undefined>).Activity as
  | ((props: { mode: 'visible' | 'hidden'; children: ReactNode }) => ReactElement)
  | undefined;

if (Activity) {
  describe('Activity', () => {
    it('ends the connection of a page that is hidden, and the page that is shown again has a new client', async () => {
      const desk = createDesk();
      const run = vi.fn();
      const clients = new Set<unknown>();
      function Widget(): ReactElement {
        clients.add(useListenClient());
        const { ready } = useListen(order, { shipped: run });
        return <p>{`${ready} ${useListenStatus().state}`}</p>;
      }
      const page = (mode: 'visible' | 'hidden'): ReactElement => (
        <Activity mode={mode}>
          <Page desk={desk}>
            <Widget />
          </Page>
        </Activity>
      );
      const { rerender } = render(page('visible'));
      await screen.findByText('true connected');
      rerender(page('hidden'));
      await covers(desk);
      desk.notify('shipped', order);
      expect(run).not.toHaveBeenCalled();
      rerender(page('visible'));
      await covers(desk, 'Order/42');
      await screen.findByText('true connected');
      expect(clients.size).toBe(2);
      // It was changed while it was hidden, so it is refreshed once when it listens again.
      await waitFor(() => expect(run.mock.calls.map(([refresh]) => refresh.reason)).toEqual(['load']));
    });
  });
}
