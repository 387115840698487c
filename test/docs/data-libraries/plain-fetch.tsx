// #region sample
import { Listen } from 'notify-listen/react';
import { type ReactElement, useCallback, useEffect, useRef, useState } from 'react';
import { getOrder, type Order } from './order.js';

export function OrderPage({ id }: { id: number }): ReactElement {
  const [loadedAt] = useState(() => Date.now()); // before the load begins
  const [order, setOrder] = useState<Order>();
  const newest = useRef(0);

  const load = useCallback(async () => {
    const round = ++newest.current;
    const order = await getOrder(id);
    if (round === newest.current) setOrder(order); // an answer that was overtaken is older news
  }, [id]);

  useEffect(() => {
    load().catch(console.error);
  }, [load]);

  return (
    <>
      <Listen object={{ entity: 'Order', id }} loadedAt={loadedAt} actions={[{ on: '*', run: load }]} />
      <p>{order ? order.state : 'loading'}</p>
    </>
  );
}
// #endregion
