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

export function useLoaded<T>(path: string): Loaded<T> {
  const [loadedAt] = useState(() => Date.now());
  const [state, setState] = useState<State<T>>({ data: undefined, missing: false, error: undefined });
  // Answers may overtake each other: only that of the newest request counts.
  const newest = useRef(0);

  const reload = useCallback(async () => {
    newest.current += 1;
    const turn = newest.current;
    const show = (change: Partial<State<T>>): void => {
      if (turn === newest.current) setState((old) => ({ ...old, missing: false, error: undefined, ...change }));
    };
    try {
      show({ data: await get<T>(path) });
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return show({ data: undefined, missing: true });
      show({ error: error instanceof Error ? error.message : String(error) });
      throw error;
    }
  }, [path]);

  const put = useCallback((data: T) => {
    newest.current += 1;
    setState({ data, missing: false, error: undefined });
  }, []);

  useEffect(() => {
    // The failure is shown; the next try is the listener's or the reader's.
    reload().catch(() => undefined);
  }, [reload]);

  return { ...state, loadedAt, reload, put };
}
