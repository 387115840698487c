// #region page
import { createListenClient, type Listening } from 'notify-listen/client';

/** What `/order-page.js` calls: `listenToOrder(document, location.origin)`. */
export function listenToOrder(page: Document, origin: string): Listening {
  const { id, position } = JSON.parse(page.querySelector('script[type="application/json"]')?.textContent ?? '{}');
  const client = createListenClient({ url: `${origin}/notify-listen` });
  const refetch = async (): Promise<void> => {
    const answer = await fetch(`${origin}/api/orders/${id}`);
    if (!answer.ok) throw new Error(`orders: ${answer.status}`); // a refresh that failed is made again
    const output = page.querySelector('output');
    if (output) output.textContent = (await answer.json()).state;
  };
  return client.listen({ entity: 'Order', id }, { '*': refetch }, { position });
}
// #endregion
