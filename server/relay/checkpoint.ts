/** Moves the position up to which the relay's work is done, now and then: the next holder begins there. */
import type { Lease } from '../../adapters/contract.js';
import { inTime } from '../in-time.js';
import type { Below } from './items.js';

/** A write to the engine at most this often, in milliseconds: what was published since is published twice at a takeover. */
const MOVED_EVERY = 1_000;
/** How long the engine may take, in milliseconds. */
const PATIENCE = 2_000;

export interface Checkpoint {
  /** Where it stands, as far as this node knows. */
  readonly value: Below;
  /** Something may be done: moves it soon. */
  soon(): void;
  /** Moves it for the last time. */
  finish(): Promise<void>;
  end(): void;
}

export interface CheckpointOptions {
  readonly lease: Pick<Lease, 'moveCheckpoint'>;
  readonly value: Below;
  /** Up to where everything is done. */
  readonly target: () => Below;
  /** Somebody else holds the lease. */
  readonly onOusted: () => void;
  readonly onFault: (error: unknown) => void;
}

export function createCheckpoint({ lease, target, onOusted, onFault, ...options }: CheckpointOptions): Checkpoint {
  let { value } = options;
  let timer: NodeJS.Timeout | undefined;
  let moving: Promise<void> | undefined;
  /** Something more was done while a move was under way, or it failed. */
  let again = false;
  let ended = false;

  async function step(): Promise<void> {
    const next = target();
    if (next === null || next === value) return;
    try {
      const moved = await inTime(lease.moveCheckpoint(next), PATIENCE, 'moveCheckpoint');
      if (moved) value = next;
      else if (!ended) onOusted();
    } catch (error) {
      again = true;
      onFault(error);
    }
  }

  /** Finding out how far it may be moved takes time with what waits: once for each write, not for each entry. */
  function soon(): void {
    if (moving) again = true;
    if (ended || timer || moving) return;
    timer = setTimeout(() => {
      timer = undefined;
      moving = step().finally(() => {
        moving = undefined;
        if (again) soon();
        again = false;
      });
    }, MOVED_EVERY);
    timer.unref();
  }

  return {
    get value() {
      return value;
    },
    soon,
    async finish() {
      ended = true;
      clearTimeout(timer);
      again = false;
      await moving;
      await step();
    },
    end() {
      ended = true;
      clearTimeout(timer);
    },
  };
}
