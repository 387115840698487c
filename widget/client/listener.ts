/** One listener: its action list, its options, its load race, and what it makes of each notification. */
import { ListenError } from '../../adapters/errors.js';
import { compareChangedDates } from '../../adapters/notification.js';
import type { WireNotification } from '../../adapters/protocol.js';
import { normaliseActions, type Registries, type Row } from './actions.js';
import type { Core } from './core.js';
import { DEV } from './dev.js';
import { guard } from './guard.js';
import { judgeLoad, type Knowledge, type LoadStart } from './load-race.js';
import { readDate } from './object.js';
import { createScheduler, type Scheduler, type SchedulerHost } from './refresh.js';
import type { Subscription } from './subscriptions.js';
import type { Actions, Listening, ListenOptions, Refresh, RefreshReason, Trace } from './types.js';

/** No notification makes a refresh wait longer, in milliseconds: the most that a server sets. */
const MAX_SPREAD = 60_000;
const NOBODY: readonly never[] = [];

/**
 * What the application gets, and what the client does with it. What the application calls is an accessor: it may be taken
 * off (`const { close } = listening`), and 1,000 listeners do not make functions that nobody calls. What only some of them
 * need is made when it is asked for. Closures, and all parts of each at once, took 1.6 times the time to mount a page of
 * 1,000, and 2.2 times the memory.
 */
export class Listener implements Listening, SchedulerHost {
  declare readonly core: Core;
  declare readonly sub: Subscription;
  declare options: ListenOptions;
  declare rows: readonly Row[];
  /** When its data began to load. */
  declare readonly start: LoadStart;
  /** Attached, but its channel has not been ready since: the load race is still to be decided. */
  declare pending: boolean;
  declare closed: boolean;
  /** How `ready` ends. */
  declare outcome?: ListenError | true;
  declare promise?: Promise<void>;
  /** Settles that promise when there is an outcome. */
  declare answer?: () => void;
  /** Mostly none, or one: a set of them would take a third of the listener's memory. */
  declare watchers: readonly (() => void)[];
  declare made?: Scheduler;

  constructor(core: Core, sub: Subscription, actions: Actions, options: ListenOptions) {
    this.core = core;
    this.sub = sub;
    this.options = options;
    this.rows = normaliseActions(actions, this);
    this.start = startOf(core, options);
    this.pending = true;
    this.closed = false;
    this.watchers = NOBODY;
  }

  get object(): Listening['object'] {
    return this.sub.object;
  }

  get error(): ListenError | undefined {
    return this.closed ? undefined : this.core.refusal(this.sub);
  }

  get ready(): Promise<void> {
    this.promise ??= new Promise((resolve, reject) => {
      this.answer = () => {
        // An error takes its stack along: most of what leaving would cost.
        const outcome =
          this.outcome ?? (this.closed && new ListenError('closed', DEV ? 'closed before it was ready' : ''));
        if (outcome === true) resolve();
        else if (outcome) reject(outcome);
      };
      this.answer();
    });
    // Whoever does not wait for it must not see an unhandled rejection.
    this.promise.catch(() => {});
    return this.promise;
  }

  get onChange(): Listening['onChange'] {
    return (changed) => {
      const watcher = () => changed();
      this.watchers = this.watchers.concat(watcher);
      return () => {
        this.watchers = this.watchers.filter((each) => each !== watcher);
      };
    };
  }

  get setActions(): Listening['setActions'] {
    return (next) => {
      this.rows = normaliseActions(next, this);
      this.made?.setRows(this.rows);
    };
  }

  get setOptions(): Listening['setOptions'] {
    return (next) => {
      this.options = next;
    };
  }

  get close(): Listening['close'] {
    return () => {
      if (this.closed) return;
      this.closed = true;
      this.pending = false;
      this.made?.stop();
      this.watchers = NOBODY;
      this.answer?.();
      this.core.left(this);
    };
  }

  registries(): Registries {
    return [this.options.callbacks, this.core.options.callbacks];
  }

  trace(fate: Trace['fate'], reason: RefreshReason, notification?: WireNotification): void {
    const { report, options } = this.core;
    guard(report, () =>
      options.onTrace?.({ object: this.object, reason, fate, ...(notification && { notification }) }),
    );
  }

  /** Gets what a row threw and its `onError` did not take. */
  failed(error: unknown, refresh: Refresh): void {
    const { report } = this.core;
    const { onError } = this.options;
    if (!onError || !guard(report, () => onError(error, refresh))) report(error);
  }
}

export function receive(listener: Listener, notification: WireNotification): void {
  const { core, options } = listener;
  const { action, cause, except, spread = 0 } = notification;
  const told = (fate: Trace['fate']) => listener.trace(fate, 'notification', notification);
  const notify = (wait: number) => scheduler(listener).notify(notification, wait);
  const isMe = (hash: string): boolean => [core.me?.user, core.me?.session].includes(hash);
  if (listener.closed) return;
  const own = core.requests.get(cause as string);
  if (except?.some(isMe) || !scheduler(listener).concerns(action)) told('filtered');
  else if (holds(listener, notification)) told('held');
  else if (own && options.ignoreOwn)
    void own().then((succeeded) => {
      if (listener.closed) return;
      if (succeeded) told('own');
      else notify(0);
    });
  else notify(own ? 0 : Math.max(0, Math.min(spread, MAX_SPREAD)));
}

/** The channel is covered: decides the load race and settles `ready`. */
export function settle(listener: Listener): void {
  const { latest, known, since } = listener.sub;
  listener.pending = false;
  race(listener, [[...latest.values()], known, since]);
  end(listener, true);
}

/** Decides the load race by some news alone. */
export function race(listener: Listener, knowledge: Knowledge): void {
  const judge = (on: readonly string[], start = listener.start) =>
    judgeLoad(knowledge, start, on, (notification) => holds(listener, notification));
  if (listener.made || listener.rows.some((row) => judge(row.on)[0])) scheduler(listener).race(judge);
}

export function reject(listener: Listener, error: ListenError): void {
  if (error.code === 'refused') listener.trace('refused', 'load');
  end(listener, error);
}

function end(listener: Listener, outcome: ListenError | true): void {
  listener.outcome ??= outcome;
  listener.answer?.();
  tell(listener);
}

/** Whether there is an error has changed. */
export function tell(listener: Listener): void {
  for (const watcher of listener.watchers) guard(listener.core.report, watcher);
}

/** Made when there may be something to run. Most listeners of a page never get there: a third of their memory. */
export function scheduler(listener: Listener): Scheduler {
  listener.made ??= createScheduler(listener, listener.rows);
  return listener.made;
}

/** Whether the page holds data that is not older. Only strictly growing dates of one kind, and only this object's own. */
function holds(listener: Listener, { changedDate: theirs, unordered, id }: WireNotification): boolean {
  try {
    const { changedDate } = listener.options;
    const mine = typeof changedDate === 'function' ? changedDate() : changedDate;
    const comparable = mine !== undefined && theirs !== undefined && !unordered && id !== undefined;
    return comparable && (compareChangedDates(theirs, readDate(mine)) ?? 1) <= 0;
  } catch (error) {
    listener.core.report(error);
    return false;
  }
}

/** When the data of a new listener began to load: `loadedAt`, else the start of the page load, which most listeners share. */
function startOf({ world, started }: Core, { loadedAt, position }: ListenOptions): LoadStart {
  if (loadedAt === undefined && !position) return started;
  const ago = world.now() - Number(loadedAt);
  // None, not a time, or one of the future (another clock): in doubt, the page load.
  return [ago >= 0 ? world.clock() - ago : started[0], position];
}
