/**
 * Leases: one message of the state stream for each name, changed by compare-and-set. Whether one is over is judged by the
 * server's clock alone, since that gave the message its time: the clocks of the nodes do not matter.
 */
import type { Lease } from '../../../adapters/contract.js';
import type { Position } from '../../../adapters/position.js';
import { getMessage, publish } from './api.js';
import type { Names } from './names.js';
import type { Wire } from './wire.js';

interface LeaseRecord {
  readonly fence: number;
  /** Whose it is; none: released. */
  readonly holder?: string;
  /** How long it lasts after the time of its message, in milliseconds. */
  readonly ttl: number;
  readonly checkpoint?: Position;
}

interface Read {
  readonly record: LeaseRecord | undefined;
  /** The number of its message; 0: none. */
  readonly seq: number;
  readonly time: number;
}

/** Runs work on the connection of the moment. */
export type Run = <T>(work: (wire: Wire) => Promise<T>) => Promise<T>;

/** A write whose answer was lost looks like somebody else's: it is read again, and written again if it was not there. */
const TRIES = 5;

export async function takeLease(run: Run, names: Names, name: string, ttlMs: number): Promise<Lease | undefined> {
  const subject = names.lease(name);
  const holder = crypto.randomUUID();

  const read = async (wire: Wire): Promise<Read> => {
    const stored = await getMessage(wire, names.state, subject);
    return stored
      ? { record: JSON.parse(stored.data) as LeaseRecord, seq: stored.seq, time: stored.time }
      : { record: undefined, seq: 0, time: 0 };
  };

  /** `change` gives what to write instead, or nothing: it is not ours to change. Resolves with whether it was written. */
  const update = (change: (record: LeaseRecord) => LeaseRecord | undefined): Promise<boolean> =>
    run(async (wire) => {
      for (let n = 0; n < TRIES; n++) {
        const { record, seq } = await read(wire);
        const next = record && change(record);
        if (!next) return false;
        if ((await publish(wire, names.state, subject, JSON.stringify(next), seq)) !== undefined) return true;
      }
      throw new Error(`the lease "${name}" changes faster than it is read`);
    });

  const fence = await run(async (wire): Promise<number | undefined> => {
    const { record, seq, time } = await read(wire);
    if (record?.holder !== undefined && record.holder !== holder) {
      if ((await serverTime(wire, names)) - time < record.ttl) return undefined;
    }
    // A fence is the time, too: it rises although everything was deleted meanwhile.
    const next = Math.max((record?.fence ?? 0) + 1, Date.now());
    const taken: LeaseRecord = { ...record, fence: next, holder, ttl: ttlMs };
    return (await publish(wire, names.state, subject, JSON.stringify(taken), seq)) === undefined ? undefined : next;
  });
  if (fence === undefined) return undefined;

  return {
    fence,
    // Expired, but nobody has taken it since: it is still ours.
    renew: () => update((record) => (record.holder === holder ? record : undefined)),
    release: async () => {
      await update(({ holder: whose, ...rest }) => (whose === holder ? rest : undefined));
    },
    checkpoint: () => run(async (wire) => (await read(wire)).record?.checkpoint),
    moveCheckpoint: (position) =>
      update((record) => (record.fence === fence ? { ...record, checkpoint: position } : undefined)),
  };
}

/** There is no question for it: a message is written, and its time read. */
async function serverTime(wire: Wire, names: Names): Promise<number> {
  await publish(wire, names.state, names.clock, '');
  const stored = await getMessage(wire, names.state, names.clock);
  return stored?.time ?? 0;
}
