/**
 * How much one user may make the nodes do. Beyond a limit a client waits; it is never cut off for good. Nodes know of each
 * other by totals that are seconds old, so together they may allow up to twice a limit.
 */
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
  /** Connections of this node by user, of those of whom other nodes must know. Begins a new time between two looks. */
  report(): ReadonlyMap<string, number>;
  /** Forgets users who are within their rate again, so that memory is bounded by the active ones. */
  sweep(): void;
}

interface Bucket {
  tokens: number;
  at: number;
}

/** What the other nodes have. */
export interface OtherNodes {
  /** How many nodes there are, this one included. */
  nodes(): number;
  ofUser(user: string): number;
}

const NONE: OtherNodes = { nodes: () => 1, ofUser: () => 0 };

/** `now` is a monotonic clock in milliseconds. */
export function createGate(limits: Limits, now: () => number, others: OtherNodes = NONE): Gate {
  const connections = new Map<string, number>();
  /** How many more of a user's there are than other nodes can know. */
  const grown = new Map<string, number>();
  const buckets = new Map<string, Bucket>();

  /** This node's part of a rate: twice its share, since a user's connections need not be spread evenly. */
  const part = (): number => Math.min(1, 2 / others.nodes());
  const burst = (): number => Math.max(1, limits.openingsBurst * part());
  /** What is kept back for what nodes do not tell of, and for what comes between two looks: half a limit each. */
  const margin = (): number => Math.max(1, Math.floor(limits.connectionsPerUser / (2 * others.nodes())));

  function mayEnter(user: string, open: number): boolean {
    if (others.nodes() === 1) return open < limits.connectionsPerUser;
    return open + others.ofUser(user) < limits.connectionsPerUser && (grown.get(user) ?? 0) < margin();
  }

  function book(counts: Map<string, number>, user: string, more: 1 | -1): void {
    const rest = (counts.get(user) ?? 0) + more;
    if (rest > 0) counts.set(user, rest);
    else counts.delete(user);
  }

  function refill(bucket: Bucket): void {
    const time = now();
    const gained = ((time - bucket.at) / 1_000) * limits.openingsPerSecond * part();
    bucket.tokens = Math.min(burst(), bucket.tokens + gained);
    bucket.at = time;
  }

  function delay(user: string): number {
    let bucket = buckets.get(user);
    if (!bucket) {
      bucket = { tokens: burst(), at: now() };
      buckets.set(user, bucket);
    }
    refill(bucket);
    // A debt of more than one burst is not written up: a loop must not lock its user out for hours.
    bucket.tokens = Math.max(bucket.tokens - 1, -burst());
    return bucket.tokens >= 0 ? 0 : Math.ceil((-bucket.tokens / (limits.openingsPerSecond * part())) * 1_000);
  }

  return {
    delay,
    pass(user) {
      const wait = delay(user);
      if (wait > 0)
        throw new HttpError(429, 'limit', 'Connections are opened too fast.', { retryAfter: Math.ceil(wait / 1_000) });
    },
    enter(user) {
      if (!mayEnter(user, connections.get(user) ?? 0)) {
        throw new HttpError(429, 'limit', `At most ${limits.connectionsPerUser} connections of one user are served.`, {
          retryAfter: 5,
        });
      }
      book(connections, user, 1);
      book(grown, user, 1);
      let left = false;
      return () => {
        if (left) return;
        left = true;
        book(connections, user, -1);
        book(grown, user, -1);
      };
    },
    report() {
      grown.clear();
      const known = margin();
      return new Map([...connections].filter(([, open]) => open >= known));
    },
    sweep() {
      for (const [user, bucket] of buckets) {
        refill(bucket);
        if (bucket.tokens >= burst()) buckets.delete(user);
      }
    },
  };
}
