/** Remembers the last notifications and what became of each, from the client's `onTrace`. */
import type { Trace } from 'notify-listen/client';
import { createStore, type Store } from './store.js';

export interface Told {
  readonly key: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly position: string | undefined;
  /** Whose listener it reached: `Order 1042`, or `Order list`. */
  readonly listener: string;
  readonly what: string;
  /** What became of it, in order: `queued`, then `ran`. */
  readonly fates: readonly Trace['fate'][];
}

/** A strip, not an archive. */
const KEPT = 30;
const WAITING: readonly Trace['fate'][] = ['queued', 'merged', 'deferred'];

export const told: Store<readonly Told[]> = createStore<readonly Told[]>([]);
let lastKey = 0;

export function onTrace(trace: Trace): void {
  const listener = nameOf(trace);
  if (trace.fate === 'ran' || trace.fate === 'failed') settle(listener, trace.fate);
  else if (!joins(listener, trace)) add(listener, trace);
}

/** Several listeners of one object are told of the same thing: that is one line. */
function joins(listener: string, trace: Trace): boolean {
  const { notification, fate } = trace;
  const line = told
    .get()
    .find((one) => one.listener === listener && (!notification || one.position === notification.position));
  // What comes without a notification has no position: it is the same while it has not run.
  if (!line || (!notification && (line.what !== describe(trace) || line.fates.includes('ran')))) return false;
  if (!line.fates.includes(fate)) replace(line, [...line.fates, fate]);
  return true;
}

/** The end of a run is the end of all that waited for it. */
function settle(listener: string, fate: Trace['fate']): void {
  for (const one of told.get()) {
    const waits = one.fates.some((earlier) => WAITING.includes(earlier)) && !one.fates.includes('ran');
    if (one.listener === listener && waits && one.fates.at(-1) !== fate) replace(one, [...one.fates, fate]);
  }
}

function add(listener: string, trace: Trace): void {
  lastKey += 1;
  const line: Told = {
    key: lastKey,
    at: Date.now(),
    position: trace.notification?.position,
    listener,
    what: describe(trace),
    fates: [trace.fate],
  };
  told.set([line, ...told.get()].slice(0, KEPT));
}

function replace(old: Told, fates: readonly Trace['fate'][]): void {
  told.set(told.get().map((one) => (one === old ? { ...one, fates } : one)));
}

function nameOf({ object }: Trace): string {
  return object.id === undefined ? `${object.entity} list` : `${object.entity} ${object.id}`;
}

function describe({ notification, reason, fate }: Trace): string {
  if (fate === 'refused') return 'may not listen';
  if (notification)
    return notification.notifier ? `${notification.action} by ${notification.notifier}` : notification.action;
  return reason === 'load' ? 'changed while loading' : 'may have missed something';
}
