/** One listener: its action list, its options, its load race, and what it makes of each notification. */
import type { World } from '../../adapters/contract.js';
import { ListenError } from '../../adapters/errors.js';
import { compareChangedDates } from '../../adapters/notification.js';
import type { WireNotification } from '../../adapters/protocol.js';
import { normaliseActions, type Registries } from './actions.js';
import { judgeLoad, type Knowledge, type LoadStart } from './load-race.js';
import { readDate } from './object.js';
import type { OwnChanges } from './own.js';
import { createScheduler } from './refresh.js';
import type { Actions, ListenClientOptions, Listening, ListenOptions, RefreshReason, Trace } from './types.js';
import { type Mark, mark } from './world.js';

/** What all listeners of a client share. */
export interface ListenerHost {
  readonly world: World;
  readonly options: ListenClientOptions;
  readonly own: OwnChanges;
  readonly started: Mark;
  visible(): boolean;
  /** Whether one of these hashes is this page's user or login session. */
  isMe(hashes: readonly string[]): boolean;
  /** The client's `onError`; never throws. */
  report(error: unknown): void;
}

export interface Listener {
  readonly face: Listening;
  /** The data's position, while it is what decides the load race. */
  readonly start: LoadStart;
  /** Attached, but its channel has not been ready since: the load race is still to be decided. */
  pending: boolean;
  receive(notification: WireNotification): void;
  resync(spread: number): void;
  /** The channel is covered: decides the load race and settles `ready`. */
  settle(knowledge: Knowledge): void;
  /** Decides the load race by some news alone. */
  race(knowledge: Knowledge): void;
  reject(error: ListenError): void;
  shown(): void;
}

export function createListener(
  host: ListenerHost,
  object: Listening['object'],
  actions: Actions,
  given: ListenOptions,
  refusal: () => ListenError | undefined,
  left: () => void,
): Listener {
  const { world } = host;
  let options = given;
  let closed = false;
  let resolveReady: () => void;
  let rejectReady: (error: ListenError) => void;
  const ready = new Promise<void>((resolve, reject) => {
    resolveReady = resolve;
    rejectReady = reject;
  });
  const watchers = new Set<() => void>();
  const tell = () => {
    for (const watcher of [...watchers]) {
      try {
        watcher();
      } catch (error) {
        host.report(error);
      }
    }
  };
  // Whoever does not wait for it must not see an unhandled rejection.
  ready.catch(() => {});

  const registries = (): Registries => [options.callbacks, host.options.callbacks];
  const trace = (fate: Trace['fate'], reason: RefreshReason, notification?: WireNotification): void => {
    try {
      host.options.onTrace?.({ object, reason, fate, ...(notification && { notification }) });
    } catch (error) {
      host.report(error);
    }
  };
  const scheduler = createScheduler(
    {
      world,
      object,
      visible: host.visible,
      registries,
      trace,
      failed(error, refresh) {
        try {
          if (options.onError) return options.onError(error, refresh);
        } catch (second) {
          host.report(second);
        }
        host.report(error);
      },
    },
    normaliseActions(actions, registries()),
  );

  /** Whether the page holds data that is not older. Only strictly growing dates of one kind, and only this object's own. */
  function holds({ changedDate: theirs, unordered, id }: WireNotification): boolean {
    try {
      const { changedDate } = options;
      const mine = typeof changedDate === 'function' ? changedDate() : changedDate;
      if (mine === undefined || theirs === undefined || unordered || id === undefined) return false;
      return (compareChangedDates(theirs, readDate(mine)) ?? 1) <= 0;
    } catch (error) {
      host.report(error);
      return false;
    }
  }

  const listener: Listener = {
    pending: true,
    start: startOf(host, given),
    face: {
      object,
      ready,
      get error() {
        return closed ? undefined : refusal();
      },
      onChange(changed) {
        const watcher = () => changed();
        watchers.add(watcher);
        return () => watchers.delete(watcher);
      },
      setActions: (next) => scheduler.setRows(normaliseActions(next, registries())),
      setOptions(next) {
        options = next;
      },
      close() {
        if (closed) return;
        closed = true;
        scheduler.stop();
        watchers.clear();
        rejectReady(new ListenError('closed', 'closed before it was ready'));
        left();
      },
    },
    receive(notification) {
      const { action, cause, except, spread = 0 } = notification;
      const told = (fate: Trace['fate']) => trace(fate, 'notification', notification);
      if (closed) return;
      if ((except && host.isMe(except)) || !scheduler.concerns(action)) return told('filtered');
      if (holds(notification)) return told('held');
      const own = host.own.settled(cause);
      if (!own || !options.ignoreOwn) return scheduler.notify(notification, own ? 0 : spread);
      own.then((succeeded) => {
        if (closed) return;
        if (succeeded) told('own');
        else scheduler.notify(notification, 0);
      });
    },
    resync: (spread) => scheduler.resync(spread),
    settle(knowledge) {
      listener.pending = false;
      listener.race(knowledge);
      resolveReady();
      tell();
    },
    race(knowledge) {
      scheduler.race((on, start) => judgeLoad(world, knowledge, start ?? listener.start, on, holds));
    },
    reject(error) {
      if (error.code === 'refused') trace('refused', 'load');
      rejectReady(error);
      tell();
    },
    shown: scheduler.shown,
  };
  return listener;
}

/** When the data of a new listener began to load: `position`, else `loadedAt`, else the start of the page load. */
function startOf({ world, started }: ListenerHost, { position, loadedAt }: ListenOptions): LoadStart {
  const ago = loadedAt === undefined ? Number.NaN : world.now() - Number(loadedAt);
  // Not a time, or one of the future (another clock): in doubt, the page load.
  return { position, mark: ago >= 0 ? mark(world, ago) : started };
}
