/** The status: an immutable snapshot, made anew only when something in it changed. */
import type { ListenError } from '../../adapters/errors.js';
import type { Retry } from './backoff.js';
import type { Connection } from './connection.js';
import { createWatchers, type Report } from './guard.js';
import type { ConnectionState, ListenStatus } from './types.js';

/**
 * What the parts are about, as one state.
 *
 * @param ended why there is no connection and none is tried: the state, and the error if it was one
 * @param uncovered a listener's channel is not covered by the current link; asked only when it matters, for it looks at all
 * @param configured the adapter that the server is configured for
 */
export function describe(
  connection: Connection,
  access: Retry,
  ended: ConnectionState | undefined,
  fault: ListenError | undefined,
  uncovered: () => boolean,
  configured: string | undefined,
): ListenStatus {
  const { retry } = connection;
  const current = connection.current();
  // While nothing fails, what is not covered yet is on its way; once something does, the page must not look live.
  const error = fault ?? retry.error ?? access.error;
  const at = retry.at ?? access.at;
  if (!ended && current && !(error && uncovered())) {
    const { via } = current;
    return { state: 'connected', via, degraded: connection.degraded() || (configured ?? via) !== via };
  }
  const state = ended ?? (connection.tried() || error ? 'reconnecting' : 'connecting');
  return {
    state,
    degraded: false,
    ...(error && state !== 'initial' && { error }),
    ...(at && state === 'reconnecting' && { retryAt: at }),
  };
}

export interface Status {
  get(): ListenStatus;
  watch(changed: () => void): () => void;
  /** Compares, and tells those who watch. */
  update(): void;
}

/** What of a status can be compared. */
const textOf = (status: ListenStatus): string => JSON.stringify([status, status.error?.message]);

export function createStatus(compute: () => ListenStatus, report: Report): Status {
  const [watch, tell] = createWatchers(report);
  let status: ListenStatus = { state: 'initial', degraded: false };
  let text = textOf(status);
  return {
    get: () => status,
    watch,
    update() {
      const next = compute();
      const now = textOf(next);
      if (now === text) return;
      text = now;
      status = next;
      tell();
    },
  };
}
