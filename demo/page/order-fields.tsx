/** The fields of the form: the order, with what this person has touched laid over it. */
import type { ReactNode } from 'react';
import type { Order, OrderPatch } from '../server/orders.js';
import { useFlash } from './use-flash.js';
import { capital, DEPOTS, STATUSES } from './words.js';

interface OrderFieldsProps {
  readonly order: Order;
  readonly draft: OrderPatch;
  readonly readOnly: boolean;
  readonly edit: (change: OrderPatch) => void;
}

export function OrderFields({ order, draft, readOnly, edit }: OrderFieldsProps): ReactNode {
  const shown = { ...order, ...draft };
  return (
    <fieldset disabled={readOnly}>
      <legend className="unseen">What may be changed</legend>
      <label className={useFlash(order.pieces)}>
        Pieces
        <input
          type="number"
          min={1}
          max={9999}
          required
          value={shown.pieces || ''}
          onChange={(event) => edit({ pieces: event.target.valueAsNumber || 0 })}
        />
      </label>
      <label className={useFlash(order.depot)}>
        Depot
        <select value={shown.depot} onChange={(event) => edit({ depot: event.target.value })}>
          {DEPOTS.map((depot) => (
            <option key={depot}>{depot}</option>
          ))}
        </select>
      </label>
      <label className={useFlash(order.status)}>
        Status
        <select
          value={shown.status}
          onChange={(event) =>
            edit({ status: STATUSES.find((status) => status === event.target.value) ?? order.status })
          }
        >
          {STATUSES.map((status) => (
            <option key={status} value={status}>
              {capital(status)}
            </option>
          ))}
        </select>
      </label>
      <label className={`broad ${useFlash(order.note)}`}>
        Note
        <textarea
          rows={2}
          maxLength={500}
          value={shown.note}
          onChange={(event) => edit({ note: event.target.value })}
        />
      </label>
    </fieldset>
  );
}
