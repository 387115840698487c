/**
 * What the file log asks of a file system. Tests put one in its place that fails, fills up or forgets what was not
 * synchronised. What ends in `Now` blocks, and is used at the start only: a log that cannot be opened fails there.
 */

/** How a file system tells files apart, whatever their names. */
export interface Status {
  readonly size: number;
  /** The inode; on Windows the file's index. */
  readonly id: string;
  /** When it was made and last changed, in nanoseconds. Where the first is not kept it is 0, or the same as the second. */
  readonly birth: string;
  readonly changed: string;
}

export interface OpenFile {
  status(): Promise<Status>;
  /** Writes all of it: at the end of the file, wherever that is; into a file of `createNow` at its beginning. */
  write(bytes: Uint8Array): Promise<void>;
  /** Resolves when everything that was written is on the disk. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface Disk {
  /** Makes the folder and what is missing above it. */
  makeFolderNow(path: string): void;
  /** The path without symbolic links; its last part need not exist. */
  resolveNow(path: string): string;
  listNow(folder: string): readonly string[];
  /** `undefined`: there is no such file. */
  readNow(path: string): { readonly bytes: Uint8Array; readonly status: Status } | undefined;
  /** Makes a file that was not there, whole and on the disk, and leaves it open; `undefined`: it was there. */
  createNow(path: string, bytes: Uint8Array): OpenFile | undefined;
  /** It may be gone already. */
  removeNow(path: string): void;
  /** Blocks the process. */
  sleepNow(ms: number): void;

  /** Makes a file that was not there, and opens it to add to its end. */
  create(path: string): Promise<OpenFile>;
  /** `undefined`: there is no such file. */
  status(path: string): Promise<Status | undefined>;
  list(folder: string): Promise<readonly string[]>;
  rename(from: string, to: string): Promise<void>;
  /** It may be gone already. */
  remove(path: string): Promise<void>;
  /** Resolves when the names in the folder are on the disk. */
  syncFolder(path: string): Promise<void>;
}
