import { render, screen, waitFor } from '@testing-library/react';
import { Component, type ReactElement, type ReactNode } from 'react';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createListenClient } from '../../widget/client/index.js';
import type { Actions, ListenClient } from '../../widget/client/types.js';
import { Listen, ListenObject, ListenProvider, useListenClient } from '../../widget/react/index.js';
import { createDesk } from './kit/desk.js';
import { covers, nothingHappens, order, Page } from './kit/page.js';

const nothing: Actions = { shipped() {} };

describe('<ListenProvider>', () => {
  it('closes its client when it is unmounted (row 40), and never a client that it was given', async () => {
    const desk = createDesk();
    const first = render(
      <Page desk={desk}>
        <Listen object={order} actions={nothing} />
      </Page>,
    );
    await covers(desk, 'Order/42');
    first.unmount();
    await waitFor(() => expect(desk.covered()).toEqual([]), { timeout: 500 }); // at once, without the linger
    const client = createListenClient({ url: '/notify-listen', world: { fetch: desk.fetch } });
    const second = render(
      <ListenProvider client={client}>
        <Listen object={order} actions={nothing} />
      </ListenProvider>,
    );
    await covers(desk, 'Order/42');
    second.unmount();
    const listening = client.listen(order, nothing);
    await listening.ready;
    client.close();
  });

  it('makes everything move to another url, and ends the former connection', async () => {
    const [one, two] = [createDesk(), createDesk()];
    const page = (url: string): ReactElement => (
      <ListenProvider
        url={url}
        world={{
          fetch: (target: string, init: RequestInit) => (target.includes('/two/') ? two : one).fetch(target, init),
        }}
      >
        <Listen object={order} actions={nothing} />
      </ListenProvider>
    );
    const { rerender } = render(page('/one/'));
    await covers(one, 'Order/42');
    rerender(page('/two/'));
    await covers(two, 'Order/42');
    expect(one.covered()).toEqual([]);
    expect(one.asked.stream).toBe(1);
  });

  it('asks the newest `headers` and tells the newest `onError`, `onTrace` and `onUnauthenticated`', async () => {
    const desk = createDesk();
    const told: string[] = [];
    const sent: (string | null)[] = [];
    const fetch: typeof desk.fetch = (url, init) => {
      sent.push(new Headers(init.headers).get('x-round'));
      return desk.fetch(url, init);
    };
    const page = (round: number): ReactElement => (
      <Page
        desk={desk}
        world={{ fetch, random: () => 0 }}
        headers={() => ({ 'x-round': String(round) })}
        onError={() => told.push(`error ${round}`)}
        onTrace={({ fate }) => told.push(`${fate} ${round}`)}
        onUnauthenticated={() => {
          told.push(`login ${round}`);
          desk.fail(200);
        }}
      >
        <Listen
          object={order}
          actions={[
            {
              on: 'shipped',
              retry: false,
              run() {
                throw new Error('wrong');
              },
            },
          ]}
        />
      </Page>
    );
    const { rerender } = render(page(1));
    await covers(desk, 'Order/42');
    rerender(page(2));
    desk.notify('shipped', order);
    await waitFor(() => expect(told).toContain('failed 2'));
    expect(told).toContain('error 2');
    desk.fail(401);
    desk.cut();
    await waitFor(() => expect(told).toContain('login 2'));
    await covers(desk, 'Order/42');
    expect(told.filter((each) => each.endsWith('1'))).toEqual([]);
    expect(sent.at(0)).toBe('1');
    expect(sent.at(-1)).toBe('2');
  });

  it('waits for `reconnect()` when nobody is logged in and nobody can be asked to', async () => {
    const desk = createDesk();
    let client: ListenClient | undefined;
    function Grab(): null {
      client = useListenClient();
      return null;
    }
    desk.fail(401);
    render(
      <Page desk={desk} onError={() => {}}>
        <Grab />
        <Listen object={order} actions={nothing} />
      </Page>,
    );
    await waitFor(() => expect(client?.status().state).toBe('disconnected'));
    const before = { ...desk.asked };
    await nothingHappens();
    expect(desk.asked).toEqual(before);
    desk.fail(200);
    client?.reconnect();
    await covers(desk, 'Order/42');
  });

  it('lends a `fetch` and a `pause` by useListenClient', async () => {
    const desk = createDesk();
    let client: ListenClient | undefined;
    function Grab(): null {
      client = useListenClient();
      return null;
    }
    render(
      <Page desk={desk}>
        <Grab />
        <Listen object={order} actions={nothing} />
      </Page>,
    );
    await covers(desk, 'Order/42');
    client?.pause();
    await covers(desk);
    client?.resume();
    await covers(desk, 'Order/42');
    expect(client?.fetch).toBeTypeOf('function');
  });
});

