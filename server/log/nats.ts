/**
 * The log in NATS JetStream, for many processes on many machines. The official client `nats` is loaded with the first use.
 * See docs/nats.md for what it needs, what can be lost when, and how it works.
 */
import type { Log } from '../../adapters/contract.js';
import { consoleLogger, unbreakable } from '../reporting.js';
import type { LogLine } from '../types.js';
import { createNatsDriver } from './nats/driver.js';
import { isReplicas, readNatsUrl } from './nats/url.js';
import type { NatsModule } from './nats/wire.js';
import { createSharedLog } from './shared/log.js';
import { RETENTION } from './window.js';

export { mistakesInNatsUrl } from './nats/url.js';

/** How many entries are kept: what the compacted history of a node holds, too. */
const CAP = 100_000;
/** JetStream lets nothing expire earlier, in milliseconds. */
const SHORTEST = 100;

export interface NatsLogOptions {
  /**
   * `nats://` or `tls://`, `user:password@` or `token@`, one or several `host:port` separated by commas, and parameters:
   * `replicas`, `durable`, `creds`, `ca`. See docs/nats.md.
   */
  readonly url: string;
  /**
   * Goes into the names of streams and subjects: 1 to 40 letters, digits, `_` or `-`. Default `default`, as that of
   * `NOTIFY_LISTEN_NAMESPACE`.
   */
  readonly namespace?: string;
  /** How long an entry is kept, in milliseconds. Default 7 min; at least 100. */
  readonly retention?: number;
  /** How many messages are kept, each of at least one entry; and 2 KiB of the disk for each. Default 100,000. */
  readonly cap?: number;
  /** Copies of new streams; wins over the URL. Default: 3 when the server is in a cluster, else 1. */
  readonly replicas?: number;
  /** Gets what the operator should know. Default: `console`. */
  readonly logger?: (line: LogLine) => void;
}

/**
 * Makes a log on a NATS server or cluster. Nothing is connected before it is used; then a call that the engine does not
 * answer rejects within 3 s, and the next one tries again.
 *
 * After `close`, everything but `close` rejects.
 *
 * @throws Error that names every mistake of the URL; RangeError for an option outside its range.
 */
export function createNatsLog(options: NatsLogOptions): Log {
  const { url, namespace = 'default', retention = RETENTION, cap = CAP, logger = consoleLogger } = options;
  const address = readNatsUrl(url);
  const replicas = options.replicas ?? address.replicas;
  if (!/^[\w-]{1,40}$/.test(namespace)) throw new RangeError('namespace must be 1 to 40 letters, digits, "_" or "-"');
  if (!(retention >= SHORTEST)) throw new RangeError(`retention must be at least ${SHORTEST} ms`);
  if (!Number.isInteger(cap) || cap < 1) throw new RangeError('cap must be a whole number above 0');
  if (replicas !== undefined && !isReplicas(replicas))
    throw new RangeError('replicas must be a whole number from 1 to 5');
  return createSharedLog(
    createNatsDriver({ load, address, namespace, retention, cap, replicas, logger: unbreakable(logger) }),
  );
}

let loading: Promise<NatsModule> | undefined;

function load(): Promise<NatsModule> {
  loading ??= (async () => {
    try {
      const { connect, headers, createInbox, credsAuthenticator } = await import('nats');
      return { connect, headers, createInbox, credsAuthenticator };
    } catch (cause) {
      loading = undefined;
      throw new Error('NOTIFY_LISTEN_LOG=nats://… needs the package "nats": npm install nats', { cause });
    }
  })();
  return loading;
}
