/**
 * The file in use: adds records to its end and replaces it by a fresh one, one call at a time. When either resolves, what
 * it wrote is on the disk, under the log's name, and no other process had the log by then.
 */
import { basename, dirname, join } from 'node:path';
import type { KeptLease } from '../leases.js';
import { type Head, headText, recordText } from './content.js';
import type { Disk, OpenFile } from './disk.js';
import { encodeFrame } from './frames.js';
import type { Lock, Seen } from './lock.js';

/** A file below this size, in bytes, is not worth replacing. */
const SMALLEST = 1 << 20;
/** A file is replaced when it is so many times as long as it was when it was new: the cost is that of what was added. */
const GROWTH = 2;
/** Bytes of one record of a fresh file: between two of them, others may use the process. */
const PORTION = 256 * 1024;
/** Files that were set aside, and are kept for whoever wants to know why. */
const ASIDE_KEPT = 3;

/** All that a fresh file says. */
export interface Whole extends Omit<Head, 'id' | 'birth' | 'by'> {
  readonly life: number;
  readonly leases: readonly KeptLease[];
  /** Of each entry, see `placedText`. */
  readonly placed: Iterable<string>;
}

export interface Journal {
  /** Bytes of the file in use. */
  readonly size: number;
  /** The file has grown so much that a fresh one is due. */
  due(): boolean;
  /** Not now: it has just been tried in vain. */
  postpone(): void;
  add(text: string, seen: Omit<Seen, 'number' | 'by'>): Promise<void>;
  /**
   * Writes a fresh file and puts it in the place of the one in use. What stands there and is not the file in use is set
   * aside; resolves with its new name.
   */
  replace(whole: Whole, wall: number): Promise<string | undefined>;
  /** Whether the file stands where it should, as long as it should be. */
  isWhole(): Promise<boolean>;
  /** There is a file to add to; without one only `replace` helps. */
  readonly ready: boolean;
  close(): Promise<void>;
}

interface Current {
  readonly file: OpenFile;
  readonly id: string;
  size: number;
}

export interface JournalOptions {
  readonly disk: Disk;
  readonly path: string;
  readonly lock: Lock;
  /** The last running number that an earlier run used. */
  readonly number: number;
  /** The file at the log's name, where it may be written over. */
  readonly own: string | undefined;
  /** Default 1 MiB. */
  readonly smallest?: number | undefined;
}

/** Waits for all, whatever becomes of any: what still runs must not meet what is done about a failure. */
async function all(promises: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(promises)) if (result.status === 'rejected') throw result.reason;
}

export function createJournal({ disk, path, lock, smallest = SMALLEST, ...from }: JournalOptions): Journal {
  const folder = dirname(path);
  const by = lock.number;
  const fresh = `${path}.new-${by}`;
  let current: Current | undefined;
  let { number } = from;
  /** The file at the log's name that may be written over. */
  let { own } = from;
  let limit = smallest;

  async function setAside(): Promise<string | undefined> {
    const there = await disk.status(path);
    if (!there || there.id === own) return undefined;
    const prefix = `${path}.aside-`;
    const kept = (await disk.list(folder))
      .filter((name) => name.startsWith(basename(prefix)))
      .map((name) => Number(name.slice(basename(prefix).length)))
      .filter((n) => Number.isSafeInteger(n) && n > 0)
      .sort((a, b) => a - b);
    const name = prefix + ((kept.at(-1) ?? 0) + 1);
    await disk.rename(path, name);
    for (const n of kept.slice(0, Math.max(0, kept.length + 1 - ASIDE_KEPT))) await disk.remove(prefix + n);
    return name;
  }

  /** Files of earlier tries: of this process, and of those that were ended in the middle of one. */
  async function tidy(): Promise<void> {
    for (const name of await disk.list(folder))
      if (name.startsWith(`${basename(path)}.new-`)) await disk.remove(join(folder, name));
  }

  async function isWhole(): Promise<boolean> {
    if (!current) return false;
    const { id, size } = current;
    const there = await disk.status(path);
    return there !== undefined && there.id === id && there.size === size;
  }

  async function assertWhole(): Promise<void> {
    if (await isWhole()) return;
    await lock.check(); // the better reason, where there is one
    throw new Error(`log: ${path} was deleted, replaced or changed by somebody else`);
  }

  return {
    get size() {
      return current?.size ?? 0;
    },
    get ready() {
      return current !== undefined;
    },
    due: () => (current?.size ?? 0) >= limit,
    postpone() {
      limit = (current?.size ?? 0) + smallest;
    },
    isWhole,

    async add(text, seen) {
      if (!current) throw new Error('log: there is no file to add to');
      const frame = encodeFrame({ number: number + 1, text });
      const { file } = current;
      try {
        await file.write(frame);
        await file.sync();
        current.size += frame.length;
        number += 1;
        await all([lock.check(), assertWhole(), lock.note({ ...seen, number, by })]);
      } catch (error) {
        // What the file holds now is not known: after a failed sync, reading it back would tell what the memory holds.
        number += 1;
        current = undefined;
        await file.close().catch(() => {});
        throw error;
      }
    },

    async replace(whole, wall) {
      await tidy();
      const { life, leases, placed, ...head } = whole;
      const file = await disk.create(fresh);
      let running = number;
      let size = 0;
      let aside: string | undefined;
      let id: string;
      try {
        const write = async (text: string): Promise<void> => {
          running += 1;
          const frame = encodeFrame({ number: running, text });
          await file.write(frame);
          size += frame.length;
        };
        const status = await file.status();
        ({ id } = status);
        await write(headText({ ...head, id, birth: status.birth, by }));
        let portion: string[] = [];
        let bytes = 0;
        for (const one of placed) {
          portion.push(one);
          bytes += one.length;
          if (bytes < PORTION) continue;
          await write(recordText(life, portion, []));
          portion = [];
          bytes = 0;
        }
        await write(recordText(life, portion, leases));
        await file.sync();
        await lock.check();
        aside = await setAside();
        // Windows does not replace a file that is open.
        await current?.file.close();
        current = undefined;
        await disk.rename(fresh, path);
        own = id;
        await disk.syncFolder(folder);
        await lock.check();
      } catch (error) {
        await file.close().catch(() => {});
        await disk.remove(fresh).catch(() => {});
        throw error;
      }
      number = running;
      current = { file, id, size };
      limit = Math.max(smallest, size * GROWTH);
      await lock.noteSafely({ epoch: head.epoch, number, by, life, wall });
      return aside;
    },

    async close() {
      await current?.file.close().catch(() => {});
      current = undefined;
    },
  };
}
