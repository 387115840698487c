/**
 * One process at a time. Node has no lock of files that ends with the process, so the lock is a numbered file beside the
 * log, `<log>.lock-<n>`: whoever makes the one above the highest has it, if the owner of the highest is gone. Making a
 * file that must not exist succeeds for one process only, and the highest is never taken away (a clean end only marks
 * it), so two processes cannot both succeed it. A lock of which it cannot be told whether its owner runs is watched:
 * owners change theirs every second.
 *
 * The lock is also the second place that knows how far the log was: a log file that is behind it was put there from
 * somewhere else.
 */
import { basename, dirname, join } from 'node:path';
import type { Disk, OpenFile } from './disk.js';
import type { Fate, Owner } from './owner.js';

/** How often an owner changes its lock, in milliseconds. */
export const BEAT = 1_000;
/** How long a lock is watched before its owner counts as gone: three beats and some patience with a busy machine. */
const WATCH = 3_500;
const GLANCE = 100;
/** Tries of a start at which other processes start too. One of them succeeds in each round. */
const ROUNDS = 20;
/** One sector: it is never torn, and its length never changes. */
const SIZE = 512;

/** How far the log was, as its owner knew. */
export interface Seen {
  readonly epoch: string;
  /** The number of the lock of the owner that wrote this. */
  readonly by: number;
  /** The running number of the last frame that is on the disk. */
  readonly number: number;
  /** How long the log had been running, in milliseconds, all runs together. */
  readonly life: number;
  /** Wall clock, milliseconds since 1970. */
  readonly wall: number;
}

interface Written {
  readonly owner: Owner;
  readonly beat: number;
  readonly released: boolean;
  readonly seen: Seen | null;
}

export interface Lock {
  readonly number: number;
  /** What the one before this wrote last. */
  readonly seen: Seen | undefined;
  /** It is over: another process has the log. */
  readonly lost: boolean;
  /** Writes how far the log is. After a `kill -9` the next owner reads it; after a power loss perhaps an older one. */
  note(seen: Seen): Promise<void>;
  /** The same, and the next owner reads it after a power loss too: for an epoch that no older one names. */
  noteSafely(seen: Seen): Promise<void>;
  /** Shows that this process runs. */
  beat(life: number, wall: number): Promise<void>;
  /** Rejects when another process has taken the log. A lock that was deleted, and that nobody took, is made again. */
  check(): Promise<void>;
  /** Lets the next process have the log at once. */
  release(life: number, wall: number): Promise<void>;
  /** The same, where the log was not opened. Nothing of it stays if there was nothing before. */
  abandon(): void;
}

export interface LockOptions {
  readonly disk: Disk;
  /** Of the log. */
  readonly path: string;
  readonly owner: Owner;
  readonly fateOf: (owner: Owner) => Fate;
}

function encode(written: Written): Buffer {
  const bytes = Buffer.alloc(SIZE, ' ');
  bytes[SIZE - 1] = 0x0a;
  bytes.write(JSON.stringify(written));
  return bytes;
}

function decode(bytes: Uint8Array): Written | undefined {
  try {
    return JSON.parse(Buffer.from(bytes).toString()) as Written;
  } catch {
    return undefined; // its owner was ended between making it and writing it
  }
}

