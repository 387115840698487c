/**
 * The log in a file, for one process on one machine: what it acknowledged is there after a restart, a `kill -9` and a
 * power loss. See docs/file-log.md.
 */
import type { Log } from '../../adapters/contract.js';
import { consoleLogger, unbreakable } from '../reporting.js';
import type { LogLine } from '../types.js';
import { openFileEngine } from './file/engine.js';
import { nodeDisk } from './file/node-disk.js';
import { createHandle } from './handle.js';
import { MAX_ENTRIES, RETENTION } from './window.js';

export interface FileLogOptions {
  /**
   * The file; it and its folder are made where they are missing. A relative path begins in the working directory of this
   * moment. Beside it stands `<path>.lock-<n>`, and for a while `<path>.new-<n>` and `<path>.aside-<n>`.
   */
  readonly path: string;
  /** How long an entry is kept, in milliseconds of a running log. Default 7 min. */
  readonly retention?: number;
  /** How many entries are kept. Default 20,000. */
  readonly cap?: number;
  /** Gets what the operator should know: files that were set aside, a disk that fails. Default: `console`. */
  readonly logger?: (line: LogLine) => void;
}

/**
 * Opens the log in a file. It blocks for as long as reading the file takes; when another process, of which it cannot be
 * told whether it still runs, had the file last, for 3.5 s more.
 *
 * After `close`, everything but `close` rejects.
 *
 * @throws Error when the file cannot be had: another process or another log of this one has it, the file or the folder
 * may not be read or written, or the file is one of something else.
 */
export function createFileLog(options: FileLogOptions): Log {
  const { path, retention = RETENTION, cap = MAX_ENTRIES, logger = consoleLogger } = options;
  const engine = openFileEngine({
    path,
    retention,
    cap,
    logger: unbreakable(logger),
    disk: nodeDisk,
    now: () => performance.now(),
    wall: () => Date.now(),
    repeat,
  });
  return createHandle(engine, {
    name: 'file',
    capabilities: { shared: false, durable: true, dedupes: true },
    close: engine.close,
  });
}

function repeat(run: () => void, ms: number): () => void {
  const timer = setInterval(run, ms);
  timer.unref();
  return () => clearInterval(timer);
}
