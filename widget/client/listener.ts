/** One listener: its action list, its options, its load race, and what it makes of each notification. */
import { ListenError } from '../../adapters/errors.js';
import { compareChangedDates } from '../../adapters/notification.js';
import type { WireNotification } from '../../adapters/protocol.js';
import { normaliseActions, type Registries } from './actions.js';
import type { Core } from './core.js';
import { DEV } from './dev.js';
import { createWatchers, guard } from './guard.js';
import { judgeLoad, type Knowledge, type LoadStart } from './load-race.js';
import { readDate } from './object.js';
import { createScheduler, type Scheduler } from './refresh.js';
import type { Subscription } from './subscriptions.js';
import type { Actions, Listening, ListenOptions, RefreshReason, Trace } from './types.js';

/** No notification makes a refresh wait longer, in milliseconds: the most that a server sets. */
const MAX_SPREAD = 60_000;

export interface Listener {
  readonly face: Listening;
  /** When its data began to load. */
  readonly start: LoadStart;
  /** Attached, but its channel has not been ready since: the load race is still to be decided. */
  pending: boolean;
  receive(notification: WireNotification): void;
  resync(spread: number): void;
  /** The channel is covered: decides the load race and settles `ready`. */
  settle(sub: Subscription): void;
  /** Decides the load race by some news alone. */
  race(knowledge: Knowledge): void;
  reject(error: ListenError): void;
  shown(): void;
  /** Whether there is an error has changed. */
  tell(): void;
}

/**
 * Holds the accessor of what the application gets: V8 keeps an object literal with an accessor as a dictionary, which takes
 * half a kB more for each listener (measured in Node: 3.8 kB in all, 3.3 so).
 */
class Face {
  declare readonly refusal: () => ListenError | undefined;

  get error(): ListenError | undefined {
    return this.refusal();
  }
}

/**
 * @param refusal why it may not be listened to, at the moment
 * @param left it was closed
 */
export function createListener(
  core: Core,
  object: Listening['object'],
  actions: Actions,
  given: ListenOptions,
  refusal: () => ListenError | undefined,
  left: () => void,
): Listener {
  const { world, report } = core;
  let options = given;
  let closed = false;
  let settleReady: (error?: ListenError) => void;
  const ready = new Promise<void>((resolve, reject) => {
    settleReady = (error) => (error ? reject(error) : resolve());
  });
  // Whoever does not wait for it must not see an unhandled rejection.
  ready.catch(() => {});
  const [onChange, tell, tellNobody] = createWatchers(report);

  const registries = (): Registries => [options.callbacks, core.options.callbacks];
  const trace = (fate: Trace['fate'], reason: RefreshReason, notification?: WireNotification): void => {
    guard(report, () => core.options.onTrace?.({ object, reason, fate, ...(notification && { notification }) }));
  };
  let rows = normaliseActions(actions, registries());
  let made: Scheduler | undefined;
  /** Made when there may be something to run. Most listeners of a page never get there: a third of their memory. */
  const scheduler = (): Scheduler => {
    made ??= createScheduler(
      {
        world,
        object,
        visible: core.visible,
        turn: () => core.turn ?? world.random(),
        registries,
        trace,
        failed(error, refresh) {
          const { onError } = options;
          if (!onError || !guard(report, () => onError(error, refresh))) report(error);
        },
      },
      rows,
    );
    return made;
  };

  /** Whether the page holds data that is not older. Only strictly growing dates of one kind, and only this object's own. */
  function holds({ changedDate: theirs, unordered, id }: WireNotification): boolean {
    try {
      const { changedDate } = options;
      const mine = typeof changedDate === 'function' ? changedDate() : changedDate;
      const comparable = mine !== undefined && theirs !== undefined && !unordered && id !== undefined;
      return comparable && (compareChangedDates(theirs, readDate(mine)) ?? 1) <= 0;
    } catch (error) {
      report(error);
      return false;
    }
  }

  const isMe = (hash: string): boolean => [core.me?.user, core.me?.session].includes(hash);

  const listener: Listener = {
    pending: true,
    start: [startOf(core, given), given.position],
    face: Object.assign(new Face(), {
      object,
      ready,
      refusal: () => (closed ? undefined : refusal()),
      onChange,
      setActions(next: Actions) {
        rows = normaliseActions(next, registries());
        made?.setRows(rows);
      },
      setOptions(next: ListenOptions) {
        options = next;
      },
      close() {
        if (closed) return;
        closed = true;
        made?.stop();
        tellNobody();
        // An error takes its stack along: most of what leaving would cost.
        if (listener.pending) settleReady(new ListenError('closed', DEV ? 'closed before it was ready' : ''));
        left();
      },
    }),
    receive(notification) {
      const { action, cause, except, spread = 0 } = notification;
      const told = (fate: Trace['fate']) => trace(fate, 'notification', notification);
      const notify = (wait: number) => scheduler().notify(notification, wait);
      if (closed) return;
      const own = core.requests.get(cause as string);
      if (except?.some(isMe) || !scheduler().concerns(action)) told('filtered');
      else if (holds(notification)) told('held');
      else if (own && options.ignoreOwn)
        void own().then((succeeded) => {
          if (closed) return;
          if (succeeded) told('own');
          else notify(0);
        });
      else notify(own ? 0 : Math.max(0, Math.min(spread, MAX_SPREAD)));
    },
    resync: (spread) => scheduler().resync(spread),
    settle({ latest, known, since }) {
      listener.pending = false;
      listener.race([[...latest.values()], known, since]);
      settleReady();
      tell();
    },
    race(knowledge) {
      const judge = (on: readonly string[], start = listener.start) => judgeLoad(knowledge, start, on, holds);
      if (made || rows.some((row) => judge(row.on)[0])) scheduler().race(judge);
    },
    reject(error) {
      if (error.code === 'refused') trace('refused', 'load');
      settleReady(error);
      tell();
    },
    shown: () => made?.shown(),
    tell,
  };
  return listener;
}

/** When the data of a new listener began to load: `loadedAt`, else the start of the page load. */
function startOf({ world, started }: Core, { loadedAt }: ListenOptions): number {
  const ago = world.now() - Number(loadedAt);
  // None, not a time, or one of the future (another clock): in doubt, the page load.
  return ago >= 0 ? world.clock() - ago : started;
}
