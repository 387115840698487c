import { render, waitFor } from '@testing-library/react';
import { describe, expect, it } from 'vitest';
import { Listen, useListen, useListenClient, useListenStatus } from '../../widget/react/index.js';
import { createDesk } from './kit/desk.js';
import { nothingHappens, order, Page } from './kit/page.js';

describe('useListenStatus (row 50)', () => {
  it('opens nothing by itself, and follows the connection: first connecting, lost, found, the last listener gone', async () => {
    const desk = createDesk();
    const states: string[] = [];
    function Light(): null {
      const { state, via } = useListenStatus();
      const said = via ? `${state} ${via}` : state;
      if (states.at(-1) !== said) states.push(said);
      return null;
    }
    const page = (listens: boolean) => (
      <Page desk={desk} world={{ fetch: desk.fetch, random: () => 0 }} onError={() => {}}>
        <Light />
        {listens && <Listen object={order} actions={{ shipped() {} }} />}
      </Page>
    );
    const { rerender } = render(page(false));
    await nothingHappens();
    expect(desk.asked.config).toBe(0);
    expect(states).toEqual(['initial']);
    rerender(page(true));
    await waitFor(() => expect(states).toEqual(['initial', 'connecting', 'connected sse']));
    desk.fail(503);
    desk.cut();
    await waitFor(() => expect(states.at(-1)).toBe('reconnecting'));
    desk.fail(200);
    await waitFor(() => expect(states.at(-1)).toBe('connected sse'));
    rerender(page(false));
    await waitFor(() => expect(states.at(-1)).toBe('initial'), { timeout: 3_000 });
    expect(states).toEqual(['initial', 'connecting', 'connected sse', 'reconnecting', 'connected sse', 'initial']);
  });

  it('does not render again for what does not change', async () => {
    const desk = createDesk();
    let renders = 0;
    function Light(): null {
      useListenStatus();
      renders++;
      return null;
    }
    render(
      <Page desk={desk}>
        <Light />
        <Listen object={order} actions={{ shipped() {} }} />
      </Page>,
    );
    await waitFor(() => expect(desk.asked.stream).toBe(1));
    await nothingHappens();
    const before = renders;
    for (let count = 0; count < 20; count++) desk.notify('shipped', order);
    await nothingHappens();
    expect(renders).toBe(before);
  });
});

describe('useListen().ready', () => {
  it('is false while nobody is logged in, with the reason, and true again after the login', async () => {
    const desk = createDesk();
    let reconnect = (): void => {};
    function Light(): null {
      const { ready, error } = useListen(order, { shipped() {} });
      const client = useListenClient();
      reconnect = () => client.reconnect();
      const said = error ? `${ready} ${error.code}` : String(ready);
      if (states.at(-1) !== said) states.push(said);
      return null;
    }
    const states: string[] = [];
    render(
      <Page desk={desk} world={{ fetch: desk.fetch, random: () => 0 }} onError={() => {}}>
        <Light />
      </Page>,
    );
    await waitFor(() => expect(states).toEqual(['false', 'true']));
    desk.fail(401);
    desk.cut();
    await waitFor(() => expect(states.at(-1)).toBe('false unauthenticated'));
    desk.fail(200);
    reconnect();
    await waitFor(() => expect(states.at(-1)).toBe('true'));
    expect(states).toEqual(['false', 'true', 'false unauthenticated', 'true']);
  });
});
