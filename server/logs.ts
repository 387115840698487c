/** The log that `NOTIFY_LISTEN_LOG` names. Those that need nothing but Node are loaded with the server. */
import type { Log } from '../adapters/contract.js';
import type { Settings } from './config.js';
import { isFileAddress, pathOf } from './log/file/address.js';
import { createFileLog } from './log/file.js';
import { createMemoryLog } from './log/memory.js';
import type { LogLine } from './types.js';

/** Which drivers this version carries. */
const LOGS: readonly string[] = ['memory:', 'file:'];

/** What is wrong with the address of a log, one sentence for each mistake. */
export function mistakesInLog(address: string): string[] {
  if (!LOGS.some((known) => address.startsWith(known))) {
    // An engine's URL may hold a password: only its scheme is told.
    const [scheme = 'no scheme'] = /^[a-z][a-z0-9+.-]*:/i.exec(address) ?? [];
    return [`NOTIFY_LISTEN_LOG names "${scheme}"; this version knows: ${LOGS.join(', ')}`];
  }
  try {
    if (isFileAddress(address)) pathOf(address);
    return [];
  } catch (error) {
    const { message } = error as Error;
    return [`NOTIFY_LISTEN_LOG: "${address}" ${message}; write file:./path or file:/path`];
  }
}

/** Whether other processes may be on it, so that its contents need the name of an environment. */
export function isShared(address: string): boolean {
  return address !== 'memory:' && !isFileAddress(address);
}

/** @throws Error when the log cannot be had: another process has its file, say. */
export function createLog(
  { log: address, retention }: Pick<Settings, 'log' | 'retention' | 'namespace'>,
  logger: (line: LogLine) => void,
): Log {
  return isFileAddress(address)
    ? createFileLog({ path: pathOf(address), retention, logger })
    : createMemoryLog({ retention });
}
