/**
 * The refresh scheduler of one listener: window, single flight with one trailing run, spread, hidden pages, retries.
 * Its states and races are in docs/client.md.
 */
import type { ObjectRef, World } from '../../adapters/contract.js';
import type { WireNotification } from '../../adapters/protocol.js';
import { groupRows, type Registries, type Row, resolve, selects } from './actions.js';
import type { LoadStart, RaceVerdict } from './load-race.js';
import type { Refresh, RefreshReason, Trace } from './types.js';
import { mark } from './world.js';

/** How long what follows a run is collected before the next one, in milliseconds; what a row may ask for at most. */
export const WINDOW = 100;
export const MAX_WAIT = 1_000;
/** Bounds of the wait before a failed run is tried again, in milliseconds. */
const RETRY_MIN = 1_000;
const RETRY_MAX = 30_000;

export interface SchedulerHost {
  readonly world: World;
  readonly object: ObjectRef;
  visible(): boolean;
  registries(): Registries;
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
  race(judge: (on: readonly string[], start: LoadStart | undefined) => RaceVerdict): void;
  /** The page can be seen: what was deferred runs. */
  shown(): void;
  setRows(rows: readonly Row[]): void;
  stop(): void;
}

/** What waits to be run: never more than one for each place. */
interface Pending {
  reason: RefreshReason;
  notification: WireNotification | undefined;
  merged: number;
  /** The rows that were selected. */
  rows: ReadonlySet<number>;
}

/** The rows that hold the same functions: one flight. */
interface Place {
  group: readonly number[];
  pending: Pending | undefined;
  timer: unknown;
  /** When the pending run is due, and the end of the window that the last run opened, on the monotonic clock. */
  due: number;
  windowEnd: number;
  running: boolean;
  deferred: boolean;
  failures: number;
  /** The start of the last run that succeeded or will be tried again. */
  start: LoadStart | undefined;
}

