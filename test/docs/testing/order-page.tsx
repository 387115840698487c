// #region example
import { cleanup, render, screen } from '@testing-library/react';
import { Listen, ListenProvider, useListenStatus } from 'notify-listen/react';
import { createTestServer } from 'notify-listen/testing';
import { type ReactElement, useCallback, useEffect, useState } from 'react';
import { afterEach, expect, test, vi } from 'vitest';

interface PageProps {
  readonly id: number;
  /** The application's own API. */
  readonly getOrder: (id: number) => Promise<{ state: string }>;
}

/** The page under test. */
function OrderPage({ id, getOrder }: PageProps): ReactElement {
  const [loadedAt] = useState(() => Date.now());
  const [state, setState] = useState('loading');
  const load = useCallback(async () => setState((await getOrder(id)).state), [id, getOrder]);
  useEffect(() => void load(), [load]);
  const { state: link } = useListenStatus();
  return (
    <>
      <Listen object={{ entity: 'Order', id }} loadedAt={loadedAt} actions={{ shipped: load }} />
      <p>{state}</p>
      <small>{link}</small>
    </>
  );
}

afterEach(cleanup);

test('the page refreshes when the order is shipped', async () => {
  const server = createTestServer();
  const getOrder = vi.fn(async () => ({ state: 'new' }));
  render(
    <ListenProvider {...server.options()}>
      <OrderPage id={42} getOrder={getOrder} />
    </ListenProvider>,
  );
  await screen.findByText('new');

  getOrder.mockResolvedValue({ state: 'on its way' });
  await server.notify('shipped', { entity: 'Order', id: 42 });
  await screen.findByText('on its way');
  expect(getOrder).toHaveBeenCalledTimes(2);
});
test('what happens while the page is cut off is not missed', async () => {
  const server = createTestServer();
  const getOrder = vi.fn(async () => ({ state: 'new' }));
  render(
    <ListenProvider {...server.options()}>
      <OrderPage id={42} getOrder={getOrder} />
    </ListenProvider>,
  );
  await screen.findByText('connected');

  server.disconnect();
  await screen.findByText('reconnecting');
  getOrder.mockResolvedValue({ state: 'on its way' });
  await server.notify('shipped', { entity: 'Order', id: 42 });
  server.connect();
  await screen.findByText('on its way');
});
test('when the server cannot tell what was missed, the page refreshes once', async () => {
  const server = createTestServer();
  const getOrder = vi.fn(async () => ({ state: 'new' }));
  render(
    <ListenProvider {...server.options()}>
      <OrderPage id={42} getOrder={getOrder} />
    </ListenProvider>,
  );
  await screen.findByText('connected');

  await server.gap({ entity: 'Order', id: 42 });
  await vi.waitFor(() => expect(getOrder).toHaveBeenCalledTimes(2));
});
test('somebody without the right to see the order never hears of it', async () => {
  const server = createTestServer({ user: 'ann' });
  server.refuse({ entity: 'Order', id: 42 }, 'ann');
  const getOrder = vi.fn(async () => ({ state: 'new' }));
  const onError = vi.fn();
  render(
    <ListenProvider {...server.options()} onError={onError}>
      <OrderPage id={42} getOrder={getOrder} />
    </ListenProvider>,
  );
  await vi.waitFor(() => expect(onError).toHaveBeenCalledWith(expect.objectContaining({ code: 'refused' })));
  expect(server.listening()).toEqual([]);
});
test('after a new login the page goes on', async () => {
  const server = createTestServer();
  const getOrder = vi.fn(async () => ({ state: 'new' }));
  const askForPassword = vi.fn(async () => server.login());
  render(
    <ListenProvider {...server.options()} onUnauthenticated={askForPassword}>
      <OrderPage id={42} getOrder={getOrder} />
    </ListenProvider>,
  );
  await screen.findByText('connected');

  server.logout();
  await vi.waitFor(() => expect(askForPassword).toHaveBeenCalledOnce());
  getOrder.mockResolvedValue({ state: 'on its way' });
  await server.notify('shipped', { entity: 'Order', id: 42 });
  await screen.findByText('on its way');
});
// #endregion
