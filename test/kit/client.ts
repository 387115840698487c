/** A client between a scripted server and a virtual world, with everything that it says on record. */
import type { ListenError } from '../../adapters/errors.js';
import {
  createListenClient,
  type ListenClient,
  type ListenClientOptions,
  type Refresh,
  type Trace,
} from '../../widget/client/index.js';
import { createScriptedServer, type ScriptedServer } from './scripted-server.js';
import { createTestLifecycle, createTestWorld, type TestLifecycle, type TestWorld } from './world.js';

export interface Bench {
  readonly server: ScriptedServer;
  readonly world: TestWorld;
  readonly lifecycle: TestLifecycle;
  readonly client: ListenClient;
  readonly errors: (ListenError | Error)[];
  readonly traces: Trace[];
  /** A callback that records what it was told. */
  recorder(act?: (refresh: Refresh) => unknown): { (refresh: Refresh): unknown; readonly runs: Refresh[] };
}

export function createBench(options: ListenClientOptions = {}): Bench {
  const server = createScriptedServer();
  const world = createTestWorld((input, init) => server.fetch(input, init));
  const lifecycle = createTestLifecycle();
  const errors: Bench['errors'] = [];
  const traces: Trace[] = [];
  const client = createListenClient({
    world,
    lifecycle,
    onError: (error) => errors.push(error as Error),
    onTrace: (trace) => traces.push(trace),
    ...options,
  });
  return {
    server,
    world,
    lifecycle,
    client,
    errors,
    traces,
    recorder(act) {
      const runs: Refresh[] = [];
      return Object.assign(
        (refresh: Refresh) => {
          runs.push(refresh);
          return act?.(refresh);
        },
        { runs },
      );
    },
  };
}

/** A promise's fate as text: `pending`, `resolved`, or the code of its rejection. */
export function fateOf(promise: Promise<unknown>): { fate: string } {
  const watched = { fate: 'pending' };
  promise.then(
    () => {
      watched.fate = 'resolved';
    },
    (error: ListenError) => {
      watched.fate = error.code ?? String(error);
    },
  );
  return watched;
}
