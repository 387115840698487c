// #region sample
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Listen } from 'notify-listen/react';
import type { ReactElement } from 'react';
import { getOrder } from './order.js';

export function OrderPage({ id }: { id: number }): ReactElement {
  const queryKey = ['order', id];
  const queryClient = useQueryClient();
  const { data } = useQuery({ queryKey, queryFn: ({ signal }) => getOrder(id, signal) });

  const refetch = async () => {
    await queryClient.cancelQueries({ queryKey });
    await queryClient.invalidateQueries({ queryKey }, { throwOnError: true });
  };

  return (
    <>
      <Listen object={{ entity: 'Order', id }} actions={[{ on: '*', run: refetch }]} />
      <p>{data ? data.state : 'loading'}</p>
    </>
  );
}
// #endregion
