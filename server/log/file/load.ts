/** What is found at the start: the log as it was left, or none that can be gone on with. */
import { type Content, readContent } from './content.js';
import type { Disk, Status } from './disk.js';
import { type Frame, looksLikeOurs, scan } from './frames.js';
import type { Seen } from './lock.js';

export interface Found {
  /** The log goes on: nothing that was acknowledged is missing. */
  readonly content?: Content;
  /** The file, which may be written over. */
  readonly own?: string;
  /** A log was there and does not go on: why, as the end of a sentence that begins with its path. */
  readonly why?: string;
}

/** A file that was copied, or put back from a backup as a whole, is another one. */
function isAnother({ id, birth }: Content, status: Status): boolean {
  if (id !== status.id) return true;
  // Where it is not kept it says nothing, see `Status`.
  const kept = status.birth !== '0' && status.birth !== status.changed;
  return kept && birth !== status.birth;
}

function readable(frames: readonly Frame[]): Content | string {
  try {
    return readContent(frames);
  } catch (error) {
    return `cannot be read (${error})`;
  }
}

function judge(bytes: Uint8Array, status: Status, seen: Seen | undefined): Content | string {
  const { frames, rest } = scan(bytes);
  if (rest === 'damage') return 'is damaged';
  const content = readable(frames);
  if (typeof content === 'string') return content;
  if (isAnother(content, status)) return 'is a copy, or was put back from one';
  if (!seen) return 'has lost its lock file, which tells whether anything is missing';
  if (content.epoch !== seen.epoch) return 'is not the log that was here last';
  // An owner that was taken for gone may have put its file over that of its successor just before that one ended.
  if (content.by < seen.by) return 'is that of an owner that was succeeded';
  // Of a torn frame nobody ever heard. Where more is missing, somebody may have.
  if (content.number < seen.number) return 'lacks something that was acknowledged';
  return content;
}

/** @throws Error where a file that is no log stands in the place of the log. */
export function loadNow(disk: Disk, path: string, seen: Seen | undefined): Found {
  const read = disk.readNow(path);
  if (!read || read.bytes.length === 0) {
    const own = read && { own: read.status.id };
    return seen ? { why: read ? 'is empty' : 'is missing', ...own } : { ...own };
  }
  if (!seen && !looksLikeOurs(read.bytes))
    throw new Error(`log: ${path} is a file of something else; choose another path, or take it away`);
  const content = judge(read.bytes, read.status, seen);
  return typeof content === 'string' ? { why: content } : { content, own: read.status.id };
}
