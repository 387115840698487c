import { fireEvent, render, screen, waitFor } from '@testing-library/react';
import { type ReactElement, useState } from 'react';
import { flushSync } from 'react-dom';
import { describe, expect, it, vi } from 'vitest';
import type { Refresh } from '../../widget/client/types.js';
import { Listen, ListenObject, useListen, useListenClient } from '../../widget/react/index.js';
import { createDesk } from './kit/desk.js';
import { covers, LINGER_OVER, nothingHappens, order, Page } from './kit/page.js';

describe('<Listen>', () => {
  it('runs for each action only the rows that name it, with what happened (rows 16, 26, 27)', async () => {
    const desk = createDesk();
    const [shipped, changed, all] = [vi.fn(), vi.fn(), vi.fn()];
    render(
      <Page desk={desk}>
        <Listen
          object={order}
          actions={[
            { on: 'shipped', run: shipped },
            { on: ['updated', 'deleted'], run: changed },
            { on: '*', run: all },
          ]}
        />
      </Page>,
    );
    await covers(desk, 'Order/42');
    desk.notify('shipped', order, { notifier: 'Ann' });
    await waitFor(() => expect(all).toHaveBeenCalledTimes(1));
    expect(shipped).toHaveBeenCalledTimes(1);
    const refresh: Refresh = shipped.mock.calls[0]?.[0];
    expect(refresh).toMatchObject({ reason: 'notification', merged: 1, notification: { notifier: 'Ann' } });
    expect(changed).not.toHaveBeenCalled();
    desk.notify('deleted', order);
    await waitFor(() => expect(changed).toHaveBeenCalledTimes(1));
    expect(shipped).toHaveBeenCalledTimes(1);
  });

  it('renders nothing, or its children, or what a function makes of its state', async () => {
    const desk = createDesk();
    const { container } = render(
      <Page desk={desk}>
        <Listen object={order} actions={{ shipped() {} }} />
        <Listen object={order} actions={{ shipped() {} }}>
          <b>child</b>
        </Listen>
        <Listen object={order} actions={{ shipped() {} }}>
          {({ ready }) => <i>{ready ? 'ready' : 'not yet'}</i>}
        </Listen>
      </Page>,
    );
    expect(container.innerHTML).toBe('<b>child</b><i>not yet</i>');
    await waitFor(() => expect(container.innerHTML).toBe('<b>child</b><i>ready</i>'));
  });

  it('sends nothing for 100 renders with inline functions, and the newest runs (row 27, laravel-echo: stale closures)', async () => {
    const desk = createDesk();
    const seen: number[] = [];
    const page = (count: number): ReactElement => (
      <Page desk={desk} headers={() => ({})} onError={() => {}} callbacks={{ named: () => {} }}>
        <Listen
          object={{ entity: 'Order', id: '42' }}
          actions={[{ on: 'shipped', run: () => void seen.push(count) }]}
          onError={() => {}}
        />
      </Page>
    );
    const { rerender } = render(page(0));
    await covers(desk, 'Order/42');
    for (let count = 1; count <= 100; count++) rerender(page(count));
    desk.notify('shipped', order);
    await waitFor(() => expect(seen).toEqual([100]));
    await nothingHappens();
    expect(desk.asked).toEqual({ config: 1, auth: 1, stream: 1 });
  });

  it('calls the newest function in a trailing run, and in the retry of a run that failed', async () => {
    const desk = createDesk();
    const seen: string[] = [];
    let finish = (): void => {};
    const page = (name: string, run: () => unknown): ReactElement => (
      <Page desk={desk} world={{ fetch: desk.fetch, random: () => 0 }} onError={() => {}}>
        <Listen
          object={order}
          actions={{
            shipped() {
              seen.push(name);
              return run();
            },
          }}
        />
      </Page>
    );
    const first = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const { rerender } = render(page('first', () => first));
    await covers(desk, 'Order/42');
    desk.notify('shipped', order);
    await waitFor(() => expect(seen).toEqual(['first']));
    desk.notify('shipped', order); // lands during the run: one more
    rerender(page('second', () => Promise.reject(new Error('502'))));
    finish();
    await waitFor(() => expect(seen).toEqual(['first', 'second']));
    rerender(page('third', () => {}));
    await waitFor(() => expect(seen).toEqual(['first', 'second', 'third']), LINGER_OVER);
  });

  it('does nothing for an equal new object: a number and its text are one id (row 23)', async () => {
    const desk = createDesk();
    const page = (object: { entity: string; id: string | number }): ReactElement => (
      <Page desk={desk}>
        <Listen object={object} actions={{ shipped() {} }} />
      </Page>
    );
    const { rerender } = render(page({ entity: 'Order', id: 42 }));
    await covers(desk, 'Order/42');
    rerender(page({ entity: 'Order', id: 42 }));
    rerender(page({ entity: 'Order', id: '42' }));
    await nothingHappens();
    expect(desk.asked).toEqual({ config: 1, auth: 1, stream: 1 });
  });

  it('moves to another object, and no function of the former starts any more (row 23)', async () => {
    const desk = createDesk();
    const seen: unknown[] = [];
    const page = (id: number): ReactElement => (
      <Page desk={desk}>
        <Listen
          object={{ entity: 'Order', id }}
          actions={{ shipped: ({ object }) => void seen.push([id, object.id]) }}
        />
      </Page>
    );
    const { rerender } = render(page(1));
    await covers(desk, 'Order/1');
    rerender(page(2));
    desk.notify('shipped', { entity: 'Order', id: 1 });
    await covers(desk, 'Order/2');
    desk.notify('shipped', { entity: 'Order', id: 1 });
    desk.notify('shipped', { entity: 'Order', id: 2 });
    await waitFor(() => expect(seen).toEqual([[2, '2']]));
  });

  it('listens to nothing while its object is falsy', async () => {
    const desk = createDesk();
    const run = vi.fn();
    const page = (object: typeof order | undefined): ReactElement => (
      <Page desk={desk}>
        <ListenObject value={{ entity: 'Order', id: 7 }}>
          <Listen object={object} actions={{ shipped: run }} />
        </ListenObject>
      </Page>
    );
    const { rerender } = render(page(undefined));
    await nothingHappens();
    expect(desk.asked).toEqual({ config: 0, auth: 0, stream: 0 });
    rerender(page(order));
    await covers(desk, 'Order/42');
    rerender(page(undefined));
    desk.notify('shipped', order);
    await covers(desk);
    expect(run).not.toHaveBeenCalled();
  });

  it('takes its object from the nearest <ListenObject>', async () => {
    const desk = createDesk();
    const page = (id: number | undefined): ReactElement => (
      <Page desk={desk}>
        <ListenObject value={{ entity: 'Report', id: 1 }}>
          <ListenObject value={id && { entity: 'Order', id }}>
            <Listen actions={{ shipped() {} }} />
          </ListenObject>
        </ListenObject>
      </Page>
    );
    const { rerender } = render(page(undefined));
    await nothingHappens();
    expect(desk.asked.auth).toBe(0);
    rerender(page(42));
    await covers(desk, 'Order/42');
  });

  it('costs one subscription and one grant for 50 widgets, and lives until the last has left (row 17, use-pusher: unmounting one ends the others)', async () => {
    const desk = createDesk();
    const run = vi.fn();
    const page = (count: number): ReactElement => (
      <Page desk={desk}>
        {Array.from({ length: count }, (_, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the widgets have no other name
          <Listen key={index} object={{ ...order }} actions={{ shipped: () => run(index) }} />
        ))}
      </Page>
    );
    const { rerender } = render(page(50));
    await covers(desk, 'Order/42');
    expect(desk.asked).toEqual({ config: 1, auth: 1, stream: 1 });
    expect(desk.objects).toEqual(['Order/42']);
    rerender(page(1));
    desk.notify('shipped', order);
    await waitFor(() => expect(run.mock.calls).toEqual([[0]]));
    rerender(page(0));
    await covers(desk);
    expect(desk.asked).toEqual({ config: 1, auth: 1, stream: 1 });
  });

  it('starts no function of a widget that another function of the same batch has unmounted (rows 22, 29)', async () => {
    const desk = createDesk();
    const seen: string[] = [];
    function Desk(): ReactElement {
      const [both, setBoth] = useState(true);
      const close = (): void => {
        seen.push('first');
        flushSync(() => setBoth(false));
      };
      return (
        <>
          <Listen object={order} actions={{ shipped: close }} />
          {both && <Listen object={order} actions={{ shipped: () => void seen.push('second') }} />}
          <Listen object={order} actions={{ shipped: () => void seen.push('third') }} />
        </>
      );
    }
    render(
      <Page desk={desk}>
        <Desk />
      </Page>,
    );
    await covers(desk, 'Order/42');
    desk.notify('shipped', order);
    await waitFor(() => expect(seen).toContain('third'));
    await nothingHappens();
    expect(seen.filter((name) => name !== 'second')).toEqual(['first', 'third']);
    expect(seen).not.toContain('second');
  });

  it('isolates a function that throws or rejects: the other widgets, rows and notifications go on (row 28)', async () => {
    const desk = createDesk();
    const [sync, late, ofRow, good, onError] = [new Error('sync'), new Error('late'), vi.fn(), vi.fn(), vi.fn()];
    render(
      <Page desk={desk}>
        <Listen
          object={order}
          onError={onError}
          actions={[
            {
              on: 'shipped',
              retry: false,
              run: () => {
                throw sync;
              },
            },
            { on: 'shipped', retry: false, run: () => Promise.reject(late), onError: ofRow },
            { on: 'shipped', run: good },
          ]}
        />
        <Listen object={order} actions={{ shipped: good }} />
      </Page>,
    );
    await covers(desk, 'Order/42');
    desk.notify('shipped', order);
    await waitFor(() => expect(good).toHaveBeenCalledTimes(2));
    await waitFor(() => expect(ofRow).toHaveBeenCalledTimes(1));
    expect(onError.mock.calls.map(([error]) => error)).toEqual([sync]);
    expect(ofRow.mock.calls.map(([error]) => error)).toEqual([late]);
    desk.notify('shipped', order);
    await waitFor(() => expect(good).toHaveBeenCalledTimes(4));
  });

  it('runs a row with `once` for one notification, also after rendering again (row 21)', async () => {
    const desk = createDesk();
    const [once, every] = [vi.fn(), vi.fn()];
    const page = (): ReactElement => (
      <Page desk={desk}>
        <Listen
          object={order}
          actions={[
            { on: 'shipped', run: () => once(), once: true },
            { on: 'shipped', run: () => every() },
          ]}
        />
      </Page>
    );
    const { rerender } = render(page());
    await covers(desk, 'Order/42');
    desk.notify('shipped', order);
    await waitFor(() => expect(every).toHaveBeenCalledTimes(1));
    rerender(page());
    desk.notify('shipped', order);
    await waitFor(() => expect(every).toHaveBeenCalledTimes(2));
    expect(once).toHaveBeenCalledTimes(1);
  });

  it('does not overwrite a form that is being edited: `when` reads the newest render, `otherwise` asks', async () => {
    const desk = createDesk();
    const load = vi.fn();
    function OrderForm(): ReactElement {
      const [dirty, setDirty] = useState(false);
      const [changed, setChanged] = useState<Refresh>();
      const reload = (): void => {
        load();
        setDirty(false);
        setChanged(undefined);
      };
      return (
        <>
          <Listen object={order} actions={[{ on: '*', run: reload, when: () => !dirty, otherwise: setChanged }]} />
          <input aria-label="note" onChange={() => setDirty(true)} />
          {changed && (
            <button type="button" onClick={reload}>
              changed by {changed.notification?.notifier}: load it?
            </button>
          )}
        </>
      );
    }
    render(
      <Page desk={desk}>
        <OrderForm />
      </Page>,
    );
    await covers(desk, 'Order/42');
    desk.notify('updated', order, { notifier: 'Ann' });
    await waitFor(() => expect(load).toHaveBeenCalledTimes(1));
    fireEvent.change(screen.getByLabelText('note'), { target: { value: 'mine' } });
    desk.notify('updated', order, { notifier: 'Bob' });
    const button = await screen.findByText('changed by Bob: load it?');
    expect(load).toHaveBeenCalledTimes(1);
    fireEvent.click(button);
    expect(load).toHaveBeenCalledTimes(2);
    expect(screen.queryByRole('button')).toBeNull();
  });

  it('opens nothing for a widget that has gone before the first answer came (mendix: the connection of a removed widget stays)', async () => {
    const desk = createDesk();
    const release = desk.hold();
    const { unmount } = render(
      <Page desk={desk}>
        <Listen object={order} actions={{ shipped() {} }} />
      </Page>,
    );
    await waitFor(() => expect(desk.asked.config).toBe(1));
    unmount();
    release();
    await nothingHappens();
    expect(desk.asked.stream).toBe(0);
    expect(desk.covered()).toEqual([]);
  });

  it('reports a refusal once, however many rows there are (mendix: the error handler is bound once per action)', async () => {
    const desk = createDesk();
    const onError = vi.fn();
    desk.refuse(order);
    render(
      <Page desk={desk} onError={onError}>
        <Listen
          object={order}
          actions={[
            { on: 'shipped', run() {} },
            { on: 'updated', run() {} },
            { on: 'deleted', run() {} },
          ]}
        >
          {({ error }) => <p>{error?.code}</p>}
        </Listen>
        <Listen object={{ entity: 'Order', id: 1 }} actions={{ shipped() {} }}>
          {({ ready }) => <p>{ready && 'the other is ready'}</p>}
        </Listen>
      </Page>,
    );
    await screen.findByText('refused');
    await screen.findByText('the other is ready');
    expect(onError.mock.calls.map(([error]) => error.code)).toEqual(['refused']);
  });
});

