/** The status: an immutable snapshot, made anew only when something in it changed. */
import type { ListenError } from '../../adapters/errors.js';
import type { Access } from './access.js';
import type { Connection } from './connection.js';
import type { ConnectionState, ListenStatus } from './types.js';

export interface StatusSource {
  readonly wanted: boolean;
  readonly stopped: boolean;
  readonly out: ListenError | undefined;
  readonly fatal: ListenError | undefined;
  readonly connection: Connection;
  readonly access: Access;
  /** A listener's channel is not covered by the current link. */
  readonly uncovered: boolean;
  /** The adapter that the server is configured for. */
  readonly configured: string | undefined;
}

export interface Status {
  get(): ListenStatus;
  watch(changed: () => void): () => void;
  /** Compares, and tells those who watch. */
  update(): void;
}

export function createStatus(source: () => StatusSource, report: (error: unknown) => void): Status {
  const watchers = new Set<() => void>();
  let status: ListenStatus = { state: 'initial', degraded: false };
  let text = JSON.stringify(status);

  function compute({
    wanted,
    stopped,
    out,
    fatal,
    connection,
    access,
    uncovered,
    configured,
  }: StatusSource): ListenStatus {
    const { current, via, tried } = connection;
    // While nothing fails, what is not covered yet is on its way; once something does, the page must not look live.
    const error = out ?? fatal ?? connection.error ?? access.error;
    const live = current && !(uncovered && error);
    const due = connection.retryAt ?? access.retryAt;
    let state: ConnectionState = 'reconnecting';
    if (stopped || out) state = 'disconnected';
    else if (fatal) state = 'failed';
    else if (!wanted) state = 'initial';
    else if (live) state = 'connected';
    else if (!tried && !error) state = 'connecting';
    return {
      state,
      ...(state === 'connected' && via !== undefined && { via }),
      degraded: state === 'connected' && (connection.degraded || (configured !== undefined && via !== configured)),
      ...(state !== 'connected' && state !== 'initial' && error && { error }),
      ...(state === 'reconnecting' && due !== undefined && { retryAt: due }),
    };
  }

  return {
    get: () => status,
    watch(changed) {
      // One entry for each call, so that the same function given twice is called, and stopped, twice.
      const watcher = () => changed();
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    update() {
      const next = compute(source());
      const { error, ...rest } = next;
      const now = JSON.stringify([rest, error?.code, error?.message]);
      if (now === text) return;
      text = now;
      status = next;
      for (const watcher of [...watchers]) {
        try {
          watcher();
        } catch (error) {
          report(error);
        }
      }
    },
  };
}
