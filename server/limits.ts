/** How much one user may make this node do. Beyond a limit a client waits; it is never cut off for good. */
import { HttpError } from './http-error.js';
import type { Limits } from './types.js';

export const DEFAULT_LIMITS: Limits = {
  connectionsPerUser: 200,
  channelsPerConnection: 1_000,
  bodyBytes: 512 * 1024,
  openingsBurst: 100,
  openingsPerSecond: 5,
};

/** What a user must pass before it is served. */
export interface Gate {
  /**
   * Milliseconds that an opening must wait so that this user stays within the rate; 0: none. The opening is counted.
   */
  delay(user: string): number;
  /** The same for those who can be told to come back. @throws HttpError 429 with the time to wait. */
  pass(user: string): void;
  /** Counts a connection until the returned function is called. @throws HttpError 429 beyond the limit. */
  enter(user: string): () => void;
  /** Forgets users who are within their rate again, so that memory is bounded by the active ones. */
  sweep(): void;
}

interface Bucket {
  tokens: number;
  at: number;
}

/** `now` is a monotonic clock in milliseconds. */
export function createGate(limits: Limits, now: () => number): Gate {
  const connections = new Map<string, number>();
  const buckets = new Map<string, Bucket>();

  function refill(bucket: Bucket): void {
    const time = now();
    bucket.tokens = Math.min(
      limits.openingsBurst,
      bucket.tokens + ((time - bucket.at) / 1_000) * limits.openingsPerSecond,
    );
    bucket.at = time;
  }

  function delay(user: string): number {
    let bucket = buckets.get(user);
    if (!bucket) {
      bucket = { tokens: limits.openingsBurst, at: now() };
      buckets.set(user, bucket);
    }
    refill(bucket);
    // A debt of more than one burst is not written up: a loop must not lock its user out for hours.
    bucket.tokens = Math.max(bucket.tokens - 1, -limits.openingsBurst);
    return bucket.tokens >= 0 ? 0 : Math.ceil((-bucket.tokens / limits.openingsPerSecond) * 1_000);
  }

  return {
    delay,
    pass(user) {
      const wait = delay(user);
      if (wait > 0)
        throw new HttpError(429, 'limit', 'Connections are opened too fast.', { retryAfter: Math.ceil(wait / 1_000) });
    },
    enter(user) {
      const open = connections.get(user) ?? 0;
      if (open >= limits.connectionsPerUser) {
        throw new HttpError(429, 'limit', `At most ${limits.connectionsPerUser} connections of one user are served.`, {
          retryAfter: 5,
        });
      }
      connections.set(user, open + 1);
      let left = false;
      return () => {
        if (left) return;
        left = true;
        const rest = (connections.get(user) ?? 1) - 1;
        if (rest > 0) connections.set(user, rest);
        else connections.delete(user);
      };
    },
    sweep() {
      for (const [user, bucket] of buckets) {
        refill(bucket);
        if (bucket.tokens >= limits.openingsBurst) buckets.delete(user);
      }
    },
  };
}
