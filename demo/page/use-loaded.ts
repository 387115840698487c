/** Loads something from the API, and again whenever asked. */
import { useCallback, useEffect, useRef, useState } from 'react';
import { ApiError, get } from './api.js';

export interface Loaded<T> {
  /** What was loaded last; kept while something newer is on its way. */
  readonly data: T | undefined;
  /** It is not there, or not for this person. */
  readonly missing: boolean;
  /** Why the newest load failed. */
  readonly error: string | undefined;
  /** When the first load began: from then on a change must not be missed. */
  readonly loadedAt: number;
  /** Begins a new read. Rejects when it fails, so that the listener tries again. */
  readonly reload: () => Promise<void>;
  /** Shows what an answer of the server brought anyway. */
  readonly put: (data: T) => void;
}

interface State<T> {
  readonly data: T | undefined;
  readonly missing: boolean;
  readonly error: string | undefined;
}

/**
 * @param isOlder Tells of an answer that it is older than what is shown, and not to be shown. The answer of a change and
 *   that of a read may overtake each other; without it only reads are kept in order.
 */
export function useLoaded<T>(path: string, isOlder?: (next: T, shown: T) => boolean): Loaded<T> {
  const [loadedAt] = useState(() => Date.now());
  const [state, setState] = useState<State<T>>({ data: undefined, missing: false, error: undefined });
  // Answers may overtake each other: only that of the newest request counts.
  const newest = useRef(0);

  const rule = useRef(isOlder);
  rule.current = isOlder;

  const put = useCallback((next: T) => {
    setState(({ data: shown }) => {
      const data = shown !== undefined && rule.current?.(next, shown) ? shown : next;
      return { data, missing: false, error: undefined };
    });
  }, []);

  const reload = useCallback(async () => {
    newest.current += 1;
    const turn = newest.current;
    try {
      const data = await get<T>(path);
      if (turn === newest.current) put(data);
    } catch (error) {
      const missing = error instanceof ApiError && error.status === 404;
      const message = error instanceof Error ? error.message : String(error);
      if (turn === newest.current) {
        setState(({ data }) =>
          missing ? { data: undefined, missing, error: undefined } : { data, missing, error: message },
        );
      }
      if (!missing) throw error;
    }
  }, [path, put]);

  useEffect(() => {
    // The failure is shown; the next try is the listener's or the reader's.
    reload().catch(() => undefined);
  }, [reload]);

  return { ...state, loadedAt, reload, put };
}
