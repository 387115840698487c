/** What a browser loads in browser.test.ts: a page that shows the value of order 1, with the shipped client. */
import { createListenClient, type ListenStatus } from '../../widget/client/index.js';

export interface Shown {
  readonly value: number | undefined;
  readonly status: ListenStatus;
  /** How the page's streams came: `h2`, `http/1.1`. */
  readonly protocols: readonly string[];
}

let value: number | undefined;
const client = createListenClient({ headers: { 'x-user': 'ann' } });

async function read(): Promise<void> {
  const response = await fetch('/values/1', { signal: AbortSignal.timeout(5_000) });
  if (!response.ok) throw new Error(`values: ${response.status}`);
  value = ((await response.json()) as { value: number }).value;
}

client.listen({ entity: 'Order', id: 1 }, { '*': read });
void read();

export function shown(): Shown {
  const entries = performance.getEntriesByType('resource') as PerformanceResourceTiming[];
  const protocols = [...new Set(entries.map(({ nextHopProtocol }) => nextHopProtocol).filter(Boolean))];
  return { value, status: client.status(), protocols };
}
