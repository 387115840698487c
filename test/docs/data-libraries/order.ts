/** What the samples of docs/data-libraries.md load. */
export interface Order {
  readonly id: number;
  readonly state: string;
}

export async function getOrder(id: number, signal?: AbortSignal): Promise<Order> {
  const answer = await fetch(`/api/orders/${id}`, { ...(signal && { signal }) });
  if (!answer.ok) throw new Error(`order ${id}: ${answer.status}`);
  return (await answer.json()) as Order;
}
