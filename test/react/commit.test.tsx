/** What must be true in the very commit that shows the change, before React gets round to effects. */
import { render } from '@testing-library/react';
import { type ReactElement, useLayoutEffect } from 'react';
import { describe, expect, it } from 'vitest';
import type { Actions, ListenClient, Listening } from '../../widget/client/types.js';
import { Listen, ListenProvider } from '../../widget/react/index.js';
import './kit/page.js';

/** A client that only keeps what it is told. */
function createIdleClient(): { client: ListenClient; told: { id: unknown; open: boolean; actions: Actions }[] } {
  const told: { id: unknown; open: boolean; actions: Actions }[] = [];
  const client: ListenClient = {
    listen(object, actions): Listening {
      const listener = { id: object.id, open: true, actions: actions as Actions };
      told.push(listener);
      return {
        object,
        ready: new Promise(() => {}),
        error: undefined,
        onChange: () => () => {},
        setActions(next) {
          listener.actions = next;
        },
        setOptions() {},
        close() {
          listener.open = false;
        },
      };
    },
    status: () => ({ state: 'initial', degraded: false }),
    onStatus: () => () => {},
    fetch: () => Promise.reject(new Error('nothing to fetch')),
    pause() {},
    resume() {},
    reconnect() {},
    close() {},
  };
  return { client, told };
}

describe('in the commit', () => {
  const { client, told } = createIdleClient();
  const open = (): unknown[] => told.filter((listener) => listener.open).map(({ id }) => id);
  let atCommit: unknown[] = [];

  /** A layout effect runs in the commit, before the effect in which `<Listen>` begins to listen. */
  function Probe({ look }: { look: () => unknown[] }): null {
    useLayoutEffect(() => {
      atCommit = look();
    });
    return null;
  }
  function page(id: number | undefined, run: () => void, look = open): ReactElement {
    return (
      <ListenProvider client={client}>
        {id !== undefined && <Listen object={{ entity: 'Order', id }} actions={{ '*': run }} />}
        <Probe look={look} />
      </ListenProvider>
    );
  }

  it('the former object is left, the newest functions are in place, and what is unmounted is over', () => {
    const [first, second] = [() => {}, () => {}];
    const { rerender } = render(page(1, first));
    expect(open()).toEqual(['1']);
    rerender(page(1, second, () => told.map(({ actions }) => actions)));
    expect(atCommit).toEqual([{ '*': second }]);
    rerender(page(2, second));
    expect(atCommit).toEqual([]);
    expect(open()).toEqual(['2']);
    rerender(page(undefined, second));
    expect(atCommit).toEqual([]);
    expect(told).toHaveLength(2);
  });
});