/** Takes the lock. @throws Error that names the process that has it. */
export function takeLock({ disk, path, owner, fateOf }: LockOptions): Lock {
  const folder = dirname(path);
  const prefix = `${basename(path)}.lock-`;
  const fileOf = (number: number): string => join(folder, prefix + number);
  const numbersIn = (names: readonly string[]): number[] =>
    names
      .filter((name) => name.startsWith(prefix) && /^[1-9]\d*$/.test(name.slice(prefix.length)))
      .map((name) => Number(name.slice(prefix.length)))
      .sort((a, b) => a - b);

  /** Whether the highest lock may be succeeded. */
  function isFree(number: number): boolean {
    let read = disk.readNow(fileOf(number));
    if (!read) return false; // a new one is there
    const written = decode(read.bytes);
    if (written?.released) return true;
    const fate = written ? fateOf(written.owner) : 'unknown';
    if (fate === 'gone') return true;
    if (fate === 'here') throw new Error(`log: ${path} is open in this process already; close that log first`);
    if (fate === 'unknown') {
      const before = Buffer.from(read.bytes);
      let waited = 0;
      for (; waited < WATCH && read && before.equals(read.bytes); waited += GLANCE) {
        disk.sleepNow(GLANCE);
        read = disk.readNow(fileOf(number));
      }
      if (read && waited >= WATCH) return true;
      if (read && decode(read.bytes)?.released) return true;
    }
    throw new Error(
      `log: ${path} is in use by ${written ? `process ${written.owner.pid}` : 'another process'}; a log file is for one process only`,
    );
  }

  function seenIn(numbers: readonly number[]): Seen | undefined {
    for (const number of [...numbers].reverse()) {
      const read = disk.readNow(fileOf(number));
      const written = read && decode(read.bytes);
      if (written) return written.seen ?? undefined;
    }
    return undefined;
  }

  function take(): { readonly number: number; readonly file: OpenFile; readonly seen: Seen | undefined } {
    for (let round = 0; round < ROUNDS; round += 1) {
      const numbers = numbersIn(disk.listNow(folder));
      const highest = numbers.at(-1) ?? 0;
      if (highest > 0 && !isFree(highest)) continue;
      const seen = seenIn(numbers);
      const number = highest + 1;
      const file = disk.createNow(fileOf(number), encode({ owner, beat: 0, released: false, seen: seen ?? null }));
      if (!file) continue; // another process was first
      const now = numbersIn(disk.listNow(folder));
      if ((now.at(-1) ?? 0) > number) {
        // The highest was succeeded, and taken away, while this process was looking at it.
        void file.close();
        disk.removeNow(fileOf(number));
        continue;
      }
      // Upwards: who finds its own still there and none above it must be the owner.
      for (const older of now) if (older < number) disk.removeNow(fileOf(older));
      return { number, file, seen };
    }
    throw new Error(`log: ${path}: the lock could not be taken, other processes start all the time`);
  }

  const taken = take();
  const { number } = taken;
  let { file } = taken;
  let id: string | undefined;
  let written: Written = { owner, beat: 0, released: false, seen: taken.seen ?? null };
  let lost = false;
  let writing: Promise<void> | undefined;

  /** One write at a time, so that an older one never lands on a newer one. */
  async function write(change: Partial<Written>): Promise<void> {
    while (writing) await writing.catch(() => {});
    written = { ...written, ...change, beat: written.beat + 1 };
    writing = file.write(encode(written)).finally(() => {
      writing = undefined;
    });
    await writing;
  }

  const at = (life: number, wall: number): Partial<Written> =>
    written.seen ? { seen: { ...written.seen, life, wall } } : {};

  function lose(how: string): never {
    lost = true;
    throw new Error(`log: ${path} ${how}; this process can neither write nor follow it any more`);
  }

  /** The lock was deleted. Whoever started since then has it; if nobody has, it is made again. */
  async function restore(): Promise<void> {
    disk.makeFolderNow(folder);
    if (numbersIn(disk.listNow(folder)).length > 0) lose('was taken over by another process');
    const made = disk.createNow(fileOf(number), encode(written));
    if (!made) lose('was taken over by another process');
    await file.close().catch(() => {});
    file = made;
    id = undefined;
    if (numbersIn(disk.listNow(folder)).some((other) => other !== number)) {
      disk.removeNow(fileOf(number));
      lose('was taken over by another process');
    }
  }

  async function look(): Promise<void> {
    if (lost) lose('was taken over by another process');
    id ??= (await file.status()).id;
    // In this order: a successor's successor takes away the lower one first.
    const above = await disk.status(fileOf(number + 1));
    const own = await disk.status(fileOf(number));
    if (above) lose('was taken over by another process');
    if (own?.id !== id) await restore();
  }

  /** One at a time: two that find it gone would each take the other for a successor. */
  let looking: Promise<void> = Promise.resolve();

  return {
    number,
    seen: taken.seen,
    get lost() {
      return lost;
    },
    note: (seen) => write({ seen }),
    async noteSafely(seen) {
      await write({ seen });
      await file.sync();
    },
    async beat(life, wall) {
      // A write that hangs shows no life.
      if (!writing) await write(at(life, wall));
    },
    check() {
      // Never one that began before: the caller asks about this moment.
      looking = looking.catch(() => {}).then(look);
      return looking;
    },
    async release(life, wall) {
      if (!lost) await write({ released: true, ...at(life, wall) }).catch(() => {});
      await file.close().catch(() => {});
    },
    abandon() {
      // Its owner may take away even the highest, as long as nobody may succeed it.
      if (!taken.seen) disk.removeNow(fileOf(number));
      void (taken.seen ? write({ released: true }) : Promise.resolve()).finally(() => file.close()).catch(() => {});
    },
  };
}
