/**
 * The engine of the file log: the retained window in memory, as that of the memory log, and a file that knows all of it
 * before anybody else does. What comes while a write is under way goes to the disk together, in one frame: group commit.
 *
 * Memory is what this process has acknowledged; so whatever befalls the file while it runs, a fresh one written from
 * memory mends it, and the epoch stays. An epoch ends only between two runs.
 */
import { dirname, resolve } from 'node:path';
import type { LogEntry, LogWindow, TailSink } from '../../../adapters/contract.js';
import { makePosition, type Position } from '../../../adapters/position.js';
import type { LogLine } from '../../types.js';
import { createFollowers, type Follower } from '../followers.js';
import type { EngineClaim } from '../handle.js';
import { createLeases } from '../leases.js';
import { createWindow, newEpoch, offsetOf, type Stored } from '../window.js';
import { placedText, recordText } from './content.js';
import type { Disk } from './disk.js';
import { createJournal } from './journal.js';
import { loadNow } from './load.js';
import { BEAT, type Seen, takeLock } from './lock.js';
import { fateOf, type Owner, thisProcess } from './owner.js';

/** Text of one group commit, beyond which the next append waits for the next one. One append is never divided. */
const GROUP = 4 << 20;
/** Entries that may wait for the disk; beyond, `append` rejects at once. As many as the window keeps. */
const MOST_WAITING = 20_000;
/** Pause between two tries to write a fresh file after the disk failed, in milliseconds. */
const RETRY = 1_000;

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
  /** Milliseconds since 1970. Only asked how long nobody ran. */
  readonly wall: () => number;
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
  readonly check: () => Promise<void>;
  /** Brings what waits to the disk, and lets the next process have the file. */
  readonly close: () => Promise<void>;
}

