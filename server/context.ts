/** What a call of `notify` belongs to, carried along asynchronous calls: the request in whose handling it is made, and the transaction that holds it. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { LogEntry } from '../adapters/contract.js';

/** Entries that wait for the end of a transaction. */
export interface Held {
  readonly entries: LogEntry[];
  /** The transaction ended: what is notified now, by work that it did not await, leaves at once. */
  over: boolean;
}

const requests = new AsyncLocalStorage<{ readonly cause: string | undefined }>();

/** Runs `next` as the handling of a request that carries this mark. */
export function withCause<T>(cause: string | undefined, next: () => T): T {
  return requests.run({ cause }, next);
}

/** The mark of the request that is being handled. */
export function currentCause(): string | undefined {
  return requests.getStore()?.cause;
}

/** Makes the store of one notifier: transactions of two notifiers do not mix. */
export function createTransactions(): AsyncLocalStorage<Held> {
  return new AsyncLocalStorage<Held>();
}
