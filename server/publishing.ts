/** What `notify`, `revoke` and `transaction` do, for a notifier that also serves pages and for a publisher that does not. */
import type { Log, LogEntry, NotificationEntry, RevokeEntry } from '../adapters/contract.js';
import { CAUSE_HEADER } from '../adapters/protocol.js';
import { createTransactions, currentCause, currentSession, type Held } from './context.js';
import { type EntryOptions, mergeHeld, notificationEntry, revokeEntry } from './entries.js';
import { createOutbox } from './outbox.js';
import { causeOf, type Secrets } from './secrets.js';
import type { ChangedObject, LogLine, NotifyOptions, NotifyResult, Publisher, Recipients } from './types.js';

export interface PublishingOptions {
  readonly log: Log;
  readonly secrets: Secrets;
  /** How long the log may take before the answer is `{ accepted: false }`, in milliseconds. */
  readonly timeout: number;
  /** How long what was not accepted is worth keeping, in milliseconds. */
  readonly life: number;
  /** The login session of a request, where the application names one. */
  readonly session?: (request: unknown) => Promise<string | undefined>;
  /** Acts on a revocation at once, whatever becomes of the log. */
  readonly onRevoke?: (entry: RevokeEntry) => void;
  readonly onError: (error: unknown) => void;
  readonly logger: (line: LogLine) => void;
}

export interface Publishing extends Pick<Publisher, 'notify' | 'revoke' | 'transaction'> {
  /** Entries that wait for the log. */
  waiting(): number;
  /** Entries that were given to the log so far. */
  notified(): number;
  /** Tries to bring out what waits, for at most `ms`, and stops. */
  close(ms: number): Promise<void>;
}

export function createPublishing(options: PublishingOptions): Publishing {
  const { log, secrets, timeout, life, session, onRevoke = () => {}, onError, logger } = options;
  const transactions = createTransactions();
  const outbox = createOutbox({
    log,
    timeout,
    life,
    monotonic: () => performance.now(),
    random: Math.random,
    onAnswer: sent,
    onError,
  });
  let notified = 0;

  function send(entries: readonly LogEntry[], given: SendOptions): Promise<NotifyResult> {
    if (given.transaction !== undefined) return sendWithin(given.transaction, entries);
    const held = transactions.getStore();
    if (held && !held.over && given.immediate !== true) {
      held.entries.push(...entries);
      return Promise.resolve({ accepted: true, held: true });
    }
    for (const entry of entries) if (entry.kind === 'revoke') onRevoke(entry);
    return outbox.append(entries);
  }

  function sent(entries: number, accepted: boolean): void {
    notified += entries;
    logger({ level: 'debug', message: 'notified', entries, accepted });
  }

  /** Rejects as the database does: what was written is undone with the transaction, and so must the caller undo the rest. */
  async function sendWithin(transaction: unknown, entries: readonly LogEntry[]): Promise<NotifyResult> {
    if (!log.appendWithin) {
      throw new TypeError(
        `transaction: the log "${log.name}" is not in the application's database; use NOTIFY_LISTEN_LOG=postgres://…, or wrap the transaction: notifier.transaction(() => …)`,
      );
    }
    await log.appendWithin(transaction, entries);
    notified += entries.length;
    logger({ level: 'debug', message: 'notified within a transaction', entries: entries.length });
    return { accepted: true, held: true };
  }

  /** @throws TypeError when nobody knows who called: what is for one page must not go to all. */
  async function callerOf(request: unknown): Promise<Recipients> {
    const id = await (request === undefined ? currentSession() : session?.(request));
    if (id === undefined) {
      throw new TypeError(
        'to: "caller" needs the login session of a request: name the option "session" and use rememberRequest(notifier), or run the job in withSession(id, …)',
      );
    }
    return { sessions: [id] };
  }

  function entriesOf(
    action: string,
    object: ChangedObject | readonly ChangedObject[],
    options: EntryOptions,
    cause: string | undefined = causeIn(options),
  ): NotificationEntry[] {
    if (!Array.isArray(object)) return [notificationEntry(action, object as ChangedObject, options, secrets, cause)];
    return object.map((one) => notificationEntry(action, one, options, secrets, cause));
  }

  return {
    // Without `async`: the promises of one call would cost as much as its entry.
    notify(action, object, given = {}) {
      try {
        // Without a wait where there is nothing to ask: what a transaction does not await is held by it all the same.
        if (given.to !== 'caller') return send(entriesOf(action, object, given as EntryOptions), given);
        const cause = causeIn(given);
        return callerOf(given.request).then((to) => send(entriesOf(action, object, { ...given, to }, cause), given));
      } catch (error) {
        return Promise.reject(error);
      }
    },
    async revoke(user, object, given = {}) {
      // Not before the commit: asked again until then, `canListen` would see the right as it was, and grant it anew.
      return send([revokeEntry(user, object, secrets)], { transaction: given.transaction });
    },
    async transaction(fn) {
      const outer = transactions.getStore();
      const held: Held = { entries: [], over: false };
      try {
        const result = await transactions.run(held, async () => fn());
        held.over = true;
        if (outer && !outer.over) outer.entries.push(...held.entries);
        else await send(mergeHeld(held.entries), { immediate: true });
        return result;
      } finally {
        held.over = true;
      }
    },
    waiting: outbox.waiting,
    notified: () => notified,
    close: outbox.close,
  };
}

/** The mark of the page that the change came from. */
function causeIn({ request }: { readonly request?: unknown }): string | undefined {
  return request === undefined ? currentCause() : causeOf(headerOf(request, CAUSE_HEADER));
}

type SendOptions = Pick<NotifyOptions, 'transaction' | 'immediate'>;

/** A header of a request of Express, Node or the web standard. */
function headerOf(request: unknown, name: string): string | undefined {
  const headers = (request as { headers?: unknown } | null)?.headers;
  if (headers instanceof Headers) return headers.get(name) ?? undefined;
  const value = (headers as Record<string, unknown> | undefined)?.[name];
  return typeof value === 'string' ? value : undefined;
}
