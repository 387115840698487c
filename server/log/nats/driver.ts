/** The driver of NATS JetStream: a stream of the entries, and a stream of what is not to expire. See docs/nats.md. */
import { inTime } from '../../in-time.js';
import type { LogLine } from '../../types.js';
import type { EngineDriver } from '../shared/driver.js';
import { ensureStream, isCode, STREAM_NOT_FOUND } from './api.js';
import { append } from './append.js';
import { createHints, type Hints } from './hints.js';
import { takeLease } from './leases.js';
import { createLink, type Session } from './link.js';
import { namesOf } from './names.js';
import { openWire } from './open.js';
import { read } from './read.js';
import { share, unshare } from './share.js';
import { readStanding, renewEpoch, type Standing } from './standing.js';
import type { NatsAddress } from './url.js';
import { type NatsModule, NobodyError, type Wire } from './wire.js';

export interface NatsDriverOptions {
  readonly load: () => Promise<NatsModule>;
  readonly address: NatsAddress;
  readonly namespace: string;
  readonly retention: number;
  readonly cap: number;
  readonly replicas: number | undefined;
  readonly logger: (line: LogLine) => void;
}

/** Bytes of the stream for each entry that it may keep: twice the largest hint. */
const BYTES_PER_ENTRY = 2_048;
/** The state is a message for each node, for each lease, and two more. */
const MOST_STATES = 100_000;
/** The message ids that the stream remembers are not used. The least that all servers take, in milliseconds. */
const DUPLICATES_MS = 100;
/** An appender looks after the epoch when nobody else did for so long, in milliseconds. */
const EPOCH_AGE_MS = 1_000;
/** How long to wait at the end for the own record to be taken away, in milliseconds. */
const FAREWELL_MS = 500;
/** Copies where the operator did not say and there is a cluster. */
const CLUSTER_REPLICAS = 3;

const nanoseconds = (ms: number): number => ms * 1_000_000;

export function createNatsDriver(options: NatsDriverOptions): EngineDriver {
  const { load, address, retention, cap, replicas, logger } = options;
  const names = namesOf(options.namespace);
  const node = crypto.randomUUID();
  let hints: Hints | undefined;
  let shared = false;
  let told = false;

  const link = createLink({ open: (signal) => openWire({ load, address, signal }), prepare });

  async function prepare(session: Session): Promise<void> {
    const { wire } = session;
    const copies = replicas ?? (wire.info.cluster ? CLUSTER_REPLICAS : 1);
    const common = { retention: 'limits', storage: 'file', discard: 'old', num_replicas: copies };
    await Promise.all([
      ensureStream(wire, {
        ...common,
        name: names.log,
        subjects: [names.entries, names.keys],
        max_msgs: cap,
        max_bytes: cap * BYTES_PER_ENTRY,
        max_age: nanoseconds(retention),
        duplicate_window: nanoseconds(DUPLICATES_MS),
        max_msgs_per_subject: -1,
      }),
      ensureStream(wire, {
        ...common,
        name: names.state,
        subjects: [names.states],
        max_msgs: MOST_STATES,
        max_bytes: -1,
        max_age: 0,
        duplicate_window: nanoseconds(DUPLICATES_MS),
        max_msgs_per_subject: 1,
      }),
    ]);
    await standing(session);
  }

  async function standing(session: Session): Promise<Standing> {
    const now = await readStanding(session.wire, { names, durable: address.durable });
    session.newest = now.epoch === session.epoch ? Math.max(session.newest, now.last) : now.last;
    session.epoch = now.epoch;
    session.checkedAt = performance.now();
    return now;
  }

  /** On the connection of the moment. Streams that somebody deleted are made anew, and the work is done again. */
  async function run<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const session = await link.session();
    try {
      return await work(session);
    } catch (error) {
      if (!(error instanceof NobodyError) && !isCode(error, STREAM_NOT_FOUND)) throw error;
      await link.again(session);
      return work(session);
    }
  }
  const onWire = <T>(work: (wire: Wire) => Promise<T>): Promise<T> => run(({ wire }) => work(wire));

  return {
    name: 'nats',
    capabilities: { shared: true, durable: true, dedupes: true },

    append: (entries) =>
      run(async (session) => {
        const { epoch, wire, checkedAt } = session;
        const old = performance.now() - checkedAt > EPOCH_AGE_MS;
        const [appended] = await Promise.all([append(wire, names, epoch, entries), old && standing(session)]);
        if (session.epoch === epoch) session.newest = Math.max(session.newest, appended.newest);
        return appended.positions;
      }),

    read: (after, limit) =>
      run((session) =>
        read(
          {
            session,
            names,
            standing: () => standing(session),
            async missing(epoch, seq) {
              logger({ level: 'warn', message: 'a message was taken out of the NATS stream', stream: names.log, seq });
              await renewEpoch(session.wire, names, epoch);
            },
            strange({ seq, subject }) {
              if (told) return;
              told = true;
              logger({ level: 'warn', message: 'the NATS stream has a message that is no entry', seq, subject });
            },
          },
          after,
          limit,
        ),
      ),

    renew: (epoch) => onWire((wire) => renewEpoch(wire, names, epoch)),

    watch(hint) {
      hints ??= createHints(link, names.log, hint, (error) =>
        logger({ level: 'warn', message: 'NATS gives no hints: the log is read every 50 ms instead', error }),
      );
      return () => {
        hints?.close();
        hints = undefined;
      };
    },
    idle: () => hints?.idle() ?? 0,

    lease: (name, ttlMs) => takeLease(onWire, names, name, ttlMs),

    share(record, ttlMs) {
      shared = true;
      return onWire((wire) => share(wire, names, node, record, ttlMs));
    },

    drop: () => link.drop('NATS did not answer in time'),

    async close() {
      if (shared)
        await inTime(
          onWire((wire) => unshare(wire, names, node)),
          FAREWELL_MS,
          'farewell',
        ).catch(() => {});
      link.drop('the log is closed');
    },
  };
}
