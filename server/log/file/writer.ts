/**
 * Brings what is appended to the disk. What comes while a write is under way goes together, in one frame: group commit.
 *
 * Memory is what this process has acknowledged. So whatever befalls the file while it runs, a fresh one written from
 * memory mends it, and the epoch stays.
 */
import type { LogEntry } from '../../../adapters/contract.js';
import type { Position } from '../../../adapters/position.js';
import type { LogLine } from '../../types.js';
import type { Followers } from '../followers.js';
import type { Leases } from '../leases.js';
import { offsetOf, type Window } from '../window.js';
import { placedText, recordText } from './content.js';
import type { Journal } from './journal.js';
import type { Lock } from './lock.js';

/** Text of one group commit, beyond which the next append waits for the next one. One append is never divided. */
const GROUP = 4 << 20;
/** Entries that may wait for the disk; beyond, appends are refused at once. As many as the window keeps. */
const MOST_WAITING = 20_000;
/** Pause between two tries to write a fresh file after the disk failed, in milliseconds. */
export const RETRY = 1_000;

export interface WriterOptions {
  readonly path: string;
  readonly epoch: string;
  readonly window: Window;
  readonly leases: Leases;
  readonly followers: Followers;
  readonly journal: Journal;
  readonly lock: Lock;
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
  /** Whole milliseconds for which the log has been running, all runs together. */
  readonly life: () => number;
  readonly wall: () => number;
  readonly logger: (line: LogLine) => void;
}

export interface Writer {
  /** Resolves when what was loaded is on the disk for certain: what was found may have been in the kernel's memory only. */
  readonly ready: Promise<void>;
  /** Resolves when the entries are on the disk and were given to the followers. */
  append(entries: readonly LogEntry[]): Promise<readonly Position[]>;
  /** Resolves when what is known of this lease is on the disk. */
  note(lease: string): Promise<void>;
  /** Looks whether the file is still there; mends it if it is not. Rejects when another process has it. */
  check(): Promise<void>;
  /** Tries again what failed, when it is time. */
  wake(): void;
  /** Brings out what waits, as far as the disk takes it. */
  close(): Promise<void>;
}

interface Waiting {
  readonly entries: readonly LogEntry[];
  /** The JSON of each. */
  readonly texts: ReadonlyMap<LogEntry, string>;
  readonly lease?: string;
  readonly resolve: (positions: readonly Position[]) => void;
  readonly reject: (error: unknown) => void;
}

