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
  if (trace.fate === 'ran' || trace.fate === 'failed') settle(listener, trace);
  else if (!joins(listener, trace)) add(listener, trace);
}

/** Several listeners of one object are told of the same notification: that is one line. */
function joins(listener: string, { notification, fate }: Trace): boolean {
  if (!notification) return false;
  const same = told.get().find((one) => one.listener === listener && one.position === notification.position);
  if (!same) return false;
  if (!same.fates.includes(fate)) replace(same, [...same.fates, fate]);
  return true;
}

/** The end of a run is the end of all that waited for it. */
function settle(listener: string, trace: Trace): void {
  const waiting = told.get().filter((one) => one.listener === listener && WAITING.includes(one.fates.at(-1) ?? 'ran'));
  for (const one of waiting) replace(one, [...one.fates, trace.fate]);
  if (waiting.length === 0 && trace.reason !== 'notification') add(listener, trace);
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
