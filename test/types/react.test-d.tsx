/** What the types of `notify-listen/react` allow, and, after each `@ts-expect-error`, what must not compile. */
// biome-ignore-all lint/correctness/useJsxKeyInIterable: these elements are never rendered
import { createListenClient, defineEntities } from 'notify-listen/client';
import { Listen, ListenObject, ListenProvider, type ListenState, useListen } from 'notify-listen/react';
import type { ReactNode } from 'react';

const { Order, Report } = defineEntities({ Order: ['updated', 'shipped'], Report: ['done'] });
const reload = (): void => {};

export function declared(loaded: boolean): ReactNode[] {
  return [
    <Listen object={Order(42)} actions={[{ on: 'shipped', run: reload }]} />,
    <Listen object={Order(42)} actions={[{ on: ['shipped', 'updated', '*'], run: [reload, 'toast'] }]} />,
    <Listen object={Order.all} actions={{ shipped: reload, '*': reload }} />,
    <Listen object={loaded && Order(42)} actions={{ updated: reload }} />,
    <Listen object={loaded ? Order(42) : undefined} actions={{ updated: reload }} />,

    // @ts-expect-error no action of an order
    <Listen object={Order(42)} actions={[{ on: 'done', run: reload }]} />,
    // @ts-expect-error one of the two is none
    <Listen object={Order(42)} actions={[{ on: ['shipped', 'done'], run: reload }]} />,
    // @ts-expect-error no action of an order, in the short form
    <Listen object={Order(42)} actions={{ done: reload }} />,
    // @ts-expect-error no action of an order, which is not loaded yet
    <Listen object={loaded && Order(42)} actions={{ done: reload }} />,
    // @ts-expect-error no action of a report
    <Listen object={Report.all} actions={{ shipped: reload }} />,
  ];
}

export function useDeclared(): ListenState[] {
  return [
    useListen(Order(42), { shipped: reload }, { system: 'billing', loadedAt: new Date() }),
    useListen(null, { shipped: reload }),
    // @ts-expect-error no action of an order
    useListen(Order(42), { done: reload }),
    // @ts-expect-error an option that there is not
    useListen(Order(42), { shipped: reload }, { loadedat: 1 }),
  ];
}

export function plain(value: { entity: string; id: number; note: string }, onError?: () => void): ReactNode[] {
  return [
    <Listen object={value} actions={{ anything: reload }} />,
    <Listen actions={[{ on: 'anything', run: 'named' }]} />,
    // Options that are not known yet are given as they are, also under exactOptionalPropertyTypes.
    <Listen object={value} actions={{ '*': reload }} onError={onError} loadedAt={undefined} system={undefined} />,
    <Listen object={value} actions={{ '*': reload }}>
      {({ ready, error }) => (ready ? 'live' : error?.code)}
    </Listen>,
    <ListenObject value={undefined}>
      <Listen actions={{ '*': reload }} />
    </ListenObject>,

    // @ts-expect-error an object has an entity
    <Listen object={{ id: 42 }} actions={{ '*': reload }} />,
    // @ts-expect-error a listener has actions
    <Listen object={value} />,
    // @ts-expect-error a row has something to run
    <Listen object={value} actions={[{ on: 'shipped' }]} />,
    // @ts-expect-error a callback is a function
    <Listen object={value} actions={{ shipped: 42 }} />,
  ];
}

export function providers(onError?: () => void): ReactNode[] {
  const client = createListenClient();
  return [
    <ListenProvider />,
    <ListenProvider url="/notify-listen" name="billing" onError={onError} headers={async () => ({ a: 'b' })} />,
    <ListenProvider client={client} name="billing" />,
    // @ts-expect-error a ready client has a url of its own
    <ListenProvider client={client} url="/notify-listen" />,
    // @ts-expect-error a ready client has an onError of its own
    <ListenProvider client={client} onError={reload} />,
  ];
}

export function withoutReact(): void {
  const client = createListenClient();
  client.listen(Order(42), { shipped: reload });
  client.listen({ entity: 'Order', id: 42 }, { anything: reload });
  // @ts-expect-error no action of an order
  client.listen(Order(42), { done: reload });
}