export function createWriter(options: WriterOptions): Writer {
  const { path, epoch, window, leases, followers, journal, lock, now, life, wall, logger } = options;
  const waiting: Waiting[] = [];
  let entriesWaiting = 0;
  /** Why the file in use is no good. The one that was found at the start is always replaced: it may be torn. */
  let fault: { readonly error?: unknown } | undefined = {};
  let notBefore = Number.NEGATIVE_INFINITY;
  let working: Promise<void> | undefined;
  let over = false;
  let closed = false;
  let isReady: () => void = () => {};
  let isNever: (error: unknown) => void = () => {};
  const ready = new Promise<void>((resolve, reject) => {
    isReady = resolve;
    isNever = reject;
  });
  ready.catch(() => {}); // nobody need ask

  const tell = (level: LogLine['level'], message: string, more: object = {}): void =>
    logger({ level, message, path, ...more });

  function refuse(refused: readonly Waiting[], error: unknown): void {
    for (const one of refused) {
      entriesWaiting -= one.entries.length;
      one.reject(error);
    }
  }

  function fail(error: unknown): void {
    if (over) return;
    fault = { error };
    if (!lock.lost) return;
    over = true;
    tell('error', 'the log in the file belongs to another process now', { error });
    refuse(waiting.splice(0), error);
    isNever(error);
    followers.fail(error);
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
    const at = life();
    const positions = group.map(({ entries, texts }) => {
      const from = draft.added.length;
      const given = draft.add(entries);
      for (const { position, entry } of draft.added.slice(from))
        placed.push(placedText(offsetOf(position), at, texts.get(entry) as string));
      return given;
    });
    const names = new Set(group.map(({ lease }) => lease));
    const noted = leases.kept().filter(({ name }) => names.has(name));
    if (placed.length + noted.length > 0)
      await journal.add(recordText(at, placed, noted), { epoch, life: at, wall: wall() });
    window.accept(draft);
    followers.give(draft.added);
    group.forEach((one, index) => {
      entriesWaiting -= one.entries.length;
      one.resolve(positions[index] as readonly Position[]);
    });
  }

  async function replace(): Promise<void> {
    const { floor, top, offset, stored } = window.content();
    const placed = (function* () {
      for (const { logged, at } of stored)
        yield placedText(offsetOf(logged.position), Math.floor(at), JSON.stringify(logged.entry));
    })();
    const aside = await journal.replace(
      { epoch, floor, top, offset, life: life(), leases: leases.kept(), placed },
      wall(),
    );
    if (aside) tell('warn', 'what stood in the place of the log was set aside', { aside });
  }

  /** Writes a fresh file, where the one in use is no good or has grown. */
  async function mend(): Promise<boolean> {
    try {
      await replace();
      if (fault?.error) tell('info', 'the log in the file is written again');
      fault = undefined;
      isReady();
      return true;
    } catch (error) {
      if (journal.ready && !fault && !lock.lost) {
        // The file in use is still good; it only grows on.
        journal.postpone();
        tell('warn', 'the log could not be replaced by a shorter file', { error });
        return true;
      }
      if (!fault?.error && !lock.lost)
        tell('error', 'the log cannot be written: nothing is accepted until it can', { error });
      fail(error);
      notBefore = now() + RETRY;
      refuse(waiting.splice(0), error);
      return false;
    }
  }

  async function work(): Promise<void> {
    await undefined; // what is appended in the same turn goes together
    while (!lock.lost && (fault || waiting.length > 0)) {
      if ((fault || journal.due()) && !(await mend())) return;
      const group = nextGroup();
      if (group.length === 0) continue;
      try {
        await commit(group);
      } catch (error) {
        if (!lock.lost) tell('error', 'the log was not written: what was to be added is not accepted', { error });
        fail(error);
        refuse(group, error);
      }
    }
  }

  function wake(): void {
    if (working || lock.lost || (fault && now() < notBefore) || (!fault && waiting.length === 0)) return;
    working = work().finally(() => {
      working = undefined;
      wake();
    });
  }

  async function submit(one: Pick<Waiting, 'entries' | 'texts' | 'lease'>): Promise<readonly Position[]> {
    if (closed) throw new Error('log: the file log is closed');
    if (over || (fault?.error && now() < notBefore)) throw fault?.error;
    if (entriesWaiting > 0 && entriesWaiting + one.entries.length > MOST_WAITING)
      throw new Error(`log: the disk is behind, ${entriesWaiting} entries wait for it`);
    return new Promise((resolve, reject) => {
      entriesWaiting += one.entries.length;
      waiting.push({ ...one, resolve, reject });
      wake();
    });
  }

  return {
    ready,
    async append(entries) {
      if (entries.length === 0) return [];
      // Now, so that what the caller does to them later changes nothing, and what is no entry harms no other append.
      const texts = new Map(entries.map((entry) => [entry, textOf(entry)]));
      return submit({ entries: [...entries], texts });
    },
    async note(lease) {
      await submit({ entries: [], texts: new Map(), lease });
    },
    async check() {
      await lock.check().catch((error) => {
        if (lock.lost) fail(error);
        throw error;
      });
      const { size } = journal;
      // While it is written, or was meanwhile, the writer looks.
      if (fault || working || (await journal.isWhole()) || working || journal.size !== size) return;
      fail(new Error(`log: ${path} was deleted, replaced or changed by somebody else`));
      wake();
    },
    wake,
    async close() {
      closed = true;
      isNever(new Error('log: the file log is closed'));
      while (working) await working;
      refuse(waiting.splice(0), new Error('log: the file log is closed'));
      await journal.close();
    },
  };
}

function textOf(entry: LogEntry): string {
  if (typeof entry.kind !== 'string') throw new TypeError('log: an entry has a kind');
  return JSON.stringify(entry);
}
