/** What happened to the order, as a widget of its own: `<Listen>` takes its object from the `<ListenObject>` around it. */
import { Listen } from 'notify-listen/react';
import type { ReactNode } from 'react';
import type { OrderChange } from '../server/orders.js';
import { useLoaded } from './use-loaded.js';
import { when } from './words.js';

export function OrderHistory({ id }: { readonly id: number }): ReactNode {
  const { data, loadedAt, reload } = useLoaded<readonly OrderChange[]>(`orders/${id}/changes`);
  return (
    <section className="history" aria-labelledby="history">
      <h2 id="history">History</h2>
      <Listen loadedAt={loadedAt} actions={{ '*': reload }} />
      <ol>
        {data?.map((change) => (
          <li key={change.id}>
            <span>{change.what}</span>
            <span className="muted">
              {change.changedBy}, {when(change.changedAt)}
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}
