/**
 * Which process has a lock, and whether it still runs. Numbers of processes come again, so on Linux a process is known
 * by its start time too, within one boot and one space of numbers (a container has a space of its own). Elsewhere, and
 * for a process of another container, it stays unknown, and the sign of life in the lock decides.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';

export interface Owner {
  readonly pid: number;
  /** In ticks since the boot; `''` where it cannot be told, as the next two. */
  readonly start: string;
  readonly boot: string;
  readonly space: string;
  /** Made by the process: equal only within it. */
  readonly token: string;
}

export type Fate = 'here' | 'runs' | 'gone' | 'unknown';

function readOr(read: () => string): string {
  try {
    return read().trim();
  } catch {
    return '';
  }
}

/** State and start time of a process: the third and the 22nd field; the second may hold blanks and brackets. */
function statOf(pid: number | 'self'): { readonly state: string; readonly start: string } | undefined {
  const text = readOr(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, start] = [fields[0], fields[19]];
  return text !== '' && state !== undefined && start !== undefined ? { state, start } : undefined;
}

/** One for all copies of this package in the process. */
const TOKEN: unique symbol = Symbol.for('notify-listen.process');

export function thisProcess(): Owner {
  const shared = globalThis as { [TOKEN]?: string };
  shared[TOKEN] ??= randomUUID();
  return {
    pid: process.pid,
    start: statOf('self')?.start ?? '',
    boot: readOr(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')),
    space: readOr(() => readlinkSync('/proc/self/ns/pid')),
    token: shared[TOKEN],
  };
}

/** What has become of the owner of a lock, as far as this process can tell. */
export function fateOf(owner: Owner, self: Owner = thisProcess()): Fate {
  if (owner.token === self.token) return 'here';
  const sameSpace = owner.boot !== '' && owner.boot === self.boot && owner.space !== '' && owner.space === self.space;
  // Another boot may as well be another machine on a shared file system.
  if (!sameSpace) return 'unknown';
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return 'gone';
  }
  const found = statOf(owner.pid);
  if (!found) return 'unknown'; // of another user, and hidden
  // Killed, but its parent has not asked for it yet.
  if (found.state === 'Z' || found.state === 'X') return 'gone';
  return found.start === owner.start ? 'runs' : 'gone';
}
