/** The file system of the machine. */
import {
  close,
  closeSync,
  constants,
  fdatasync,
  fstat,
  fsyncSync,
  lstatSync,
  mkdirSync,
  open,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
  unlinkSync,
  write,
  writeSync,
} from 'node:fs';
import { open as openHandle, readdir, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Disk, OpenFile, Status } from './disk.js';

/** Hints hold ids: nobody but the user that the server runs as reads them. */
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

const NEW = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;
/** A place that is given would make a hole in a file that somebody has cut. */
const NEW_TO_ADD_TO: number = NEW | constants.O_APPEND;

const openFile = promisify(open);
const writeAt = promisify(write);
const syncData = promisify(fdatasync);
const closeFile = promisify(close);
const statusOfOpen = promisify(fstat);

const codeOf = (error: unknown): string => String((error as NodeJS.ErrnoException | undefined)?.code);

function absent(error: unknown): undefined {
  if (codeOf(error) === 'ENOENT') return undefined;
  throw error;
}

/** Folders cannot be synchronised on Windows and on some network file systems: their names need no help, or get none. */
function unsupported(error: unknown): void {
  if (!['EINVAL', 'ENOTSUP', 'EISDIR', 'EPERM', 'EBADF'].includes(codeOf(error))) throw error;
}

interface RawStatus {
  readonly size: bigint;
  readonly ino: bigint;
  readonly birthtimeNs: bigint;
  readonly ctimeNs: bigint;
}

function statusOf({ size, ino, birthtimeNs, ctimeNs }: RawStatus): Status {
  return { size: Number(size), id: String(ino), birth: String(birthtimeNs), changed: String(ctimeNs) };
}

/** @param from where each write begins; `null`: at the end. */
function opened(fd: number, from: 0 | null): OpenFile {
  return {
    status: async () => statusOf(await statusOfOpen(fd, { bigint: true })),
    async write(bytes) {
      for (let done = 0; done < bytes.length; ) {
        const place = from === null ? null : done;
        const { bytesWritten } = await writeAt(fd, bytes, done, bytes.length - done, place);
        if (bytesWritten === 0) throw new Error('log: the file system takes no more bytes');
        done += bytesWritten;
      }
    },
    // The data and what is needed to find it, which the file's length is part of; on macOS to the medium itself.
    sync: () => syncData(fd),
    close: () => closeFile(fd),
  };
}

function syncFolderNow(path: string): void {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDONLY);
    fsyncSync(fd);
  } catch (error) {
    unsupported(error);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

export const nodeDisk: Disk = {
  makeFolderNow(path) {
    const first = mkdirSync(path, { recursive: true, mode: FOLDER_MODE });
    if (first === undefined) return;
    // A new folder is there after a power loss only when the one above it was synchronised.
    for (let folder = path; ; folder = dirname(folder)) {
      syncFolderNow(dirname(folder));
      if (folder === first || folder === dirname(folder)) return;
    }
  },
  resolveNow(path) {
    try {
      return realpathSync(path);
    } catch (error) {
      absent(error);
      // It would be replaced by the file, which then is not where it was meant to be.
      if (lstatSync(path, { throwIfNoEntry: false })) throw new Error(`${path} is a symbolic link to nothing`);
      return join(realpathSync(dirname(path)), basename(path));
    }
  },
  listNow: (folder) => readdirSync(folder),
  readNow(path) {
    try {
      return { bytes: readFileSync(path), status: statusOf(statSync(path, { bigint: true })) };
    } catch (error) {
      return absent(error);
    }
  },
  createNow(path, bytes) {
    let fd: number;
    try {
      fd = openSync(path, NEW, FILE_MODE);
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return undefined;
      throw error;
    }
    try {
      writeSync(fd, bytes);
      fsyncSync(fd);
      syncFolderNow(dirname(path));
    } catch (error) {
      closeSync(fd);
      unlinkSync(path);
      throw error;
    }
    return opened(fd, 0);
  },
  removeNow(path) {
    try {
      unlinkSync(path);
    } catch (error) {
      absent(error);
    }
  },
  sleepNow(ms) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  },

  create: async (path) => opened(await openFile(path, NEW_TO_ADD_TO, FILE_MODE), null),
  status: async (path) => stat(path, { bigint: true }).then(statusOf, absent),
  list: (folder) => readdir(folder),
  rename: (from, to) => rename(from, to),
  remove: (path) => unlink(path).catch(absent),
  async syncFolder(path) {
    try {
      const handle = await openHandle(path, constants.O_RDONLY);
      await handle.sync().finally(() => handle.close());
    } catch (error) {
      unsupported(error);
    }
  },
};
