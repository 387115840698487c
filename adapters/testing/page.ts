/** A page with a memory: what the cases of the adapter's contract look at. */

import type { Actions, ListenClient, Listening, ListenOptions, Refresh, Trace } from '../../widget/client/types.js';
import type { ObjectRef } from '../contract.js';
import { checkObject, sameObject } from '../notification.js';
import type { HouseHooks } from './adapter-house.js';
import { inTime } from './case.js';
import { createPageClock } from './page-clock.js';

/** The action of markers that no listener may count. */
export const MARK = 'contract-mark';

/** How much faster the clock of a page runs while it is in a hurry, and how often it is moved on, in milliseconds. */
const HURRY = 10;
const HURRY_EVERY = 25;

/** How often `until` looks at what lies outside of the page, in milliseconds. */
const LOOK_EVERY = 20;

export interface Page {
  /** How long `until` waits, in milliseconds. */
  readonly patience: number;
  readonly client: ListenClient;
  /** What became of every notification at every listener, in order. */
  readonly traces: readonly Trace[];
  /** What reached `onError`. */
  readonly errors: readonly unknown[];
  /** Listens, and notes every run in `runs`. */
  listen(object: ObjectRef, options?: ListenOptions, actions?: (note: (refresh: Refresh) => void) => Actions): Watched;
  /** Resolves once `holds` holds. It is asked after every run, trace, error and change of the status, and now and then. */
  until(holds: () => boolean, what: string): Promise<void>;
  /** The same, while the clock of the page runs faster: for what waits out a backoff. Only with a provider. */
  soon(holds: () => boolean, what: string): Promise<void>;
  /** Its wall clock, in milliseconds. */
  now(): number;
  /** So many milliseconds pass for the page, at once. Only with a provider. */
  pass(ms: number): void;
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

/**
 * Gives a client that `make` makes a memory.
 *
 * @param wrong by how many milliseconds its wall clock is before the server's; none: it has everybody's clock
 */
export function openPage(make: (hooks: HouseHooks) => ListenClient, patience: number, wrong?: number): Page {
  const traces: Trace[] = [];
  const errors: unknown[] = [];
  const looks = new Set<() => void>();
  const watched = new Set<Watched>();
  const look = (): void => {
    for (const each of [...looks]) each();
  };
  const { world, pass } = createPageClock(wrong);
  const client = make({
    // Pages of one suite live in one page of a browser; each is a browser of its own.
    tabs: false,
    ...(wrong !== undefined && { world }),
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

  async function until(holds: () => boolean, what: string): Promise<void> {
    let stop: () => void = () => {};
    const held = new Promise<void>((resolve) => {
      const each = (): void => {
        if (holds()) resolve();
      };
      looks.add(each);
      const timer = setInterval(each, LOOK_EVERY);
      stop = () => {
        looks.delete(each);
        clearInterval(timer);
      };
      each();
    });
    return inTime(held, what, patience).finally(stop);
  }

  return {
    patience,
    client,
    traces,
    errors,
    watched,
    until,
    async soon(holds, what) {
      const timer = setInterval(() => pass(HURRY_EVERY * (HURRY - 1)), HURRY_EVERY);
      await until(holds, what).finally(() => clearInterval(timer));
    },
    pass,
    now: world.now,
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
            ({ object: its, reason, fate, notification }) =>
              sameObject(its, own) && reason === 'notification' && notification?.action !== MARK && RECEIVED.has(fate),
          ).length,
      };
      watched.add(it);
      return it;
    },
  };
}

/** The first word about a notification at a listener; the others tell how it went on. */
const RECEIVED: ReadonlySet<Trace['fate']> = new Set(['queued', 'merged', 'own', 'held', 'filtered']);
