/**
 * One term of office of the relay: from the moment at which this node took the lease until it gives it back or loses it.
 * It holds what waits; a later term begins anew from the checkpoint.
 */
import type { Lease, Logged, LogWindow } from '../../adapters/contract.js';
import { isNews, type Position } from '../../adapters/position.js';
import type { ProviderAdapter } from '../../adapters/provider.js';
import type { Audience } from '../audience.js';
import type { Later } from '../history.js';
import { createBacklog } from './backlog.js';
import { createCarrier } from './carrier.js';
import { createCheckpoint } from './checkpoint.js';
import {
  type Below,
  checkEverybody,
  checkOfUsers,
  type Item,
  inOrder,
  itemsOf,
  itemsOfKept,
  resyncItems,
} from './items.js';
import { createRevocations } from './revocations.js';

export interface TermOptions {
  readonly adapter: ProviderAdapter;
  readonly audience: Audience;
  readonly lease: Lease;
  /** The life of a grant, in milliseconds. */
  readonly life: number;
  readonly monotonic: () => number;
  readonly random: () => number;
  /** Whether the lease is still this node's; ends the term where it is not. */
  readonly mayPublish: () => boolean;
  readonly onOusted: () => void;
  /** Of the provider. */
  readonly onFault: (error: unknown) => void;
  /** Of the log's engine. */
  readonly onLogFault: (error: unknown) => void;
  readonly onImpossible: (item: Item, error: unknown) => void;
  readonly onAccepted: (items: number) => void;
  readonly onRecovered: (after: number) => void;
  readonly onOverflow: (items: number) => void;
}

export interface Term {
  readonly waiting: number;
  stuck(): number;
  /** The provider shows life. */
  hasten(): void;
  /**
   * Begins after `checkpoint`, with what the history has since then; `lost`: since then something may be missing, so that
   * everybody reads. Takes what is tailed from the same turn on.
   */
  begin(checkpoint: Below, later: Later | 'lost', top: Position): void;
  take(logged: Logged): void;
  /** The log is another one, or went on without this node: everybody reads. */
  lost(start: LogWindow): void;
  /** Tries once more what waits. */
  drain(): Promise<void>;
  /** Moves the checkpoint for the last time. */
  finish(): Promise<void>;
  end(): void;
}

export function createTerm(options: TermOptions): Term {
  const { lease, onOusted, onFault, onLogFault, onAccepted, onOverflow } = options;
  const backlog = createBacklog(onOverflow);
  let reached: Position | undefined;
  let told = false;
  let checkpoint: ReturnType<typeof createCheckpoint> | undefined;

  const revocations = createRevocations({
    ...options,
    onFailing: (users, position, below) => put(checkOfUsers(users, position, below)),
    onTold(users, position, below) {
      // In the turn in which it leaves there: the checkpoint waits on.
      put(checkOfUsers(users, position, below));
      told = true;
    },
  });
  const carrier = createCarrier({
    ...options,
    backlog,
    onLater: onFault,
    onSettled(accepted) {
      onAccepted(accepted);
      checkpoint?.soon();
    },
  });

  function put(items: readonly Item[]): void {
    for (const item of items) backlog.add(item);
    if (items.length > 0) carrier.wake();
  }

  function enter({ position, entry }: Logged, below: Below): void {
    if (entry.kind === 'revoke') revocations.add(entry, position, below);
    else if (entry.kind === 'resync') put(resyncItems(entry, position, below));
    else put(itemsOf(entry, position, below));
  }

  return {
    get waiting() {
      return backlog.size + revocations.size;
    },
    stuck: carrier.stuck,
    hasten: carrier.hasten,
    begin(value, later, top) {
      reached = top;
      checkpoint = createCheckpoint({
        lease,
        value,
        target: () => (reached === undefined ? null : revocations.completed(backlog.completed(reached))),
        onOusted,
        onFault: onLogFault,
      });
      if (later === 'lost') put([checkEverybody(top, null)]);
      else {
        // Merged by the history, as they would have been here: none may pass the checkpoint before all are accepted.
        put(
          [
            ...itemsOfKept(later.kept, value),
            ...later.marks.flatMap(({ entry, position }) =>
              entry.kind === 'resync' ? resyncItems(entry, position, value) : [],
            ),
          ].sort(inOrder),
        );
        for (const { entry, position } of later.marks)
          if (entry.kind === 'revoke') revocations.add(entry, position, value);
      }
      checkpoint.soon();
    },
    take(logged) {
      if (reached === undefined || !checkpoint) return;
      if (isNews(logged.position, reached)) {
        const below = reached;
        ({ position: reached } = logged);
        enter(logged, below);
      } else if (logged.entry.kind === 'revoke') {
        // Told again by a tail that began anew: perhaps it was never heard. The checkpoint may be past it already.
        enter(logged, checkpoint.value);
      }
      checkpoint.soon();
    },
    lost({ top }) {
      reached = top;
      backlog.replace(checkEverybody(top, null));
      carrier.wake();
    },
    async drain() {
      told = false;
      await Promise.all([carrier.drain(), revocations.drain()]);
      // A right that was told just now has left a message behind; what was refused just now is not asked about again.
      if (told) await carrier.drain();
    },
    finish: async () => checkpoint?.finish(),
    end() {
      carrier.end();
      revocations.end();
      checkpoint?.end();
    },
  };
}
