/** The tails on an engine that runs in this process: each gets the window, then everything that is accepted after it. */
import type { Logged, LogWindow, TailSink } from '../../adapters/contract.js';

export interface Follower {
  readonly start: LogWindow;
  readonly loaded: Promise<void>;
  /** Resolves once everything accepted so far was given to the sink. */
  caughtUp(): Promise<void>;
  stop(): void;
}

export interface Followers {
  follow(sink: TailSink, start: LogWindow, window: readonly Logged[]): Follower;
  give(added: readonly Logged[]): void;
  /** The engine cannot be followed any more. */
  fail(error: unknown): void;
}

export function createFollowers(): Followers {
  const followers = new Set<{ pump(): void; fail(error: unknown): void; pending: Logged[] }>();
  let pumping = false;
  const now = Promise.resolve();

  /** Followers are called from a microtask: never inside a call of `append`, and without the latency of a timer. */
  function schedule(): void {
    if (pumping) return;
    pumping = true;
    // Node's `queueMicrotask` makes a resource for its hooks each time, which costs several times as much.
    void now.then(pump);
  }

  function pump(): void {
    pumping = false;
    // A set that is walked leaves out what was taken out meanwhile.
    for (const follower of followers) follower.pump();
  }

  return {
    give(added) {
      if (added.length === 0) return;
      for (const follower of followers) for (const logged of added) follower.pending.push(logged);
      schedule();
    },

    fail(error) {
      queueMicrotask(() => {
        for (const follower of [...followers]) follower.fail(error);
      });
    },

    follow(sink, start, window) {
      let isLoaded: () => void = () => {};
      const loaded = new Promise<void>((resolve) => {
        isLoaded = resolve;
      });
      const waiting: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];

      function give(batch: readonly Logged[]): void {
        if (batch.length === 0) return;
        try {
          sink.entries(batch);
        } catch (error) {
          sink.failed(error); // one reader's mistake must not stop the others
        }
      }

      let loading = true;
      const follower = {
        pending: [] as Logged[],
        pump(): void {
          if (loading) {
            loading = false;
            give(window);
            isLoaded();
          }
          // Stopped by its own sink in the middle: nothing more may be given.
          if (followers.has(follower)) {
            const batch = follower.pending;
            follower.pending = [];
            give(batch);
          }
          if (waiting.length > 0 && follower.pending.length === 0)
            for (const { resolve } of waiting.splice(0)) resolve();
        },
        fail: (error: unknown): void => sink.failed(error),
      };
      followers.add(follower);
      schedule();

      return {
        start,
        loaded,
        caughtUp: () =>
          new Promise((resolve, reject) => {
            if (!followers.has(follower)) reject(new Error('log: the tail is closed'));
            else if (!loading && follower.pending.length === 0) resolve();
            else waiting.push({ resolve, reject });
          }),
        stop() {
          followers.delete(follower);
          isLoaded();
          for (const { reject } of waiting.splice(0)) reject(new Error('log: the tail was closed'));
        },
      };
    },
  };
}
