// #region sample
import { Listen } from 'notify-listen/react';
import type { ReactElement } from 'react';
import useSWR, { useSWRConfig } from 'swr';
import { getOrder } from './order.js';

export function OrderPage({ id }: { id: number }): ReactElement {
  const key = `/orders/${id}`;
  const { cache } = useSWRConfig();
  const { data, mutate } = useSWR(key, () => getOrder(id));

  const refetch = async () => {
    await mutate();
    const failed = cache.get(key)?.error; // mutate() resolves even when the request failed
    if (failed) throw failed;
  };

  return (
    <>
      <Listen object={{ entity: 'Order', id }} actions={[{ on: '*', run: refetch }]} />
      <p>{data ? data.state : 'loading'}</p>
    </>
  );
}
// #endregion
