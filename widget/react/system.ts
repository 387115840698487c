/** One system to listen to: a client that is made when it is first needed and ended when its provider has left. */
import { ListenError } from '../../adapters/errors.js';
import { normaliseActions } from '../client/actions.js';
import { DEV } from '../client/dev.js';
import { createListenClient } from '../client/index.js';
import type { Actions, CallbackRegistry, ListenClient, ListenClientOptions, ListenStatus } from '../client/types.js';

/** What a provider was given: a ready client, or the options to make one. */
export type SystemSettings = ListenClientOptions & { readonly client?: ListenClient | undefined };

export interface System {
  /** Why there is none: no provider of this name. Only in production; in development that is thrown. */
  readonly problem?: ListenError;
  /** The client. Making one has no effect outside it, so a render may ask, and a discarded render leaves nothing. */
  client(): ListenClient;
  status(): ListenStatus;
  onStatus(changed: () => void): () => void;
  /** For an error that belongs to no row: the newest `onError`, else the console. */
  report(error: unknown): void;
  /**
   * Throws, in development, for an action list that cannot be. With a ready client the names of its own callbacks are
   * not known here; it checks them when it listens.
   */
  check(actions: Actions, own: CallbackRegistry | undefined): void;
  /** Makes the names of the registry known, at render: widgets inside may use a name that the same render brings. */
  announce(callbacks: CallbackRegistry | undefined): void;
  /** Takes the settings of the newest commit. */
  update(settings: SystemSettings): void;
  /** A provider stands for this system. Returns the function by which it leaves. */
  attach(): () => void;
}

/** `url`, `credentials`, `adapters`, `world` and `lifecycle` are taken when the client is made, the rest at each use. */
export function createSystem(initial: SystemSettings): System {
  let settings = initial;
  let made: ListenClient | undefined;
  let providers = 0;
  const callbacks: Record<string, CallbackRegistry[string]> = {};

  function make(): ListenClient {
    return createListenClient({
      ...settings,
      callbacks,
      headers: () => (typeof settings.headers === 'function' ? settings.headers() : (settings.headers ?? {})),
      onError: report,
      // Without the option the client waits for `reconnect()`: so does a promise that never resolves.
      onUnauthenticated: () => (settings.onUnauthenticated ? settings.onUnauthenticated() : new Promise(() => {})),
      onTrace: (trace) => settings.onTrace?.(trace),
    });
  }

  function report(error: unknown): void {
    if (settings.onError) settings.onError(error);
    else console.error(error);
  }

  /** The registry that the client holds stays one object; each of its functions looks up the newest of its name. */
  function announce(registry: CallbackRegistry = {}): void {
    for (const name of Object.keys(registry)) {
      callbacks[name] ??= (refresh, error) => {
        const newest = settings.callbacks?.[name];
        if (!newest) throw new ListenError('configuration', `no callback ${name}`);
        return newest(refresh, error);
      };
    }
  }

  function client(): ListenClient {
    if (settings.client) return settings.client;
    made ??= make();
    return made;
  }

  return {
    client,
    status: () => client().status(),
    onStatus: (changed) => client().onStatus(changed),
    report,
    check(actions, own) {
      if (DEV && !settings.client) normaliseActions(actions, { registries: () => [own, callbacks] });
    },
    announce,
    update(newest) {
      settings = newest;
      for (const name of Object.keys(callbacks)) if (!settings.callbacks?.[name]) delete callbacks[name];
    },
    attach() {
      providers++;
      return () => {
        providers--;
        // StrictMode leaves and comes back within one turn; the listeners of the page leave in this turn too.
        queueMicrotask(() => {
          if (providers > 0) return;
          made?.close();
          made = undefined; // a page that is shown again (Activity) gets a new one
        });
      };
    },
  };
}

/** Stands for a system that is not there. */
export function createAbsentSystem(problem: ListenError, report: System['report'] = console.error): System {
  const status: ListenStatus = { state: 'failed', degraded: false, error: problem };
  return {
    ...createSystem({}),
    problem,
    client() {
      throw problem;
    },
    status: () => status,
    onStatus: () => () => {},
    report,
  };
}