/** What waits for the disk: entries, or what is new of a lease. */
interface Waiting {
  readonly entries: readonly LogEntry[];
  /** The JSON of each. */
  readonly texts: ReadonlyMap<LogEntry, string>;
  readonly lease?: string;
  readonly resolve: (positions: readonly Position[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Opens the file and loads the window. @throws Error when it cannot be had: in use, no right to it, another's file. */
export function openFileEngine(options: FileEngineOptions): FileEngine {
  const { disk, retention, cap, logger, now, wall, owner = thisProcess(), smallest } = options;
  const asked = resolve(options.path);
  disk.makeFolderNow(dirname(asked));
  const path = disk.resolveNow(asked);
  const lock = takeLock({ disk, path, owner, fateOf: (of) => (options.fateOf ?? fateOf)(of, owner) });

  const found = (() => {
    try {
      return loadNow(disk, path, lock.seen);
    } catch (error) {
      lock.abandon();
      throw error;
    }
  })();
  const { content, why } = found;
  const epoch = content?.epoch ?? newEpoch();

  // The log's own time: how long it has been running, all runs together. No clock of the machine can make it jump.
  const before = Math.max(content?.life ?? 0, content ? (lock.seen?.life ?? 0) : 0);
  const opened = now();
  const life = (): number => before + now() - opened;
  // Copies under one key must not be taken for one long after. While nobody ran, only the wall clock tells the time:
  // when it shows none, or less than none, keys are forgotten, which costs a repetition at most.
  const away = wall() - (lock.seen?.wall ?? 0);
  const stored = content?.placed.map(({ offset, life: at, entry }): Stored => {
    const until = away >= 0 ? at + retention - away : 0;
    return { logged: { position: makePosition(epoch, offset), entry }, at, until };
  });
  const window = createWindow({
    ...{ epoch, retention, cap, now: life },
    ...(content && stored && { from: { floor: content.floor, top: content.top, offset: content.offset, stored } }),
  });
  const leases = createLeases(life, content?.leases);
  const followers = createFollowers();
  const number = Math.max(content?.number ?? 0, lock.seen?.number ?? 0);
  const journal = createJournal({ disk, path, lock, number, own: found.own, smallest });
  if (why) {
    const message = 'the log in the file does not go on: a new epoch begins, and every page refreshes once';
    logger({ level: 'warn', message, path, why: `it ${why}` });
  }

  const waiting: Waiting[] = [];
  let entriesWaiting = 0;
  /** Why the file in use is no good; the first one is always replaced. */
  let fault: { readonly error?: unknown } | undefined = {};
  const notBefore = Number.NEGATIVE_INFINITY;
  let working: Promise<void> | undefined;
  let closed = false;

  const seenNow = (): Omit<Seen, 'number'> => ({ epoch, life: Math.floor(life()), wall: wall() });

  async function replace(): Promise<void> {
    const { floor, top, offset, stored: kept } = window.content();
    const placed = (function* () {
      for (const { logged, at } of kept)
        yield placedText(offsetOf(logged.position), Math.floor(at), JSON.stringify(logged.entry));
    })();
    const whole = { epoch, floor, top, offset, life: Math.floor(life()), leases: leases.kept(), placed };
    const aside = await journal.replace(whole, wall());
    if (aside) logger({ level: 'warn', message: 'what stood in the place of the log was set aside', path, aside });
  }

  function refuse(refused: readonly Waiting[], error: unknown): void {
    for (const one of refused) {
      entriesWaiting -= one.entries.length;
      one.reject(error);
    }
  }

  /** As many as go into one frame, at least one. */
  function nextGroup(): Waiting[] {
    let size = 0;
    let count = 0;
    for (const { texts } of waiting) {
      for (const text of texts.values()) size += text.length;
      if (count > 0 && size > GROUP) break;
      count += 1;
    }
    return waiting.splice(0, count);
  }

  async function commit(group: readonly Waiting[]): Promise<void> {
    const draft = window.draft();
    const placed: string[] = [];
    const at = Math.floor(life());
    const accepted = group.map(({ entries, texts }) => {
      const from = draft.added.length;
      const positions = draft.add(entries);
      for (const { position, entry } of draft.added.slice(from))
        placed.push(placedText(offsetOf(position), at, texts.get(entry) as string));
      return positions;
    });
    const names = new Set(group.map(({ lease }) => lease));
    const noted = leases.kept().filter(({ name }) => names.has(name));
    if (placed.length + noted.length > 0) await journal.add(recordText(at, placed, noted), seenNow());
    window.accept(draft);
    followers.give(draft.added);
    group.forEach((one, index) => {
      entriesWaiting -= one.entries.length;
      one.resolve(accepted[index] as readonly Position[]);
    });
  }

  let over = false;
  function fail(error: unknown): void {
    if (over) return;
    fault = { error };
    if (!lock.lost) return;
    over = true;
    logger({ level: 'error', message: 'the log in the file belongs to another process now', path, error });
    refuse(waiting.splice(0), error);
    followers.fail(error);
  }

  async function mend(): Promise<boolean> {
    try {
      await replace();
      if (fault?.error) logger({ level: 'info', message: 'the log in the file is written again', path });
      fault = undefined;
      return true;
    } catch (error) {
      if (journal.ready && !fault && !lock.lost) {
        // The file in use is still good; it only grows on.
        journal.postpone();
        logger({ level: 'warn', message: 'the log could not be replaced by a shorter file', path, error });
        return true;
      }
      if (!fault?.error && !lock.lost)
        logger({ level: 'error', message: 'the log cannot be written: nothing is accepted until it can', path, error });
      fail(error);
      notBefore = now() + RETRY;
      refuse(waiting.splice(0), error);
      return false;
    }
  }

  async function work(): Promise<void> {
    while (!lock.lost && (fault || waiting.length > 0)) {
      if ((fault || journal.due()) && !(await mend())) return;
      const group = nextGroup();
      if (group.length === 0) continue;
      try {
        await commit(group);
      } catch (error) {
        if (!lock.lost)
          logger({
            level: 'error',
            message: 'the log was not written: what was to be added is not accepted',
            path,
            error,
          });
        fail(error);
        refuse(group, error);
      }
    }
  }

  function wake(): void {
    if (working || lock.lost || (fault && now() < notBefore)) return;
    working = work().finally(() => {
      working = undefined;
      if (waiting.length > 0) wake();
    });
  }

  function submit(one: Pick<Waiting, 'entries' | 'texts' | 'lease'>): Promise<readonly Position[]> {
    if (lock.lost || (fault?.error && now() < notBefore)) throw fault?.error;
    if (entriesWaiting + one.entries.length > MOST_WAITING && entriesWaiting > 0)
      throw new Error(`log: the disk is behind, $entriesWaitingentries wait for it`);
    return new Promise((resolve, reject) => {
      entriesWaiting += one.entries.length;
      waiting.push({ ...one, resolve, reject });
      wake();
    });
  }

  const timer = setInterval(() => {
    lock.beat(Math.floor(life()), wall()).catch(() => {});
    lock.check().catch((error) => {
      if (lock.lost) fail(error);
    });
    if (fault) wake();
  }, BEAT);
  timer.unref();
  wake();

  return {
    window: window.bounds,
    async append(entries) {
      if (closed) throw new Error('log: the file log is closed');
      // Now, so that what the caller does to them later changes nothing, and what is no entry harms no other append.
      const texts = new Map(entries.map((entry) => [entry, textOf(entry)]));
      return entries.length === 0 ? [] : submit({ entries: [...entries], texts });
    },
    follow: (sink) => followers.follow(sink, window.bounds(), window.entries()),
    async claim(name, ttlMs) {
      const claim = leases.claim(name, ttlMs);
      if (!claim) return undefined;
      try {
        // Before its holder does anything: the next one, after a crash, must have a greater fence.
        await submit({ entries: [], texts: new Map(), lease: name });
      } catch (error) {
        claim.release();
        throw error;
      }
      return {
        ...claim,
        async moveCheckpoint(position) {
          if (!claim.moveCheckpoint(position)) return false;
          await submit({ entries: [], texts: new Map(), lease: name });
          return true;
        },
      };
    },
    async check() {
      await lock.check();
      const { size } = journal;
      // While it is written, or was meanwhile, the writer looks.
      if (fault || working || (await journal.isWhole()) || working || journal.size !== size) return;
      fail(new Error(`log: $pathwas deleted, replaced or changed by somebody else`));
      wake();
    },
    async close() 
      if (closed) return;
      closed = true;
      clearInterval(timer);
      while (working) await working;
      refuse(waiting.splice(0), new Error('log: the file log is closed'));
      await journal.close();
      await lock.release(Math.floor(life()), wall());,
  };
}

function textOf(entry: LogEntry): string {
  if (typeof entry.kind !== 'string') throw new TypeError('log: an entry has a kind');
  return JSON.stringify(entry);
}
