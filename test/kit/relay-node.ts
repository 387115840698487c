/** One node of a cluster, as far as the relay needs it: the real log, follower and history; faults by hand. */
import type { Lease, Log } from '../../adapters/contract.js';
import type { Position } from '../../adapters/position.js';
import type { ProviderAdapter } from '../../adapters/provider.js';
import { type Audience, createAudience } from '../../server/audience.js';
import { createFollower, type Follower } from '../../server/follower.js';
import { createRelay, type Relay } from '../../server/relay.js';
import type { LogLine } from '../../server/types.js';

export interface RelayNode {
  readonly relay: Relay;
  readonly follower: Follower;
  readonly audience: Audience;
  readonly errors: unknown[];
  readonly lines: LogLine[];
  /** Every checkpoint that it has moved. */
  readonly checkpoints: Position[];
  /** What the engine says about the lease from now on. Default: the truth. */
  engine: 'works' | 'fails' | 'hangs' | 'gone';
  /** The process is gone: nothing that it does reaches anybody any more. */
  kill(): void;
}

export interface RelayNodeOptions {
  readonly grantLife?: number;
  readonly retention?: number;
  readonly cap?: number;
  readonly random?: () => number;
}

export function relayNode(log: Log, adapter: ProviderAdapter, options: RelayNodeOptions = {}): RelayNode {
  const { grantLife = 300_000, retention = 420_000, cap = 100_000, random = () => 0.5 } = options;
  const monotonic = (): number => performance.now();
  const errors: unknown[] = [];
  const lines: LogLine[] = [];
  const checkpoints: Position[] = [];
  let dead = false;

  const forever = new Promise<never>(() => {});
  const asking = async <T>(ask: () => Promise<T>): Promise<T> => {
    if (dead || node.engine === 'hangs') return forever;
    if (node.engine === 'fails') throw new Error('the engine does not answer');
    return ask();
  };
  const watched: Log = {
    ...log,
    async lease(name, ttl) {
      const lease = await asking(() => log.lease(name, ttl));
      if (!lease) return undefined;
      const whole: Lease = {
        fence: lease.fence,
        renew: () => asking(async () => node.engine !== 'gone' && lease.renew()),
        release: () => asking(() => lease.release()),
        checkpoint: () => asking(() => lease.checkpoint()),
        moveCheckpoint: (position) =>
          asking(async () => {
            const moved = node.engine !== 'gone' && (await lease.moveCheckpoint(position));
            if (moved) checkpoints.push(position);
            return moved;
          }),
      };
      return whole;
    },
  };
  const audience = createAudience(() => Date.now(), 1_000);
  const follower = createFollower({
    log,
    retention,
    cap,
    heartbeat: 15_000,
    monotonic,
    onError: (error) => errors.push(error),
    deliver: (logged) => dead || relay.deliver(logged),
    lost: (start) => dead || relay.lost(start),
    beat: () => {},
  });
  const relay = createRelay({
    log: watched,
    follower,
    adapter: {
      ...adapter,
      publish: (batch) => (dead ? forever : adapter.publish(batch)),
      revoke: (users, channels) => (dead ? forever : adapter.revoke(users, channels)),
    },
    audience,
    grantLife,
    monotonic,
    random,
    onError: (error) => errors.push(error),
    logger: (line) => lines.push(line),
  });
  const node: RelayNode = {
    relay,
    follower,
    audience,
    errors,
    lines,
    checkpoints,
    engine: 'works',
    kill() {
      dead = true;
      void follower.close();
    },
  };
  return node;
}