describe('several systems on one page (row 44)', () => {
  quietConsole();

  it('reaches each by its name, from anywhere inside, and the one without a name by default', async () => {
    const [shop, billing] = [createDesk(), createDesk()];
    const [inShop, inBilling] = [vi.fn(), vi.fn()];
    render(
      <Page desk={shop}>
        <Page desk={billing} name="billing">
          <Listen object={order} actions={{ '*': inShop }} />
          <Listen system="billing" object={order} actions={{ '*': inBilling }} />
        </Page>
      </Page>,
    );
    await covers(shop, 'Order/42');
    await covers(billing, 'Order/42');
    billing.notify('paid', order);
    await waitFor(() => expect(inBilling).toHaveBeenCalledTimes(1));
    expect(inShop).not.toHaveBeenCalled();
    shop.notify('shipped', order);
    await waitFor(() => expect(inShop).toHaveBeenCalledTimes(1));
  });

  it('names the known ones when a name is unknown', () => {
    const desk = createDesk();
    const page = (
      <Page desk={desk}>
        <Page desk={desk} name="billing">
          <Listen system="biling" object={order} actions={nothing} />
        </Page>
      </Page>
    );
    expect(messageOf(page)).toBe(
      'system: "biling" is not known here; the providers around this widget are: the one without a name, "billing"',
    );
  });

  it('does not take a named one where none was named', () => {
    const page = (
      <Page desk={createDesk()} name="billing">
        <Listen object={order} actions={nothing} />
      </Page>
    );
    expect(messageOf(page)).toContain('say which one is meant: system="billing"');
  });
});

/** React reports what a boundary caught; these tests look at the boundary. */
function quietConsole(): void {
  beforeEach(() => {
    vi.spyOn(console, 'error').mockImplementation(() => {});
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });
}

/** Shows what a child threw while rendering or in an effect, as the page of a developer does. */
class Boundary extends Component<{ children: ReactNode }, { error?: unknown }> {
  override state: { error?: unknown } = {};
  static getDerivedStateFromError(error: unknown): { error: unknown } {
    return { error };
  }
  override render(): ReactNode {
    const { error } = this.state;
    return error ? <p data-testid="error">{(error as Error).message}</p> : this.props.children;
  }
}

/** What the nearest error boundary was given. */
function messageOf(page: ReactNode): string | null {
  const { unmount } = render(<Boundary>{page}</Boundary>);
  const message = screen.getByTestId('error').textContent;
  unmount();
  return message;
}

