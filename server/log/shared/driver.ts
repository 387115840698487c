/**
 * What the driver of a shared engine does: few calls, each of which may be repeated. Everything that is the same for all
 * engines (following, proving, resets, joining appends, giving up what hangs) is done once, by `createSharedLog`.
 */
import type { Lease, LogCapabilities, LogEntry, Logged } from '../../../adapters/contract.js';
import type { Position } from '../../../adapters/position.js';

/** What an engine holds after a position. */
export interface Slice {
  /** Everything up to here may be gone. Of the same moment as `entries` or later, so that no hole can hide behind it. */
  readonly floor: Position;
  /** The newest position of the engine, of the same epoch: entries up to it are in `entries`, or follow (`more`). */
  readonly top: Position;
  /** Ascending, without a hole as long as `floor` is not above the position that was asked for. */
  readonly entries: readonly Logged[];
  /** The limit cut it off: up to the last one of `entries` it is whole, and the rest is to be read from there. */
  readonly more: boolean;
}

/**
 * The driver of an engine that several processes share. A call rejects when the engine did not answer it; the same call is
 * then made again. A call that never settles is given up after {@link CALL_PATIENCE}, and `drop` follows.
 */
export interface EngineDriver {
  /** For messages and metrics: `redis`, … */
  readonly name: string;
  readonly capabilities: LogCapabilities;
  /** All of them are accepted, in their order, or none is; resolves with their positions once the engine has them. */
  append(entries: readonly LogEntry[]): Promise<readonly Position[]>;
  /**
   * What comes after `after` (none: all that is retained), at most `limit` entries. Also with a position of another epoch
   * or one that is no longer or not yet there: the slice shows it. Where the driver itself sees that the engine is not what
   * it was (it restarted, was promoted, was emptied), it makes the epoch a new one before it answers.
   */
  read(after: Position | undefined, limit: number): Promise<Slice>;
  /**
   * The engine has fewer entries than were read from it: makes its epoch a new one, unless it is not `epoch` any more, so
   * that of many nodes that see the same loss one changes it.
   */
  renew(epoch: string): Promise<void>;
  /**
   * Calls `hint` when something may have been appended. Too often is harmless; when it cannot tell, `idle` is what counts.
   * It looks after its own link. Returns how to stop.
   */
  watch(hint: () => void): () => void;
  /** After how many milliseconds to read without a hint: short where there are none. */
  idle(): number;
  /** As in `Log`; only a driver whose engine is the application's own database has it. */
  appendWithin?(transaction: unknown, entries: readonly LogEntry[]): Promise<void>;
  lease(name: string, ttlMs: number): Promise<Lease | undefined>;
  /** As in `Log`. */
  share(record: string, ttlMs: number): Promise<readonly string[]>;
  /** The engine does not answer: ends its connections at once, without waiting; the next call opens new ones. */
  drop(): void;
  /** Ends what is open. Calls that are under way may reject. */
  close(): Promise<void>;
}

/** How long one call may take, in milliseconds: far above a slow answer, below the 4 s after which a proof is given up. */
export const CALL_PATIENCE = 3_000;
