// #region sample
import { configureStore } from '@reduxjs/toolkit';
import { createApi, fetchBaseQuery } from '@reduxjs/toolkit/query/react';
import { Listen } from 'notify-listen/react';
import { type ReactElement, type ReactNode, useState } from 'react';
import { Provider, useDispatch } from 'react-redux';
import type { Order } from './order.js';

const api = createApi({
  baseQuery: fetchBaseQuery({ baseUrl: '/api' }),
  endpoints: (build) => ({ getOrder: build.query<Order, number>({ query: (id) => `/orders/${id}` }) }),
});

const createStore = () =>
  configureStore({ reducer: { api: api.reducer }, middleware: (defaults) => defaults().concat(api.middleware) });

export function Store({ children }: { children: ReactNode }): ReactElement {
  const [store] = useState(createStore);
  return <Provider store={store}>{children}</Provider>;
}

export function OrderPage({ id }: { id: number }): ReactElement {
  const dispatch = useDispatch<ReturnType<typeof createStore>['dispatch']>();
  const { data } = api.useGetOrderQuery(id);

  const refetch = async () => {
    await dispatch(api.util.getRunningQueryThunk('getOrder', id)); // may have read before the change: let it end
    await dispatch(api.endpoints.getOrder.initiate(id, { forceRefetch: true, subscribe: false })).unwrap();
  };

  return (
    <>
      <Listen object={{ entity: 'Order', id }} actions={[{ on: '*', run: refetch }]} />
      <p>{data ? data.state : 'loading'}</p>
    </>
  );
}
// #endregion
