/** A file log on a disk that the test holds in its hand, and what it says, as short as tests want to read it. */
import type { Log, LogEntry, Logged, LogWindow, Tail } from '../../adapters/contract.js';
import { type FileEngine, type FileEngineOptions, openFileEngine } from '../../server/log/file/engine.js';
import type { Owner } from '../../server/log/file/owner.js';
import { createHandle } from '../../server/log/handle.js';
import type { LogLine } from '../../server/types.js';
import type { MortalDisk } from './mortal-disk.js';

export const FOLDER = '/data';
export const PATH: string = `${FOLDER}/notify.log`;
export const RETENTION = 60_000;

let processes = 0;

/** Another process, at every call. */
export function aProcess(): Owner {
  processes += 1;
  return { pid: processes, start: String(processes), boot: 'b', space: 's', token: `t${processes}` };
}

export interface TestLog {
  readonly log: Log;
  readonly engine: FileEngine;
  /** Everything that a tail gave which began with the log. */
  readonly seen: Logged[];
  readonly lines: LogLine[];
  readonly start: LogWindow;
  readonly tail: Tail;
  /** Resets and failures that the tail was told. */
  readonly faults: unknown[];
  /** Moves the clock that never goes back. */
  pass(ms: number): void;
  /** What the log does every second. */
  beat(): void;
}

export interface TestLogOptions extends Partial<FileEngineOptions> {
  readonly disk: MortalDisk;
}

/** Opens a log as a process whose predecessors are all gone. */
export function openLog(options: TestLogOptions): Omit<TestLog, 'start' | 'tail'> & { follow(): Promise<TestLog> } {
  let time = 1_000;
  let beat: () => void = () => {};
  const lines: LogLine[] = [];
  const seen: Logged[] = [];
  const faults: unknown[] = [];
  const engine = openFileEngine({
    path: PATH,
    retention: RETENTION,
    cap: 1_000,
    logger: (line) => lines.push(line),
    now: () => time,
    wall: () => 1_700_000_000_000,
    repeat(run) {
      beat = run;
      return () => {};
    },
    owner: aProcess(),
    fateOf: () => 'gone',
    ...options,
  });
  const log = createHandle(engine, {
    name: 'file',
    capabilities: { shared: false, durable: true, dedupes: true },
    close: engine.close,
  });
  const opened = {
    ...{ log, engine, seen, lines, faults },
    pass(ms: number) {
      time += ms;
    },
    beat: () => beat(),
  };
  return {
    ...opened,
    async follow() {
      const tail = await log.tail({
        entries: (batch) => seen.push(...batch),
        reset: (start) => faults.push(start),
        failed: (error) => faults.push(error),
      });
      return { ...opened, tail, start: tail.start };
    },
  };
}

export function order(id: string | number, more: object = {}): LogEntry {
  return {
    kind: 'notification',
    notification: { entity: 'Order', id: String(id), action: 'updated', changedDate: 1 },
    ...more,
  };
}

export const idsOf = (logged: readonly Logged[]): string[] =>
  logged.map(({ entry }) => (entry.kind === 'notification' ? String(entry.notification.id) : entry.kind));
