/** The leases of an engine that runs in this process: who holds which, and what it has done. */
import type { Position } from '../../adapters/position.js';

export interface Claim {
  readonly fence: number;
  renew(): boolean;
  release(): void;
  checkpoint(): Position | undefined;
  moveCheckpoint(position: Position): boolean;
}

/** What is worth keeping of a lease when everybody who may hold it is gone. */
export interface KeptLease {
  readonly name: string;
  readonly fence: number;
  readonly checkpoint: Position | undefined;
}

export interface Leases {
  claim(name: string, ttlMs: number): Claim | undefined;
  kept(): readonly KeptLease[];
}

/** What is known of one lease. Names come from code, so they are few. */
interface LeaseState {
  fence: number;
  /** The fence of the holder; 0: released. */
  holder: number;
  until: number;
  checkpoint: Position | undefined;
}

/**
 * @param now milliseconds on a clock that never goes back.
 * @param from what an earlier run left; its holders are gone.
 */
export function createLeases(now: () => number, from: readonly KeptLease[] = []): Leases {
  const leases = new Map<string, LeaseState>(
    from.map(({ name, fence, checkpoint }) => [name, { fence, checkpoint, holder: 0, until: 0 }]),
  );
  return {
    claim(name, ttlMs) {
      const state = leases.get(name) ?? { fence: 0, holder: 0, until: 0, checkpoint: undefined };
      if (state.holder !== 0 && now() < state.until) return undefined;
      leases.set(name, state);
      const fence = ++state.fence;
      state.holder = fence;
      state.until = now() + ttlMs;
      return {
        fence,
        renew() {
          // Expired, but nobody has taken it since: it is still ours.
          if (state.holder !== fence) return false;
          state.until = now() + ttlMs;
          return true;
        },
        release() {
          if (state.holder === fence) state.holder = 0;
        },
        checkpoint: () => state.checkpoint,
        moveCheckpoint(position) {
          if (state.fence !== fence) return false;
          state.checkpoint = position;
          return true;
        },
      };
    },
    kept: () => [...leases].map(([name, { fence, checkpoint }]) => ({ name, fence, checkpoint })),
  };
}
