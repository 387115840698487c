/**
 * A file system in memory that dies by hand. A process that is killed leaves what it wrote; a power loss leaves of what
 * was not synchronised whatever it likes, names and bytes apart. It may also fail, or fill up.
 */
import { basename, dirname } from 'node:path';
import type { Disk, OpenFile, Status } from '../../server/log/file/disk.js';

const SECTOR = 512;

interface Write {
  readonly at: number;
  readonly bytes: Buffer;
}

interface Inode {
  readonly id: string;
  readonly birth: string;
  changed: number;
  /** What a process reads. */
  data: Buffer;
  /** What a power loss leaves for certain. */
  durable: Buffer;
  /** Written since the last sync. */
  pending: Write[];
}

export type Step =
  | 'list'
  | 'read'
  | 'make'
  | 'create'
  | 'remove'
  | 'status'
  | 'write'
  | 'sync'
  | 'rename'
  | 'syncFolder';

/** What the process notes that dies in the middle of a blocking call. */
export class Death extends Error {}

export interface MortalDisk extends Disk {
  /** How many steps were taken. */
  readonly steps: number;
  /** How often each kind of step was taken. */
  readonly counts: Readonly<Record<Step, number>>;
  /** The process dies before this step: it and all later ones never end. */
  dieAt(step: number): void;
  readonly dead: boolean;
  /** An error for a step, or none. A failed sync keeps nothing, and the next one does not mend it. */
  fault: ((step: Step, path: string) => Error | undefined) | undefined;
  /** The next process finds what the last one wrote. */
  afterKill(): MortalDisk;
  /** The next process finds what was synchronised, and of the rest what chance leaves. */
  afterPowerLoss(random: () => number): MortalDisk;
  bytes(path: string): Buffer | undefined;
  /** Writes into the file that is there, as an editor or `cp` does, or makes one. */
  put(path: string, bytes: Uint8Array): void;
  names(): string[];
}

interface State {
  readonly names: ReadonlyMap<string, Inode>;
  readonly tick: number;
}

function apply(data: Buffer, { at, bytes }: Write): Buffer {
  const next = Buffer.alloc(Math.max(data.length, at + bytes.length));
  data.copy(next);
  bytes.copy(next, at);
  return next;
}