export function createScheduler(host: SchedulerHost, initial: readonly Row[]): Scheduler {
  const { world } = host;
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
      const place: Place = kept ?? {
        group,
        pending: undefined,
        timer: undefined,
        due: 0,
        windowEnd: 0,
        running: false,
        deferred: false,
        failures: 0,
        start: heirs[0]?.start,
      };
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
    if (pending && place.due <= due) return true;
    place.due = due;
    if (!place.running) arm(place);
    return pending !== undefined;
  }

  function arm(place: Place): void {
    world.clearTimeout(place.timer);
    place.timer = world.setTimeout(() => fire(place), Math.max(0, place.due - world.monotonic()));
  }

  function fire(place: Place): void {
    if (stopped || place.running || !place.pending) return;
    place.deferred = !host.visible();
    if (place.deferred) host.trace('deferred', place.pending.reason, place.pending.notification);
    else void run(place, place.pending);
  }

  async function run(place: Place, pending: Pending): Promise<void> {
    const { rows: selected, ...told } = pending;
    const { reason, notification, merged } = told;
    const refresh: Refresh = { reason, object: host.object, merged, ...(notification && { notification }) };
    const former = place.start;
    const began = world.monotonic();
    const real = reason === 'notification';
    const index = place.group.find((at) => selected.has(at) && !spent.has(at));
    place.pending = undefined;
    if (index === undefined) return;
    let row = rows[index] as Row;
    let ok = true;
    place.running = true;
    try {
      let functions = row.otherwise;
      for (const at of place.group) {
        const candidate = rows[at] as Row;
        if (!selected.has(at) || spent.has(at)) continue;
        const { when } = candidate;
        if (when !== undefined && !resolve(when, host.registries())(refresh)) continue;
        row = candidate;
        functions = row.run;
        // Counts from the start: a run that fails is tried again until one succeeds, so nothing hides behind it.
        place.start = { mark: mark(world) };
        break;
      }
      for (const each of functions) {
        if (stopped) return;
        await resolve(each, host.registries())(refresh);
      }
      if (real && functions === row.run)
        for (const at of place.group) if (rows[at]?.once && selected.has(at)) spent.add(at);
    } catch (error) {
      ok = false;
      complain(row, error, refresh);
    }
    place.running = false;
    if (stopped) return;
    host.trace(ok ? 'ran' : 'failed', reason, notification);
    // A re-render regrouped the rows meanwhile: what failed is owed by the places that have them now.
    if (!places.includes(place)) {
      for (const heir of places)
        if (!ok && row.retry !== false && heir.group.some((at) => selected.has(at))) want(heir, pending, retryAt(heir));
      return;
    }
    place.windowEnd = began + Math.min(row.window ?? WINDOW, MAX_WAIT);
    const { pending: trailing } = place;
    if (ok) {
      place.failures = 0;
      if (trailing) place.due = Math.max(place.due, place.windowEnd);
    } else if (row.retry === false) {
      place.start = former;
    } else {
      place.pending = trailing ? merge(pending, trailing) : pending;
      place.due = retryAt(place);
    }
    if (place.pending) arm(place);
  }

  function retryAt(place: Place): number {
    const ceiling = Math.min(RETRY_MAX, 2 * RETRY_MIN * 2 ** place.failures++);
    return world.monotonic() + RETRY_MIN + world.random() * (ceiling - RETRY_MIN);
  }

  /** The row's own `onError`, else the listener's and the client's; an `onError` that throws goes there too. */
  function complain({ onError }: Row, error: unknown, refresh: Refresh): void {
    try {
      // A registered callback gets the refresh first, as when it runs.
      if (onError === undefined) host.failed(error, refresh);
      else if (typeof onError === 'function') onError(error, refresh);
      else (resolve(onError, host.registries()) as (refresh: Refresh, error: unknown) => void)(refresh, error);
    } catch (second) {
      host.failed(second, refresh);
    }
  }

  /** When a run may start: at once, or after the window that the last one opened. */
  function dueOf(place: Place): number {
    return Math.max(world.monotonic(), place.windowEnd);
  }

  function renewable(place: Place): number[] {
    return place.group.filter((at) => rows[at]?.resync !== false && !spent.has(at));
  }

  setRows(initial);
  return {
    concerns: (action) => rows.some((row, at) => !spent.has(at) && selects(row.on, action)),
    notify(notification, spread) {
      if (stopped) return;
      let queued = false;
      const wait = world.random() * spread;
      for (const place of places) {
        const selected = place.group.filter(
          (at) => !spent.has(at) && selects((rows[at] as Row).on, notification.action),
        );
        if (selected.length === 0) continue;
        const news: Pending = { reason: 'notification', notification, merged: 1, rows: new Set(selected) };
        if (!want(place, news, dueOf(place) + wait)) queued = true;
      }
      host.trace(queued ? 'queued' : 'merged', 'notification', notification);
    },
    resync(spread) {
      if (stopped) return;
      // One wait for all rows, so that they keep their order.
      const wait = world.random() * spread;
      let fate: Trace['fate'] = 'filtered';
      for (const place of places) {
        const selected = renewable(place);
        if (selected.length === 0) continue;
        const news: Pending = { reason: 'resync', notification: undefined, merged: 0, rows: new Set(selected) };
        const waited = want(place, news, dueOf(place) + wait);
        fate = waited && (fate as Trace['fate']) !== 'queued' ? 'merged' : 'queued';
      }
      host.trace(fate, 'resync');
    },
    race(judge) {
      if (stopped) return;
      for (const place of places) {
        const selected = renewable(place).filter((at) => judge((rows[at] as Row).on, place.start).refresh);
        if (selected.length === 0) continue;
        const { notification } = judge(
          selected.flatMap((at) => (rows[at] as Row).on),
          place.start,
        );
        const news: Pending = { reason: 'load', notification, merged: 0, rows: new Set(selected) };
        host.trace(want(place, news, dueOf(place)) ? 'merged' : 'queued', 'load', notification);
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
  const reason = [older.reason, newer.reason].includes('notification') ? 'notification' : newer.reason;
  return {
    reason,
    notification: newer.notification ?? older.notification,
    merged: older.merged + newer.merged,
    rows: new Set([...older.rows, ...newer.rows]),
  };
}
