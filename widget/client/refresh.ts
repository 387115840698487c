/**
 * The refresh scheduler of one listener: window, single flight with one trailing run, spread, hidden pages, retries.
 * Its states and races are in docs/client.md.
 */
import type { ObjectRef } from '../../adapters/contract.js';
import type { WireNotification } from '../../adapters/protocol.js';
import { groupRows, type Names, type Row, resolve, selects } from './actions.js';
import type { Core } from './core.js';
import { guard } from './guard.js';
import type { LoadStart, Verdict } from './load-race.js';
import type { CallbackRegistry, Refresh, RefreshReason, Trace } from './types.js';

/** How long what follows a run is collected before the next one, in milliseconds; what a row may ask for at most. */
export const WINDOW = 100;
export const MAX_WAIT = 1_000;
/**
 * How long a run may take before it counts as failed, in milliseconds. A read on a connection that has died without a word
 * never ends, and nothing would run behind it.
 */
export const RUN_LIMIT = 30_000;
/** Bounds of the wait before a failed run is tried again, in milliseconds. */
const RETRY_MIN = 1_000;
const RETRY_MAX = 30_000;

export interface SchedulerHost extends Names {
  readonly core: Pick<Core, 'world' | 'visible' | 'turn'>;
  readonly object: ObjectRef;
  /** Gets what a row threw and its `onError` did not take. */
  failed(error: unknown, refresh: Refresh): void;
  trace(fate: Trace['fate'], reason: RefreshReason, notification?: WireNotification): void;
}

export interface Scheduler {
  /** Whether a row listens to the action. */
  concerns(action: string): boolean;
  notify(notification: WireNotification, spread: number): void;
  /** Every distinct run once. */
  resync(spread: number): void;
  /** Every distinct run whose data is judged to be older than the news; `start` is none before its first run. */
  race(judge: (on: readonly string[], start: LoadStart | undefined) => Verdict): void;
  /** The page can be seen: what was deferred runs. */
  shown(): void;
  setRows(rows: readonly Row[]): void;
  stop(): void;
}

/** What waits to be run: never more than one for each place. */
interface Pending {
  readonly reason: RefreshReason;
  readonly notification: WireNotification | undefined;
  readonly merged: number;
  /** The rows that were selected. */
  readonly rows: ReadonlySet<number>;
}

/** The rows that hold the same functions: one flight. */
interface Place {
  group: readonly number[];
  pending?: Pending | undefined;
  timer?: unknown;
  /** When the pending run is due, and the end of the window that the last run opened, on the monotonic clock. */
  due: number;
  windowEnd: number;
  running?: boolean;
  deferred?: boolean;
  failures: number;
  /** The start of the last run that succeeded or will be tried again. */
  start: LoadStart | undefined;
}