export function mortalDisk(from: State = { names: new Map(), tick: 1 }): MortalDisk {
  let { tick } = from;
  const names = new Map(from.names);
  const durableNames = new Map(from.names);
  const counts: Record<Step, number> = {
    ...{ list: 0, read: 0, make: 0, create: 0, remove: 0, status: 0, write: 0, sync: 0, rename: 0, syncFolder: 0 },
  };
  let steps = 0;
  let death = Number.POSITIVE_INFINITY;

  function next(step: Step, path: string): void {
    steps += 1;
    counts[step] += 1;
    tick += 1;
    if (steps >= death) throw new Death(`died at step ${steps}: ${step} ${path}`);
    const error = disk.fault?.(step, path);
    if (error) throw error;
  }

  /** An asynchronous step: another one may come between its call and its effect. */
  async function later<T>(step: Step, path: string, act: () => T): Promise<T> {
    await undefined;
    try {
      next(step, path);
    } catch (error) {
      if (error instanceof Death) return new Promise(() => {});
      throw error;
    }
    return act();
  }

  const statusOf = (inode: Inode): Status => ({
    ...{ size: inode.data.length, id: inode.id, birth: inode.birth, changed: String(inode.changed) },
  });

  function made(): Inode {
    const inode = { id: `inode-${tick}`, birth: String(tick), changed: tick };
    return { ...inode, data: Buffer.alloc(0), durable: Buffer.alloc(0), pending: [] };
  }

  function write(inode: Inode, at: number, bytes: Uint8Array): void {
    const written = { at, bytes: Buffer.from(bytes) };
    inode.data = apply(inode.data, written);
    inode.pending.push(written);
    tick += 1;
    inode.changed = tick;
  }

  function sync(inode: Inode): void {
    inode.durable = inode.pending.reduce(apply, inode.durable);
    inode.pending = [];
  }

  function opened(path: string, inode: Inode, from?: 0): OpenFile {
    const place = (): number => from ?? inode.data.length;
    return {
      status: () => later('status', path, () => statusOf(inode)),
      async write(bytes) {
        try {
          await later('write', path, () => write(inode, place(), bytes));
        } catch (error) {
          write(inode, place(), bytes.subarray(0, bytes.length >> 1)); // a disk that fills up takes the first part
          throw error;
        }
      },
      async sync() {
        try {
          await later('sync', path, () => sync(inode));
        } catch (error) {
          inode.pending = []; // the kernel takes them for written now
          throw error;
        }
      },
      close: async () => {},
    };
  }

  function syncNames(folder: string): void {
    for (const path of new Set([...names.keys(), ...durableNames.keys()])) {
      if (dirname(path) !== folder) continue;
      const inode = names.get(path);
      if (inode) durableNames.set(path, inode);
      else durableNames.delete(path);
    }
  }

  const disk: MortalDisk = {
    get steps() {
      return steps;
    },
    counts,
    dieAt(step) {
      death = step;
    },
    get dead() {
      return steps >= death;
    },
    fault: undefined,
    bytes: (path) => names.get(path)?.data,
    names: () => [...names.keys()].sort(),
    put(path, bytes) {
      tick += 1;
      const inode = names.get(path) ?? made();
      names.set(path, inode);
      inode.data = Buffer.alloc(0);
      inode.durable = Buffer.alloc(0);
      inode.pending = [];
      write(inode, 0, bytes);
      sync(inode);
      syncNames(dirname(path));
    },
    afterKill() {
      return mortalDisk({ names, tick });
    },
    afterPowerLoss(random) {
      const left = new Map<string, Inode>();
      const rest = new Map<Inode, Inode>();
      for (const path of new Set([...names.keys(), ...durableNames.keys()])) {
        const inode = random() < 0.5 ? names.get(path) : durableNames.get(path);
        if (!inode) continue;
        let data = inode.durable;
        for (const { at, bytes } of rest.has(inode) ? [] : inode.pending) {
          const kept = random();
          if (kept < 0.4) continue;
          // One sector that was there is never torn.
          const whole = kept < 0.7 || (at % SECTOR === 0 && bytes.length === SECTOR && at < inode.durable.length);
          data = apply(data, { at, bytes: whole ? bytes : bytes.subarray(0, Math.floor(random() * bytes.length)) });
        }
        const next = rest.get(inode) ?? { ...inode, data, durable: data, pending: [] };
        rest.set(inode, next);
        left.set(path, next);
      }
      return mortalDisk({ names: left, tick });
    },

    makeFolderNow: (path) => next('make', path),
    resolveNow: (path) => path,
    listNow(folder) {
      next('list', folder);
      return [...names.keys()].filter((path) => dirname(path) === folder).map((path) => basename(path));
    },
    readNow(path) {
      next('read', path);
      const inode = names.get(path);
      return inode && { bytes: Buffer.from(inode.data), status: statusOf(inode) };
    },
    createNow(path, bytes) {
      next('create', path);
      if (names.has(path)) return undefined;
      const inode = made();
      names.set(path, inode);
      next('write', path);
      write(inode, 0, bytes);
      next('sync', path);
      sync(inode);
      next('syncFolder', dirname(path));
      syncNames(dirname(path));
      return opened(path, inode, 0);
    },
    removeNow(path) {
      next('remove', path);
      names.delete(path);
    },
    sleepNow: () => {},
    create: (path) =>
      later('create', path, () => {
        if (names.has(path)) throw Object.assign(new Error(`EEXIST: ${path}`), { code: 'EEXIST' });
        const inode = made();
        names.set(path, inode);
        return opened(path, inode);
      }),
    status: (path) =>
      later('status', path, () => {
        const inode = names.get(path);
        return inode && statusOf(inode);
      }),
    list: (folder) =>
      later('list', folder, () =>
        [...names.keys()].filter((path) => dirname(path) === folder).map((path) => basename(path)),
      ),
    rename: (old, path) =>
      later('rename', path, () => {
        const inode = names.get(old);
        if (!inode) throw Object.assign(new Error(`ENOENT: ${old}`), { code: 'ENOENT' });
        names.delete(old);
        names.set(path, inode);
        inode.changed = tick;
      }),
    remove: (path) => later('remove', path, () => void names.delete(path)),
    syncFolder: (path) => later('syncFolder', path, () => syncNames(path)),
  };
  return disk;
}
