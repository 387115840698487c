/** A page that is described by data: its action lists are JSON, its functions are registered by name. */
import { render, screen, waitFor } from '@testing-library/react';
import { type ReactElement, useState } from 'react';
import { describe, expect, it, vi } from 'vitest';
import type { ActionRow, CallbackRegistry } from '../../widget/client/types.js';
import { Listen } from '../../widget/react/index.js';
import { createDesk } from './kit/desk.js';
import { covers, nothingHappens, order, Page } from './kit/page.js';

interface Description {
  readonly widgets: readonly {
    readonly object: { readonly entity: string; readonly id?: number };
    readonly actions: readonly ActionRow[];
  }[];
}

const description = JSON.parse(`{
  "widgets": [
    {
      "object": { "entity": "Order", "id": 42 },
      "actions": [
        { "on": ["updated", "shipped"], "run": ["reload", "toast"], "when": "untouched", "otherwise": "ask" },
        { "on": "deleted", "run": "leave", "resync": false, "onError": "explain", "retry": false }
      ]
    },
    { "object": { "entity": "Order" }, "actions": [{ "on": "*", "run": "reloadList", "window": 50 }] }
  ]
}`) as Description;

function JsonPage({ widgets }: Description): ReactElement {
  return (
    <>
      {widgets.map((widget) => (
        <Listen key={JSON.stringify(widget.object)} {...widget} />
      ))}
    </>
  );
}

describe('a page described by JSON', () => {
  it('runs the registered functions in the order of the description', async () => {
    const desk = createDesk();
    const ran: string[] = [];
    let touched = false;
    const callbacks: CallbackRegistry = {
      reload: () => void ran.push('reload'),
      toast: () => void ran.push('toast'),
      untouched: () => !touched,
      ask: () => void ran.push('ask'),
      leave() {
        throw new Error('no page to go to');
      },
      explain: (_, error) => void ran.push(`explain: ${(error as Error).message}`),
      reloadList: () => void ran.push('list'),
    };
    render(
      <Page desk={desk} callbacks={callbacks}>
        <JsonPage {...description} />
      </Page>,
    );
    await covers(desk, 'Order', 'Order/42');
    desk.notify('updated', order);
    await waitFor(() => expect(ran.sort()).toEqual(['list', 'reload', 'toast']));
    ran.length = 0;
    touched = true;
    desk.notify('shipped', order);
    await waitFor(() => expect(ran.sort()).toEqual(['ask', 'list']));
    ran.length = 0;
    desk.notify('deleted', order);
    await waitFor(() => expect(ran.sort()).toEqual(['explain: no page to go to', 'list']));
  });

  it('runs the newest function of a name, also of one that a later render brings, in widgets that do not render', async () => {
    const desk = createDesk();
    const run = vi.fn();
    const row: ActionRow[] = [{ on: 'shipped', run: 'reload' }];
    const first = <Listen object={order} actions={row} />; // the same element: React does not render it again
    const page = (round: number): ReactElement => (
      <Page
        desk={desk}
        callbacks={{ reload: () => run(`reload ${round}`), ...(round > 1 && { late: () => run(`late ${round}`) }) }}
      >
        {first}
        {round > 1 && <Listen object={order} actions={[{ on: 'shipped', run: 'late' }]} />}
      </Page>
    );
    const { rerender } = render(page(1));
    await covers(desk, 'Order/42');
    rerender(page(2));
    rerender(page(3));
    desk.notify('shipped', order);
    await waitFor(() => expect(run.mock.calls.flat().sort()).toEqual(['late 3', 'reload 3']));
  });

  it("prefers the widget's own names to the provider's", async () => {
    const desk = createDesk();
    function Counter(): ReactElement {
      const [count, setCount] = useState(0);
      return (
        <Listen
          object={order}
          actions={[{ on: 'shipped', run: 'count' }]}
          callbacks={{ count: () => setCount(count + 1) }}
        >
          <output>{count}</output>
        </Listen>
      );
    }
    const outer = vi.fn();
    render(
      <Page desk={desk} callbacks={{ count: outer }}>
        <Counter />
      </Page>,
    );
    await covers(desk, 'Order/42');
    for (const expected of ['1', '2']) {
      desk.notify('shipped', order);
      await screen.findByText(expected);
    }
    await nothingHappens();
    expect(outer).not.toHaveBeenCalled();
  });

  it('never takes a name of JavaScript itself for a registered one', () => {
    vi.spyOn(console, 'error').mockImplementation(() => {});
    const page = (
      <Page desk={createDesk()}>
        <Listen object={order} actions={[{ on: 'shipped', run: 'constructor' }]} />
      </Page>
    );
    expect(() => render(page)).toThrow(/actions\[0\]\.run.*constructor/);
    vi.restoreAllMocks();
  });
});
