/** A handle on an engine that runs in this process: what the contract calls a `Log`, and what an application closes. */
import type { Lease, Log, LogCapabilities, LogEntry, LogWindow, Tail, TailSink } from '../../adapters/contract.js';
import type { Position } from '../../adapters/position.js';
import { inTime } from '../in-time.js';
import type { Follower } from './followers.js';

type Later<T> = T | Promise<T>;

/** A lease that was given, for as long as it is. */
export interface EngineClaim {
  readonly fence: number;
  renew(): Later<boolean>;
  release(): Later<void>;
  checkpoint(): Later<Position | undefined>;
  moveCheckpoint(position: Position): Later<boolean>;
}

export interface Engine {
  readonly window: () => LogWindow;
  readonly append: (entries: readonly LogEntry[]) => Later<readonly Position[]>;
  readonly follow: (sink: TailSink) => Follower;
  readonly claim: (name: string, ttlMs: number) => Later<EngineClaim | undefined>;
  /** Resolves when what is retained may be told. Without it, it may be at once. */
  readonly ready?: () => Promise<void>;
  /** Rejects when what this process appends is not all that there is. Without it, it always is. */
  readonly check?: () => Promise<void>;
}

export interface HandleOptions {
  readonly name: string;
  readonly capabilities: LogCapabilities;
  /** The engine's own, where it has nothing to wait for. */
  readonly appendNow?: (entries: readonly LogEntry[]) => readonly Position[];
  /** Ends the engine too, once this handle has ended. */
  readonly close?: () => Promise<void>;
}

interface AppendsNow {
  /** The `append` of the log that this stands for: what replaces that one must not be gone past. */
  readonly append: Log['append'];
  readonly now: (entries: readonly LogEntry[]) => readonly Position[];
}

/** Beside the logs, not in them: what wraps a log and has an `append` of its own must not be gone past either. */
const appendsNow = new WeakMap<Log, AppendsNow>();

/**
 * How this log appends without a promise: what is its `append` otherwise, and throws where that rejects. Nothing for a log
 * that has something to wait for. Promises would be a third of what a notification costs.
 */
export function appendNowOf(log: Log): AppendsNow['now'] | undefined {
  const known = appendsNow.get(log);
  return known?.append === log.append ? known?.now : undefined;
}

export function createHandle(engine: Engine, { name, capabilities, appendNow, close }: HandleOptions): Log {
  const followers = new Set<Follower>();
  let closing: Promise<void> | undefined;

  function assertOpen(): void {
    if (closing) throw new Error(`log: the ${name} log is closed`);
  }

  const log: Log = {
    name,
    capabilities,

    async append(entries) {
      assertOpen();
      return engine.append(entries);
    },

    async tail(sink): Promise<Tail> {
      assertOpen();
      if (engine.ready) {
        await engine.ready();
        assertOpen();
      }
      const follower = engine.follow(sink);
      followers.add(follower);
      await follower.loaded;
      assertOpen();
      const level = async (): Promise<Position> => {
        await engine.check?.();
        const { top } = engine.window();
        await follower.caughtUp();
        return top;
      };
      return {
        start: follower.start,
        // A sink is never more than a microtask behind, or the tail is closed, which rejects. Only an engine that looks
        // at something outside can be late.
        prove: (timeoutMs) => (engine.check ? inTime(level(), timeoutMs, `prove of the ${name} log`) : level()),
        async close() {
          followers.delete(follower);
          follower.stop();
        },
      };
    },

    async lease(leaseName, ttlMs): Promise<Lease | undefined> {
      assertOpen();
      const claim = await engine.claim(leaseName, ttlMs);
      if (!claim) return undefined;
      const whileOpen = async <T>(act: () => Later<T>): Promise<T> => {
        assertOpen();
        return act();
      };
      return {
        fence: claim.fence,
        renew: () => whileOpen(() => claim.renew()),
        release: () => whileOpen(() => claim.release()),
        checkpoint: () => whileOpen(() => claim.checkpoint()),
        moveCheckpoint: (position) => whileOpen(() => claim.moveCheckpoint(position)),
      };
    },

    close() {
      closing ??= (async () => {
        for (const follower of followers) follower.stop();
        followers.clear();
        await close?.();
      })();
      return closing;
    },
  };
  if (appendNow) {
    const now: AppendsNow['now'] = (entries) => {
      assertOpen();
      return appendNow(entries);
    };
    appendsNow.set(log, { append: log.append, now });
  }
  return log;
}