describe('wrong configuration is shown at the widget, with the fix (row 25)', () => {
  quietConsole();

  const inPage = (widget: ReactNode): ReactElement => <Page desk={createDesk()}>{widget}</Page>;

  it('no provider', () => {
    expect(messageOf(<Listen object={order} actions={nothing} />)).toContain(
      'put <ListenProvider url="/notify-listen">',
    );
  });

  it('no object anywhere', () => {
    expect(messageOf(inPage(<Listen actions={nothing} />))).toContain('put it inside <ListenObject value={…}>');
  });

  it('an object with an empty id', () => {
    const message = messageOf(inPage(<Listen object={{ entity: 'Order', id: '' }} actions={nothing} />));
    expect(message).toMatch(/^object\.id: is empty.*pass a falsy object/);
  });

  it('an object whose id is not known yet', () => {
    const value = { entity: 'Order', id: undefined } as unknown as typeof order;
    expect(
      messageOf(
        inPage(
          <ListenObject value={value}>
            <Listen actions={nothing} />
          </ListenObject>,
        ),
      ),
    ).toMatch(/object\.id: is undefined.*pass a falsy object/);
  });

  it('a row without an action', () => {
    expect(messageOf(inPage(<Listen object={order} actions={[{ on: '', run() {} }]} />))).toMatch(
      /actions\[0\]\.on: name an action/,
    );
    expect(messageOf(inPage(<Listen object={order} actions={[{ on: [], run() {} }]} />))).toMatch(/actions\[0\]\.on/);
  });

  it('a row without a function', () => {
    const row = { on: 'shipped' } as unknown as { on: string; run: () => void };
    expect(messageOf(inPage(<Listen object={order} actions={[row]} />))).toMatch(/actions\[0\]\.run/);
  });

  it('a name that nobody registered', () => {
    const message = messageOf(
      <Page desk={createDesk()} callbacks={{ reload() {} }}>
        <Listen object={order} actions={[{ on: 'shipped', run: 'relaod' }]} />
      </Page>,
    );
    expect(message).toMatch(/actions\[0\]\.run.*relaod.*register it/);
  });

  it('a mistake that a later render brings', () => {
    const page = (on: string): ReactElement => (
      <Boundary>
        <Page desk={createDesk()}>
          <Listen object={order} actions={[{ on, run() {} }]} />
        </Page>
      </Boundary>
    );
    const { rerender } = render(page('shipped'));
    rerender(page(''));
    expect(screen.getByTestId('error').textContent).toMatch(/actions\[0\]\.on/);
  });

  it('a mistake of a widget whose object is not there yet', () => {
    expect(messageOf(inPage(<Listen object={undefined} actions={[{ on: '', run() {} }]} />))).toMatch(
      /actions\[0\]\.on/,
    );
  });
});

describe('wrong configuration in production', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
    vi.resetModules();
    vi.restoreAllMocks();
  });

  it('is told to onError, once, and the page lives', async () => {
    vi.stubEnv('NODE_ENV', 'production');
    vi.resetModules();
    const [production, testing, { createElement }] = [
      await import('../../widget/react/index.js'),
      await import('@testing-library/react'),
      await import('react'),
    ];
    const desk = createDesk();
    const onError = vi.fn();
    const onConsole = vi.spyOn(console, 'error').mockImplementation(() => {});
    const seen = vi.fn();
    const { Listen: Widget, ListenProvider: Provider } = production;
    const page = (): ReactElement =>
      createElement(
        'div',
        null,
        createElement(Widget, { object: order, actions: nothing }),
        createElement(
          Provider,
          { url: '/notify-listen', world: { fetch: desk.fetch }, onError },
          createElement(Widget, { actions: nothing }),
          createElement(Widget, { object: { entity: 'Order', id: '' }, actions: nothing }),
          createElement(Widget, { object: order, actions: [{ on: '', run() {} }] }),
          createElement(Widget, { object: order, actions: [{ on: 'shipped', run: 'nobody' }] }),
          createElement(Widget, { object: order, system: 'biling', actions: nothing }),
          createElement(Widget, { object: order, actions: { shipped: seen } }),
        ),
      );
    const { rerender, unmount } = testing.render(page());
    rerender(page());
    await covers(desk, 'Order/42');
    desk.notify('shipped', order);
    await testing.waitFor(() => expect(seen).toHaveBeenCalledTimes(1));
    expect(onError.mock.calls.map(([error]) => error.code)).toEqual(Array(5).fill('configuration'));
    const onPage = onConsole.mock.calls.filter(([error]) => error?.code === 'configuration');
    expect(onPage.length).toBe(1); // no provider
    unmount();
  });
});
