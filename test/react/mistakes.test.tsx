/** Mistakes in production: the page lives, `onError` of the nearest provider hears of each once, and what is put right works. */
import { cleanup, render } from '@testing-library/react';
import { createElement, type ReactElement, useLayoutEffect } from 'react';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Actions, ObjectRef } from '../../widget/client/index.js';
import type { ListenProps } from '../../widget/react/index.js';
import { createDesk, type Desk } from './kit/desk.js';
import { covers, order } from './kit/page.js';

const shipped: Actions = { shipped() {} };

describe('in production', () => {
  let widget: typeof import('../../widget/react/index.js');
  let desk: Desk;

  beforeEach(async () => {
    vi.stubEnv('NODE_ENV', 'production');
    vi.resetModules();
    vi.spyOn(console, 'error').mockImplementation(() => {});
    widget = await import('../../widget/react/index.js');
    desk = createDesk();
  });
  afterEach(() => {
    cleanup();
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
    vi.resetModules();
  });

  const listen = (props: object): ReactElement =>
    createElement(widget.Listen, { object: order, actions: shipped, ...props } as ListenProps);
  const within = (props: object, ...children: ReactElement[]): ReactElement =>
    createElement(
      widget.ListenProvider,
      { url: '/notify-listen', world: { fetch: desk.fetch }, ...props },
      ...children,
    );

  it('a system that is not there is told to the provider around, also after a widget without any', () => {
    const onError = vi.fn();
    render(listen({}));
    render(within({ name: 'orders', onError }, listen({})));
    expect(onError).toHaveBeenCalledTimes(1);
  });

  it('each provider hears of the name that is not known inside it', () => {
    const [outer, inner] = [vi.fn(), vi.fn()];
    const unknown = listen({ system: 'unknown' });
    render(within({ name: 'outer', onError: outer }, unknown, within({ name: 'inner', onError: inner }, unknown)));
    expect([outer.mock.calls.length, inner.mock.calls.length]).toEqual([1, 1]);
  });

  it.each([42, 'Order/42', { entity: 'Order', id: Object.create(null) }, { entity: 'Order', id: Symbol('42') }])(
    '%o is no object: told once',
    (object) => {
      const onError = vi.fn();
      const { rerender } = render(within({ onError }, listen({ object })));
      rerender(within({ onError }, listen({ object })));
      expect(onError).toHaveBeenCalledTimes(1);
    },
  );

  it('wrong actions that are made in each render stay shown, and are told once', async () => {
    const onError = vi.fn();
    const shown: (string | undefined)[] = [];
    function Row({ run }: { readonly run?: () => void }): null {
      const { error, ready } = widget.useListen(order, [{ on: 'shipped', run: run as () => void }]);
      shown.push(error ? error.code : String(ready));
      return null;
    }
    const { rerender } = render(within({ onError }, createElement(Row)));
    for (let n = 0; n < 3; n++) rerender(within({ onError }, createElement(Row)));
    expect(shown.at(-1)).toBe('configuration');
    expect(shown.length).toBeLessThan(10);
    expect(onError).toHaveBeenCalledTimes(1);
    rerender(within({ onError }, createElement(Row, { run() {} })));
    await covers(desk, 'Order/42');
    await vi.waitFor(() => expect(shown.at(-1)).toBe('true'));
    const asked = { ...desk.asked };
    rerender(within({ onError }, createElement(Row, { run() {} })));
    expect(shown.at(-1)).toBe('true');
    expect(desk.asked).toEqual(asked);
  });

  it('actions that are put right are listened for', async () => {
    const onError = vi.fn();
    const { rerender } = render(within({ onError }, listen({ actions: [] })));
    rerender(within({ onError }, listen({ actions: [] })));
    expect(onError).toHaveBeenCalledTimes(1);
    rerender(within({ onError }, listen({})));
    await covers(desk, 'Order/42');
  });
});

it('an object that is changed in place between the render and its effects is the one that was rendered', async () => {
  const { Listen, ListenProvider } = await import('../../widget/react/index.js');
  const desk = createDesk();
  const object = { entity: 'Order', id: 1 } satisfies ObjectRef;
  function Changes(): null {
    useLayoutEffect(() => {
      object.id = 2;
    }, []);
    return null;
  }
  render(
    <ListenProvider url="/notify-listen" world={{ fetch: desk.fetch }}>
      <Changes />
      <Listen object={object} actions={shipped} />
    </ListenProvider>,
  );
  await covers(desk, 'Order/1');
});