export function createScheduler(host: SchedulerHost, initial: readonly Row[]): Scheduler {
  const { core } = host;
  const { world } = core;
  /** Rows with `once` that had their notification, by index. */
  const spent = new Set<number>();
  let rows: readonly Row[] = [];
  let places: Place[] = [];
  let stopped = false;

  /** Rows are matched by index, so that a re-render with new functions keeps what waits and what runs. */
  function setRows(next: readonly Row[]): void {
    const former = places;
    rows = next;
    const reused = new Set<Place>();
    places = groupRows(rows).map((group) => {
      const heirs = former.filter((place) => group.some((index) => place.group.includes(index)));
      const kept = heirs.find((place) => !reused.has(place) && place.group.includes(group[0] as number));
      const place: Place = kept ?? { group, due: 0, windowEnd: 0, failures: 0, start: heirs[0]?.start };
      reused.add(place);
      for (const heir of heirs) if (heir !== place && heir.pending) want(place, heir.pending, heir.due);
      place.group = group;
      return place;
    });
    for (const place of former) if (!reused.has(place)) world.clearTimeout(place.timer);
  }

  /** Marks a place as dirty; only an earlier time moves the timer. Tells whether a run waited already. */
  function want(place: Place, news: Pending, due: number): boolean {
    const { pending } = place;
    place.pending = pending ? merge(pending, news) : news;
    if (!pending || place.due > due) {
      place.due = due;
      if (!place.running) arm(place);
    }
    return !!pending;
  }

  function arm(place: Place): void {
    world.clearTimeout(place.timer);
    place.timer = world.setTimeout(() => fire(place), Math.max(0, place.due - world.monotonic()));
  }

  function fire(place: Place): void {
    if (stopped || place.running || !place.pending) return;
    place.deferred = !core.visible();
    if (place.deferred) host.trace('deferred', place.pending.reason, place.pending.notification);
    else void run(place, place.pending);
  }

  async function run(place: Place, pending: Pending): Promise<void> {
    const { rows: selected, reason, notification, merged } = pending;
    const refresh: Refresh = { reason, object: host.object, merged, ...(notification && { notification }) };
    const former = place.start;
    const began = world.monotonic();
    const eligible = place.group.filter((at) => selected.has(at) && !spent.has(at));
    place.pending = undefined;
    let row = rows[eligible[0] as number];
    if (!row) return;
    let functions = row.otherwise;
    let ok = true;
    let timer: unknown;
    place.running = true;
    const limit = new Promise<never>((_, late) => {
      timer = world.setTimeout(() => late(new Error('the run is not over')), RUN_LIMIT);
    });
    try {
      for (const at of eligible) {
        const candidate = rows[at] as Row;
        const { when } = candidate;
        if (when !== undefined && !call(when)(refresh)) continue;
        row = candidate;
        functions = row.run;
        // Counts from the start: a run that fails is tried again until one succeeds, so nothing hides behind it.
        place.start = [world.clock()];
        break;
      }
      for (const each of functions) {
        if (stopped) break;
        await Promise.race([call(each)(refresh), limit]);
      }
      if (reason === 'notification' && functions === row.run)
        for (const at of eligible) if (rows[at]?.once) spent.add(at);
    } catch (error) {
      ok = false;
      complain(row, error, refresh);
    }
    world.clearTimeout(timer);
    place.running = false;
    if (stopped) return;
    host.trace(ok ? 'ran' : 'failed', reason, notification);
    const owed = !ok && row.retry !== false;
    // A re-render regrouped the rows meanwhile: what failed is owed by the places that have them now.
    if (!places.includes(place)) {
      for (const heir of places)
        if (owed && heir.group.some((at) => selected.has(at))) want(heir, pending, retryAt(heir));
      return;
    }
    place.windowEnd = began + Math.min(row.window ?? WINDOW, MAX_WAIT);
    if (owed) {
      place.pending = place.pending ? merge(pending, place.pending) : pending;
      place.due = retryAt(place);
    } else if (ok) {
      place.failures = 0;
      place.due = Math.max(place.due, place.windowEnd);
    } else place.start = former;
    if (place.pending) arm(place);
  }

  const call = <F extends (...args: never[]) => unknown>(run: F | string) => resolve(run, host);

  function retryAt(place: Place): number {
    const ceiling = Math.min(RETRY_MAX, 2 * RETRY_MIN * 2 ** place.failures++);
    return world.monotonic() + RETRY_MIN + world.random() * (ceiling - RETRY_MIN);
  }

  /** The row's own `onError`, else the listener's and the client's; an `onError` that throws goes there too. */
  function complain({ onError }: Row, error: unknown, refresh: Refresh): void {
    const failed = (what: unknown) => host.failed(what, refresh);
    if (onError === undefined) failed(error);
    else if (typeof onError === 'function') guard(failed, () => onError(error, refresh));
    // A registered callback gets the refresh first, as when it runs.
    else guard(failed, () => (call(onError) as CallbackRegistry[string])(refresh, error));
  }

  /**
   * Makes the rows that `pick` takes due, at once or after the window that their last run opened, and this page's part of
   * `spread` on top: one wait for all rows, so that they keep their order.
   */
  function offer(
    reason: RefreshReason,
    notification: WireNotification | undefined,
    spread: number,
    pick: (row: Row) => boolean,
    among: readonly Place[] = places,
  ): void {
    if (stopped) return;
    let fate: Trace['fate'] = 'filtered';
    const wait = spread && spread * (core.turn ?? world.random());
    const merged = reason === 'notification' ? 1 : 0;
    for (const place of among) {
      const selected = place.group.filter((at) => !spent.has(at) && pick(rows[at] as Row));
      if (!selected.length) continue;
      const due = Math.max(world.monotonic(), place.windowEnd) + wait;
      const waits = want(place, { reason, notification, merged, rows: new Set(selected) }, due);
      fate = waits && fate !== ('queued' as Trace['fate']) ? 'merged' : 'queued';
    }
    host.trace(fate, reason, notification);
  }

  setRows(initial);
  return {
    concerns: (action) => rows.some((row, at) => !spent.has(at) && selects(row.on, action)),
    notify(notification, spread) {
      offer('notification', notification, spread, (row) => selects(row.on, notification.action));
    },
    resync(spread) {
      offer('resync', undefined, spread, (row) => row.resync !== false);
    },
    race(judge) {
      for (const place of places) {
        const stale = place.group
          .filter((at) => !spent.has(at))
          .map((at) => rows[at] as Row)
          .filter((row) => row.resync !== false && judge(row.on, place.start)[0]);
        if (!stale.length) continue;
        const on = stale.flatMap((row) => row.on);
        offer('load', judge(on, place.start)[1], 0, (row) => stale.includes(row), [place]);
      }
    },
    shown() {
      for (const place of [...places]) if (place.deferred) fire(place);
    },
    setRows,
    stop() {
      stopped = true;
      for (const place of places) world.clearTimeout(place.timer);
    },
  };
}

/** What covers both: a real notification outweighs the rest, and the newer one is told. */
function merge(older: Pending, newer: Pending): Pending {
  return {
    reason: older.reason === 'notification' ? older.reason : newer.reason,
    notification: newer.notification ?? older.notification,
    merged: older.merged + newer.merged,
    rows: new Set([...older.rows, ...newer.rows]),
  };
}
