// #region view
'use client';

import type { Position } from 'notify-listen/client';
import { Listen } from 'notify-listen/react';
import { type ReactElement, useState } from 'react';

interface Order {
  readonly id: string;
  readonly state: string;
}

interface OrderViewProps {
  readonly order: Order;
  readonly position?: Position | undefined;
  /** The application's own API, as the browser reaches it. */
  readonly getOrder: (id: string) => Promise<Order>;
}

export function OrderView({ order, position, getOrder }: OrderViewProps): ReactElement {
  const [shown, setShown] = useState(order);
  return (
    <>
      <Listen
        object={{ entity: 'Order', id: order.id }}
        position={position}
        actions={[{ on: '*', run: async () => setShown(await getOrder(order.id)) }]}
      />
      <p>
        State: <output>{shown.state}</output>
      </p>
    </>
  );
}
// #endregion