describe('useListen', () => {
  it('tells when nothing can be missed any more, starts anew for another object, and is stable in between', async () => {
    const desk = createDesk();
    const states: unknown[] = [];
    const firstOf = new Map<number, unknown>();
    function Widget({ id }: { id: number }): ReactElement {
      const state = useListen({ entity: 'Order', id }, { shipped() {} });
      if (states.at(-1) !== state) states.push(state);
      if (!firstOf.has(id)) firstOf.set(id, state);
      return <p>{state.ready ? `ready ${id}` : 'waiting'}</p>;
    }
    const page = (id: number): ReactElement => (
      <Page desk={desk}>
        <Widget id={id} />
      </Page>
    );
    const { rerender } = render(page(1));
    await screen.findByText('ready 1');
    rerender(page(1));
    rerender(page(2));
    screen.getByText('waiting');
    await screen.findByText('ready 2');
    expect(states).toEqual([{ ready: false }, { ready: true }, { ready: false }, { ready: true }]);
    expect(firstOf.get(2)).toEqual({ ready: false }); // not for one render what was true of the former object
  });

  it('tells that the right has ended under the open page, and that it is back after reconnect()', async () => {
    const desk = createDesk();
    let reconnect = (): void => {};
    function Widget(): ReactElement {
      const { ready, error } = useListen(order, { shipped() {} });
      reconnect = useListenClient().reconnect;
      return <p>{ready ? 'ready' : (error?.code ?? 'waiting')}</p>;
    }
    render(
      <Page desk={desk} onError={() => {}}>
        <Widget />
      </Page>,
    );
    await screen.findByText('ready');
    desk.revoke(order);
    await screen.findByText('refused');
    desk.allow(order);
    reconnect();
    await screen.findByText('ready');
  });
});
