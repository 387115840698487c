/** The form of an order. What somebody else changes does not overwrite what is being edited: the page asks first. */
import { useListen } from 'notify-listen/react';
import { type FormEvent, type ReactNode, useEffect, useState } from 'react';
import type { Order, OrderPatch } from '../server/orders.js';
import type { Person } from '../server/people.js';
import { ApiError, patch } from './api.js';
import { say } from './notices.js';
import { OrderFields } from './order-fields.js';
import { refreshing } from './refreshed.js';
import type { Loaded } from './use-loaded.js';

interface OrderFormProps {
  readonly id: string;
  readonly order: Loaded<Order>;
  readonly person: Person;
}

export function OrderForm({ id, order: { data: order, loadedAt, reload, put }, person }: OrderFormProps): ReactNode {
  // Only what this person has touched; everything else follows the order.
  const [draft, setDraft] = useState<OrderPatch>({});
  const [changedBy, setChangedBy] = useState<string>();
  const [problem, setProblem] = useState('');
  const dirty = Object.keys(draft).length > 0;

  const { error: refusal } = useListen(
    { entity: 'Order', id },
    [
      {
        on: '*',
        run: refreshing(reload),
        when: () => !dirty,
        otherwise: ({ notification }) => setChangedBy(notification?.notifier ?? 'somebody'),
      },
    ],
    // What this page changes itself, the answer shows. The version of an order grows strictly, so what is not newer than
    // what is shown need not be read again either.
    { loadedAt, ignoreOwn: true, changedDate: () => order?.version },
  );

  useEffect(() => {
    // The right to see it has ended, or there never was one: ask the API, which says the same.
    if (refusal) reload().catch(() => undefined);
  }, [refusal, reload]);

  async function load(keep: boolean): Promise<void> {
    try {
      await reload();
      if (!keep) setDraft({});
      setChangedBy(undefined);
      setProblem('');
    } catch {
      // The page says why; what was typed is still there.
    }
  }

  async function save(event: FormEvent): Promise<void> {
    event.preventDefault();
    if (!order || !dirty) return;
    setProblem('');
    try {
      put(await patch<Order>(`orders/${order.id}`, { ...draft, version: order.version }));
      setDraft({});
      setChangedBy(undefined);
      say('Saved.');
    } catch (error) {
      if (error instanceof ApiError && error.status === 409) {
        const who = error.changedBy ?? 'somebody';
        setChangedBy(who);
        setProblem(`Not saved: ${who} changed it meanwhile. Load it, or keep what you typed and save again.`);
      } else {
        setProblem(error instanceof Error ? error.message : String(error));
      }
    }
  }

  if (!order) return null;
  return (
    <form className="order-form" onSubmit={(event) => void save(event)}>
      {changedBy && (
        <div className="ask" role="alert">
          <span>Changed by {changedBy}: load it?</span>
          <span className="actions">
            <button type="button" className="primary" onClick={() => void load(false)}>
              Load it
            </button>
            <button type="button" onClick={() => void load(true)}>
              Keep what I typed
            </button>
          </span>
        </div>
      )}
      <OrderFields
        order={order}
        draft={draft}
        readOnly={!person.mayChange}
        edit={(change) => setDraft((old) => ({ ...old, ...change }))}
      />
      {problem && <p role="alert">{problem}</p>}
      {person.mayChange && (
        <div className="actions">
          <button type="submit" className="primary" disabled={!dirty}>
            Save
          </button>
          <button type="button" disabled={!dirty} onClick={() => void load(false)}>
            Discard
          </button>
          {dirty && <span className="muted">Not saved yet</span>}
        </div>
      )}
    </form>
  );
}
