/** What a call of `notify` belongs to, carried along asynchronous calls: the request in whose handling it is made, and the transaction that holds it. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { LogEntry } from '../adapters/contract.js';

/** Entries that wait for the end of a transaction. */
export interface Held {
  readonly entries: LogEntry[];
  /** The transaction ended: what is notified now, by work that it did not await, leaves at once. */
  over: boolean;
}

interface Caller {
  /** The mark of the request. */
  readonly cause: string | undefined;
  /** The login session that made it, asked for when it is needed. */
  readonly session: () => Promise<string | undefined>;
}

const callers = new AsyncLocalStorage<Caller>();

const nobody = async (): Promise<undefined> => undefined;

/** Runs `next` as the handling of a request that carries this mark, made by this login session. */
export function withRequest<T>(cause: string | undefined, session: Caller['session'] = nobody, next: () => T): T {
  return callers.run({ cause, session }, next);
}

/** The mark of the request that is being handled. */
export function currentCause(): string | undefined {
  return callers.getStore()?.cause;
}

/**
 * The login session whose request, or whose job, is being handled: what a job is given along, so that it can tell that
 * session later. Resolves with nothing outside, and where the option `session` names none. Needs
 * `rememberRequest(notifier)`, or {@link withSession}.
 */
export async function currentSession(): Promise<string | undefined> {
  return callers.getStore()?.session();
}

/**
 * Runs a job on behalf of the login session that started it: `notify(…, { to: 'caller' })` in it, and in all that it leads
 * to, goes to that session only.
 *
 * @param session as {@link currentSession} gave it when the job was started; nothing: the job has no caller
 * @returns what `job` returns
 */
export function withSession<T>(session: string | undefined, job: () => T): T {
  return withRequest(undefined, async () => session, job);
}

/** Makes the store of one notifier: transactions of two notifiers do not mix. */
export function createTransactions(): AsyncLocalStorage<Held> {
  return new AsyncLocalStorage<Held>();
}
