/**
 * The engine of the file log: the retained window in memory, as that of the memory log, and a file that knows all of it
 * before anybody else does. An epoch ends only between two runs: when what is found at the start cannot be proved to be
 * all that was acknowledged.
 */
import { dirname, resolve } from 'node:path';
import type { LogEntry, LogWindow, TailSink } from '../../../adapters/contract.js';
import { makePosition, type Position } from '../../../adapters/position.js';
import { inTime } from '../../in-time.js';
import type { LogLine } from '../../types.js';
import { createFollowers, type Follower } from '../followers.js';
import type { EngineClaim } from '../handle.js';
import { createLeases } from '../leases.js';
import { createWindow, newEpoch, type Stored } from '../window.js';
import type { Disk } from './disk.js';
import { createJournal } from './journal.js';
import { type Found, loadNow } from './load.js';
import { BEAT, type Lock, takeLock } from './lock.js';
import { fateOf, type Owner, thisProcess } from './owner.js';
import { createWriter } from './writer.js';

/** How long the disk may take to bring out what waits at the end, in milliseconds. */
const CLOSE_PATIENCE = 2_000;

export interface FileEngineOptions {
  readonly path: string;
  /** Milliseconds. */
  readonly retention: number;
  readonly cap: number;
  /** Gets what the operator should know. Never throws. */
  readonly logger: (line: LogLine) => void;
  readonly disk: Disk;
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
  /** Milliseconds since 1970. Only asked for how long nobody ran. */
  readonly wall: () => number;
  /** Calls again and again, until what it returns is called. Keeps no process alive. */
  readonly repeat: (run: () => void, ms: number) => () => void;
  readonly owner?: Owner;
  readonly fateOf?: typeof fateOf;
  /** A file below this size, in bytes, is not replaced. Default 1 MiB. */
  readonly smallest?: number;
}

export interface FileEngine {
  readonly window: () => LogWindow;
  readonly append: (entries: readonly LogEntry[]) => Promise<readonly Position[]>;
  readonly follow: (sink: TailSink) => Follower;
  readonly claim: (name: string, ttlMs: number) => Promise<EngineClaim | undefined>;
  readonly ready: () => Promise<void>;
  readonly check: () => Promise<void>;
  /** Brings what waits to the disk, and lets the next process have the file. */
  readonly close: () => Promise<void>;
}

/** Opens the file and loads the window. @throws Error when it cannot be had: in use, no right to it, another's file. */
export function openFileEngine(options: FileEngineOptions): FileEngine {
  const { disk, retention, cap, logger, now, wall, owner = thisProcess(), smallest } = options;
  const asked = resolve(options.path);
  disk.makeFolderNow(dirname(asked));
  const path = disk.resolveNow(asked);
  const lock = takeLock({ disk, path, owner, fateOf: (of) => (options.fateOf ?? fateOf)(of, owner) });
  const { content, own, why } = load(disk, path, lock);
  if (why) {
    const message = 'the log in the file does not go on: a new epoch begins, and every page refreshes once';
    logger({ level: 'warn', message, path, why: `it ${why}` });
  }

  // The log's own time: for how long it has been running, all runs together. No clock of the machine makes it jump.
  const before = content ? Math.max(content.life, lock.seen?.life ?? 0) : 0;
  const opened = now();
  const life = (): number => before + now() - opened;
  const wholeLife = (): number => Math.floor(life());

  const epoch = content?.epoch ?? newEpoch();
  // Copies under one key must not be taken for one long after. While nobody ran, only the wall clock tells the time:
  // where it shows less than none, keys are forgotten, which costs a repetition at most.
  const away = wall() - (lock.seen?.wall ?? 0);
  const stored = content?.placed.map(({ offset, life: at, entry }): Stored => {
    const until = away >= 0 ? at + retention - away : Number.NEGATIVE_INFINITY;
    return { logged: { position: makePosition(epoch, offset), entry }, at, until };
  });
  const from = content && stored && { floor: content.floor, top: content.top, offset: content.offset, stored };
  const window = createWindow({ epoch, retention, cap, now: life, ...(from && { from }) });
  const leases = createLeases(life, content?.leases);
  const followers = createFollowers();
  const number = Math.max(content?.number ?? 0, lock.seen?.number ?? 0);
  const journal = createJournal({ disk, path, lock, number, own, smallest });
  const state = { path, epoch, window, leases, followers, journal, lock };
  const writer = createWriter({ ...state, now, life: wholeLife, wall, logger });

  const stop = options.repeat(() => {
    lock.beat(wholeLife(), wall()).catch(() => {});
    // What it finds is told; a disk that fails shows at the next append.
    writer.check().catch(() => {});
    writer.wake();
  }, BEAT);
  writer.wake();

  let closing: Promise<void> | undefined;
  return {
    window: window.bounds,
    append: writer.append,
    follow: (sink) => followers.follow(sink, window.bounds(), window.entries()),
    async claim(name, ttlMs) {
      const claim = leases.claim(name, ttlMs);
      if (!claim) return undefined;
      try {
        // Before its holder does anything: the next one, after a crash, must have a greater fence.
        await writer.note(name);
      } catch (error) {
        claim.release();
        throw error;
      }
      return {
        ...claim,
        async moveCheckpoint(position) {
          if (!claim.moveCheckpoint(position)) return false;
          await writer.note(name);
          return true;
        },
      };
    },
    ready: () => writer.ready,
    check: writer.check,
    close() {
      closing ??= (async () => {
        stop();
        const end = writer.close().then(() => lock.release(wholeLife(), wall()));
        // A disk that hangs must not hold up the end of the process, which frees the file.
        await inTime(end, CLOSE_PATIENCE, 'close of the log in the file').catch((error) =>
          logger({ level: 'error', message: 'the log in the file could not be closed', path, error }),
        );
      })();
      return closing;
    },
  };
}

function load(disk: Disk, path: string, lock: Lock): Found {
  try {
    return loadNow(disk, path, lock.seen);
  } catch (error) {
    lock.abandon();
    throw error;
  }
}
