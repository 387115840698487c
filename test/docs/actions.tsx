/** The samples of docs/actions.md. */
import { Listen, ListenObject, ListenProvider, type Refresh, useListen, useListenClient } from 'notify-listen/react';
import { type ReactElement, type ReactNode, useState } from 'react';

interface Order {
  readonly entity: 'Order';
  readonly id: number;
  readonly version: number;
}

interface Context {
  readonly order: Order;
  readonly refetch: () => Promise<void>;
  readonly reload: () => Promise<void>;
  readonly toast: (refresh: Refresh) => void;
  readonly leave: () => void;
  readonly form: { readonly isDirty: boolean };
}

export function Rows({ order, refetch, reload, toast, leave, form }: Context): ReactElement {
  const [changed, setChanged] = useState<Refresh>();
  // #region rows
  <Listen
    object={order}
    actions={[
      { on: 'shipped', run: [refetch, toast] },
      { on: ['updated', 'reopened'], run: reload, when: () => !form.isDirty, otherwise: setChanged },
      { on: 'deleted', run: leave, resync: false },
    ]}
  />;
  // #endregion
  // #region map
  <Listen object={order} actions={{ shipped: refetch, '*': reload }} />;
  // #endregion
  return <p>{changed?.notification?.notifier}</p>;
}

// #region form
export function OrderForm({ order, load }: { order: Order; load: () => Promise<void> }): ReactElement {
  const [dirty, setDirty] = useState(false);
  const [changed, setChanged] = useState<Refresh>();
  const reload = async () => {
    await load();
    setDirty(false);
    setChanged(undefined);
  };
  return (
    <form onChange={() => setDirty(true)}>
      <Listen object={order} actions={[{ on: '*', run: reload, when: () => !dirty, otherwise: setChanged }]} />
      {changed && (
        <button type="button" onClick={reload}>
          changed by {changed.notification?.notifier ?? 'somebody'}: load it?
        </button>
      )}
    </form>
  );
}
// #endregion

// #region json
const page = JSON.parse(`{
  "object": { "entity": "Order", "id": 42 },
  "actions": [
    { "on": ["updated", "shipped"], "run": ["reload", "toast"], "when": "untouched", "otherwise": "ask" }
  ]
}`);

export function DescribedPage({ callbacks }: { callbacks: Record<string, () => unknown> }): ReactElement {
  return (
    <ListenProvider url="/notify-listen" callbacks={callbacks}>
      <Listen {...page} />
    </ListenProvider>
  );
}
// #endregion

export function Skips({ order, reload }: Context): ReactElement {
  // #region changed-date
  <Listen object={order} changedDate={() => order.version} actions={{ '*': reload }} />;
  // #endregion
  // #region own
  const client = useListenClient();
  const save = () => client.fetch(`/api/orders/${order.id}`, { method: 'PUT' });
  <Listen object={order} ignoreOwn actions={{ '*': reload }} />;
  // #endregion
  return <button type="button" onClick={save} />;
}

export function Loads({ order, reload }: Context): ReactNode {
  // #region loaded-at
  const [loadedAt] = useState(() => Date.now()); // in the component that starts the load, before it starts
  useListen(order, { '*': reload }, { loadedAt });
  // #endregion
  return null;
}

export function InDataView({ order, reload }: Context): ReactElement {
  return (
    // #region data-view
    <ListenObject value={order}>
      <Listen actions={{ updated: reload }} />
    </ListenObject>
    // #endregion
  );
}
