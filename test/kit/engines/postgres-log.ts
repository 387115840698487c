/** Nodes on a Postgres log, and what tests ask of them. */
import { randomUUID } from 'node:crypto';
import { onTestFinished } from 'vitest';
import type { Log } from '../../../adapters/contract.js';
import { type Reader, read } from '../../../adapters/testing/reader.js';
import { createPostgresLog, type PostgresLogOptions } from '../../../server/log/postgres.js';
import type { LogLine } from '../../../server/types.js';
import { note } from '../entries.js';

/** How long a tail is waited for, in milliseconds. */
const PATIENCE = 20_000;

export interface PostgresNode {
  readonly log: Log;
  readonly namespace: string;
  readonly lines: readonly LogLine[];
}

/** What is freed when a test ends; a test that runs beside others says itself when that is. */
export type Finished = (free: () => Promise<void>) => void;

/** A log until the test ends, by default in a namespace of its own. */
export function open(
  options: Partial<PostgresLogOptions> & Pick<PostgresLogOptions, 'url'>,
  finished: Finished = onTestFinished,
): PostgresNode {
  const lines: LogLine[] = [];
  const namespace = options.namespace ?? randomUUID();
  const log = createPostgresLog({ ...options, namespace, logger: (line) => lines.push(line) });
  finished(() => log.close());
  return { log, namespace, lines };
}

export const follow = (log: Log): Promise<Reader> => read(log, PATIENCE);

/** The ids of all notifications that a tail gave. */
export function ids({ seen }: Reader): string[] {
  return seen.flatMap(({ entry }) => (entry.kind === 'notification' ? [entry.notification.id ?? ''] : []));
}

/** Resolves when the tail has given the notification of `Order/id`. */
export async function heard(reader: Reader, id: string): Promise<void> {
  await reader.until(({ entry }) => entry.kind === 'notification' && entry.notification.id === id, `Order/${id}`);
}

/** Appends a marker and waits for it: whatever was appended before has come by then, or never will. */
export async function marked(log: Log, reader: Reader, id = `marker ${randomUUID()}`): Promise<void> {
  await log.append([note(id)]);
  await heard(reader, id);
}
