/** A page with a memory: what the cases of the adapter's contract look at. */

import type { Actions, ListenClient, Listening, ListenOptions, Refresh, Trace } from '../../widget/client/types.js';
import type { ObjectRef } from '../contract.js';
import { checkObject, sameObject } from '../notification.js';
import { inTime } from './case.js';

export interface Page {
  readonly client: ListenClient;
  /** What became of every notification at every listener, in order. */
  readonly traces: readonly Trace[];
  /** What reached `onError`. */
  readonly errors: readonly unknown[];
  /** Listens, and notes every run in `runs`. */
  listen(object: ObjectRef, options?: ListenOptions, actions?: (note: (refresh: Refresh) => void) => Actions): Watched;
  /** Resolves once `holds` holds. It is asked after every run, trace, error and change of the status. */
  until(holds: () => boolean, what: string): Promise<void>;
  /** The listeners of this page that were not closed by {@link Watched.close}, in order. */
  readonly watched: ReadonlySet<Watched>;
}

/** A listener with a memory. */
export interface Watched {
  readonly listening: Listening;
  readonly runs: readonly Refresh[];
  /** How many notifications reached the listeners of its object, run or not. */
  received(): number;
  close(): void;
}

/** Gives a client that `make` makes a memory. */
export function openPage(
  make: (hooks: { onTrace: (trace: Trace) => void; onError: (error: unknown) => void }) => ListenClient,
  patience: number,
): Page {
  const traces: Trace[] = [];
  const errors: unknown[] = [];
  const looks = new Set<() => void>();
  const watched = new Set<Watched>();
  const look = (): void => {
    for (const each of [...looks]) each();
  };
  const client = make({
    onTrace(trace) {
      traces.push(trace);
      look();
    },
    onError(error) {
      errors.push(error);
      look();
    },
  });
  client.onStatus(look);

  return {
    client,
    traces,
    errors,
    watched,
    listen(object, options, actions = (note) => ({ '*': note })) {
      const runs: Refresh[] = [];
      const listening = client.listen(
        object,
        actions((refresh) => {
          runs.push(refresh);
          look();
        }),
        options,
      );
      const own = checkObject(object);
      const it: Watched = {
        listening,
        runs,
        close() {
          watched.delete(it);
          listening.close();
        },
        received: () =>
          traces.filter(
            (trace) => sameObject(trace.object, own) && trace.reason === 'notification' && RECEIVED.has(trace.fate),
          ).length,
      };
      watched.add(it);
      return it;
    },
    async until(holds, what) {
      let stop: () => void = () => {};
      const held = new Promise<void>((resolve) => {
        const each = (): void => {
          if (holds()) resolve();
        };
        looks.add(each);
        stop = () => looks.delete(each);
        each();
      });
      return inTime(held, what, patience).finally(stop);
    },
  };
}

/** The first word about a notification at a listener; the others tell how it went on. */
const RECEIVED: ReadonlySet<Trace['fate']> = new Set(['queued', 'merged', 'own', 'held', 'filtered']);
