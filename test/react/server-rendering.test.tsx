import { act } from '@testing-library/react';
import { type ReactElement, StrictMode } from 'react';
import { hydrateRoot, type Root } from 'react-dom/client';
import { renderToString } from 'react-dom/server';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createListenClient } from '../../widget/client/index.js';
import {
  Listen,
  ListenObject,
  ListenProvider,
  useListen,
  useListenClient,
  useListenStatus,
} from '../../widget/react/index.js';
import { createDesk, type Desk } from './kit/desk.js';
import { covers, nothingHappens, order, Page } from './kit/page.js';

function Widget(): ReactElement {
  const { ready } = useListen(order, { shipped() {} });
  const { state } = useListenStatus();
  const client = useListenClient();
  return <p>{`${ready} ${state} ${typeof client.fetch}`}</p>;
}

function App({ desk }: { desk: Desk }): ReactElement {
  return (
    <Page desk={desk}>
      <ListenObject value={order}>
        <Listen actions={[{ on: 'shipped', run() {} }]} />
        <Listen object={undefined} actions={{ shipped() {} }} />
        <Listen object={order} actions={{ shipped() {} }}>
          {({ ready }) => <i>{String(ready)}</i>}
        </Listen>
        <Widget />
      </ListenObject>
    </Page>
  );
}

const HTML = '<i>false</i><p>false initial function</p>';

describe('server rendering (ably: the server connects)', () => {
  let root: Root | undefined;
  beforeEach(() => {
    vi.spyOn(console, 'error');
    vi.spyOn(console, 'warn');
  });
  afterEach(() => {
    act(() => root?.unmount());
    root = undefined;
    vi.restoreAllMocks();
    vi.unstubAllGlobals();
    document.body.innerHTML = '';
  });

  it('renders to text without a connection, a timer or a warning, also where there is no window', async () => {
    const desk = createDesk();
    const timer = vi.spyOn(globalThis, 'setTimeout');
    for (const name of ['window', 'document', 'navigator', 'location', 'localStorage']) vi.stubGlobal(name, undefined);
    const html = renderToString(<App desk={desk} />);
    expect(timer).not.toHaveBeenCalled();
    vi.unstubAllGlobals();
    expect(html).toBe(HTML);
    await nothingHappens();
    expect(desk.asked).toEqual({ config: 0, auth: 0, stream: 0 });
    expect(console.error).not.toHaveBeenCalled();
    expect(console.warn).not.toHaveBeenCalled();
  });

  it.each([false, true])('hydrates without a mismatch or a warning, then listens (StrictMode: %s)', async (strict) => {
    const desk = createDesk();
    const container = document.createElement('div');
    document.body.append(container);
    const app = strict ? (
      <StrictMode>
        <App desk={desk} />
      </StrictMode>
    ) : (
      <App desk={desk} />
    );
    container.innerHTML = renderToString(app);
    const onRecoverableError = vi.fn();
    await act(async () => {
      root = hydrateRoot(container, app, { onRecoverableError });
    });
    await covers(desk, 'Order/42');
    await act(nothingHappens);
    expect(container.innerHTML).toBe('<i>true</i><p>true connected function</p>');
    expect(desk.asked).toEqual({ config: 1, auth: 1, stream: 1 });
    expect(onRecoverableError).not.toHaveBeenCalled();
    expect(console.error).not.toHaveBeenCalled();
    expect(console.warn).not.toHaveBeenCalled();
  });

  it('hydrates a part of the page late, when the connection has long been there', async () => {
    const desk = createDesk();
    const client = createListenClient({ world: { fetch: desk.fetch } });
    await client.listen(order, { shipped() {} }).ready;
    expect(client.status().state).toBe('connected');
    const container = document.createElement('div');
    const part = (
      <ListenProvider client={client}>
        <Widget />
      </ListenProvider>
    );
    container.innerHTML = renderToString(part);
    expect(container.innerHTML).toBe('<p>false initial function</p>');
    const onRecoverableError = vi.fn();
    await act(async () => {
      root = hydrateRoot(container, part, { onRecoverableError });
    });
    expect(container.innerHTML).toBe('<p>true connected function</p>');
    expect(onRecoverableError).not.toHaveBeenCalled();
    expect(console.error).not.toHaveBeenCalled();
    act(() => root?.unmount());
    root = undefined;
    client.close();
  });
});
