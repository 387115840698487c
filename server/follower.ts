/**
 * Follows the log for one node: loads the window into the history, passes on what comes after it, and proves again and
 * again that it hears everything. Where it cannot, it says so, drops its link to the engine and takes a new one.
 */
import type { Log, Logged, LogWindow, Tail, TailSink } from '../adapters/contract.js';
import { comparePositions, makePosition, type Position } from '../adapters/position.js';
import { createHistory, type History } from './history.js';

/** How long a reader whose position is ahead of this node waits for the node to catch up, in milliseconds. */
export const LAG_PATIENCE = 2_000;
/** Wait between two attempts to reach the engine, in milliseconds. */
const RETRY = 1_000;

export interface FollowerOptions {
  readonly log: Log;
  readonly retention: number;
  readonly cap: number;
  /** Milliseconds between proofs. */
  readonly heartbeat: number;
  readonly monotonic: () => number;
  readonly onError: (error: unknown) => void;
  /** An entry that was tailed, just after the history took it, in the same turn. */
  readonly deliver: (logged: Logged) => void;
  /** Everything may have been missed. */
  readonly lost: (start: LogWindow) => void;
  /** Every `heartbeat`: the position that is proved to be reached, or nothing. */
  readonly beat: (position: Position | undefined) => void;
}

export interface Follower {
  readonly history: History;
  /** The window was loaded and the last proof is not older than two heartbeats. */
  healthy(): boolean;
  /** Whether the window is loaded. */
  loaded(): boolean;
  /** Resolves when the window is loaded: at once, except at the start. */
  started(): Promise<void>;
  /**
   * Waits until this node has reached `position`, at most {@link LAG_PATIENCE}. `reached`: it has. `beyond`: the engine
   * itself has not, so the position is of entries that it lost. `late`: not in time.
   */
  reach(position: Position): Promise<'reached' | 'beyond' | 'late'>;
  close(): Promise<void>;
}

export function createFollower(options: FollowerOptions): Follower {
  const { log, retention, cap, heartbeat, monotonic, onError, deliver, lost, beat } = options;
  // No position exists before the window is loaded; nothing is served from this one.
  const nowhere = makePosition('starting', 0);
  const history = createHistory({ top: nowhere, floor: nowhere }, { retention, cap, now: monotonic });
  let tail: Tail | undefined;
  let provedAt: number | undefined;
  let closed = false;
  let announce: () => void = () => {};
  const loaded = new Promise<void>((resolve) => {
    announce = resolve;
  });
  let everLoaded = false;

  /** The link that counts: what an earlier one still says after it was given up is not heard. */
  let link: object | undefined;

  function take(batch: readonly Logged[]): void {
    for (const logged of batch) {
      // What the history has is not news: a tail that begins anew may tell it again. A right may not end unheard.
      const known = (comparePositions(logged.position, history.top) ?? 1) <= 0;
      if (known && logged.entry.kind !== 'revoke') continue;
      apply(logged, true);
    }
  }

  /** An entry that cannot be worked with must not cost the ones behind it: it may concern everybody. */
  function apply(logged: Logged, live: boolean): void {
    try {
      history.apply(logged, live);
      if (live) deliver(logged);
    } catch (error) {
      onError(error);
      const instead: Logged = { position: logged.position, entry: { kind: 'resync' } };
      history.apply(instead, live);
      if (live) deliver(instead);
    }
  }

  /** Opens a tail. What it loads is put where the history ends, or replaces it where the two do not meet. */
  async function follow(): Promise<void> {
    const mine = {};
    link = mine;
    let window: Logged[] | undefined = [];
    let restart: LogWindow | undefined;
    const sink: TailSink = {
      entries(batch) {
        if (link !== mine) return;
        if (window) window.push(...batch);
        else take(batch);
      },
      reset(start) {
        if (link !== mine) return;
        if (window) {
          // In the moment in which it began.
          window = [];
          restart = start;
          return;
        }
        // Whether the entries of its window follow is the engine's affair: nothing up to its top is counted on.
        history.reset({ floor: start.top, top: start.top });
        lost(start);
      },
      failed: onError,
    };
    // An engine that stumbles need not tell the whole window again to every node.
    const opened = await log.tail(sink, everLoaded ? history.top : undefined);
    const entries = window;
    window = undefined;
    if (closed) return opened.close();
    const start = restart ?? opened.start;
    if (
      everLoaded &&
      (comparePositions(history.top, start.floor) ?? -1) >= 0 &&
      (comparePositions(start.top, history.top) ?? -1) >= 0
    ) {
      take(entries);
    } else {
      history.reset(start);
      for (const logged of entries) apply(logged, false);
      history.start(start);
      if (everLoaded) {
        lost(start);
        // Streams live on: a right that ended where this node heard nothing ends on them, too.
        for (const logged of entries) if (logged.entry.kind === 'revoke') deliver(logged);
      }
      everLoaded = true;
    }
    tail = opened;
    provedAt = monotonic();
    announce();
  }

  let wake: () => void = () => {};
  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      timer.unref();
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Keeps trying until a tail is open. */
  async function connect(): Promise<void> {
    while (!closed && !tail) {
      try {
        await follow();
      } catch (error) {
        onError(error);
        await pause(RETRY);
      }
    }
  }

  let busy = false;
  async function prove(): Promise<void> {
    history.expire();
    // A proof that hangs must not be joined by another one each heartbeat; until it ends the node is degraded.
    if (busy) return beat(undefined);
    busy = true;
    try {
      if (!tail) throw new Error('The log cannot be reached.');
      await tail.prove(Math.min(heartbeat, LAG_PATIENCE * 2));
      provedAt = monotonic();
      if (!closed) beat(history.top);
    } catch (error) {
      if (closed) return;
      onError(error);
      beat(undefined);
      const dead = tail;
      tail = undefined;
      if (dead) {
        dead.close().catch(onError);
        void connect();
      }
    } finally {
      busy = false;
    }
  }

  void connect();
  const timer = setInterval(() => void prove(), heartbeat);
  timer.unref();

  return {
    history,
    healthy: () =>
      !closed && everLoaded && tail !== undefined && provedAt !== undefined && monotonic() - provedAt <= heartbeat * 2,
    loaded: () => everLoaded,
    started: () => loaded,
    async reach(position) {
      if ((comparePositions(history.top, position) ?? 1) >= 0) return 'reached';
      try {
        if (!tail) return 'late';
        const top = await tail.prove(LAG_PATIENCE);
        return (comparePositions(top, position) ?? 1) >= 0 ? 'reached' : 'beyond';
      } catch {
        return 'late';
      }
    },
    async close() {
      closed = true;
      clearInterval(timer);
      wake();
      await tail?.close();
    },
  };
}
