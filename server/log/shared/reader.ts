/**
 * One tail on a shared engine: reads what comes after the place it has reached, again and again. A hint only makes it read
 * sooner, so nothing depends on hints. See docs/shared-log.md for its states and races.
 */
import type { Logged, LogWindow, TailSink } from '../../../adapters/contract.js';
import { comparePositions, epochOf, type Position } from '../../../adapters/position.js';
import type { Slice } from './driver.js';

/** Entries of one read: a few hundred kilobytes, so that neither side is busy with one for long. */
export const READ_LIMIT = 1_000;
/** The wait before a failed read is made again, in milliseconds: doubled up to the longest, half of it random. */
const FIRST_RETRY = 50;
const LONGEST_RETRY = 2_000;
/** How often a window that changes while it is read is begun anew before that counts as a failure. */
const LOADS = 5;

export interface ReaderOptions {
  readonly sink: TailSink;
  readonly read: (after: Position | undefined, limit: number) => Promise<Slice>;
  readonly renew: (epoch: string) => Promise<void>;
  readonly idle: () => number;
  readonly name: string;
}

export interface Reader {
  /** Gives the window, or what is after a position, to the sink and follows. Rejects when the engine cannot be read. */
  load(after?: Position): Promise<LogWindow>;
  /** Something may be there. */
  hint(): void;
  /** As in `Tail`. */
  prove(timeoutMs: number): Promise<Position>;
  close(): void;
}

interface Proof {
  readonly resolve: (top: Position) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

export function createReader({ sink, read, renew, idle, name }: ReaderOptions): Reader {
  /** Everything up to here was given. */
  let at: Position;
  let closed = false;
  let dirty = false;
  let failures = 0;
  let wake: () => void = () => {};
  const proofs = new Set<Proof>();

  function give(entries: readonly Logged[]): void {
    if (closed || entries.length === 0) return;
    try {
      sink.entries(entries);
    } catch (error) {
      sink.failed(error); // a reader's mistake must not stop the tail
    }
  }

  /** Reads all that is retained after a position. What changes under it (an epoch, a trim) is read again, all of it. */
  async function wholeWindow(after?: Position): Promise<{ start: LogWindow; entries: readonly Logged[] }> {
    let from = after;
    for (let attempt = 0; attempt < LOADS && !closed; attempt++) {
      let slice = await read(from, READ_LIMIT);
      if (from !== undefined && isBroken(slice, from)) {
        if (isBelow(slice.top, from)) await renew(epochOf(from));
        from = undefined;
        slice = await read(from, READ_LIMIT);
      }
      const floor = from ?? slice.floor;
      const entries = [...slice.entries];
      let reached = reachedBy(slice, floor);
      let whole = true;
      while (whole && slice.more && !closed) {
        slice = await read(reached, READ_LIMIT);
        whole = !isBroken(slice, reached);
        for (const logged of slice.entries) entries.push(logged);
        reached = reachedBy(slice, reached);
      }
      if (whole) return { start: { floor, top: reached }, entries };
      from = undefined;
    }
    throw new Error(`log: the window of the ${name} log could not be read: it changes faster than it is read`);
  }

  /** Whether what comes after `position` may have a hole, or the engine has forgotten it. */
  function isBroken({ floor, top }: Slice, position: Position): boolean {
    return epochOf(top) !== epochOf(position) || isBelow(position, floor) || isBelow(top, position);
  }

  /** Reads and gives until nothing more is there; resolves with the engine's top. */
  async function catchUp(): Promise<Position> {
    let renewals = 0;
    for (;;) {
      const slice = await read(at, READ_LIMIT);
      if (closed) return at;
      if (!isBroken(slice, at)) {
        at = reachedBy(slice, at);
        give(slice.entries);
        if (!slice.more) return at;
      } else if (isBelow(slice.top, at)) {
        if (renewals++ > 0) throw new Error(`log: the ${name} log is behind what was read of it, and keeps its epoch`);
        await renew(epochOf(at));
      } else {
        const { start, entries } = await wholeWindow();
        if (closed) return at;
        at = start.top;
        sink.reset(start);
        // A right that ended meanwhile must be heard of; what else is in it, the reset covers.
        give(entries);
      }
    }
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      timer.unref?.();
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async function follow(): Promise<void> {
    while (!closed) {
      // A proof counts from a read that began after it was asked for.
      const asked = [...proofs];
      dirty = false;
      try {
        const top = await catchUp();
        failures = 0;
        for (const proof of asked) if (proofs.has(proof)) settle(proof, () => proof.resolve(top));
      } catch (error) {
        if (closed) return;
        failures++;
        sink.failed(error);
      }
      if (closed || (dirty && failures === 0)) continue;
      await pause(
        failures === 0 ? idle() : Math.min(FIRST_RETRY * 2 ** failures, LONGEST_RETRY) * (0.5 + Math.random() / 2),
      );
    }
  }

  function settle(proof: Proof, tell: () => void): void {
    proofs.delete(proof);
    clearTimeout(proof.timer);
    tell();
  }

  function hint(): void {
    dirty = true;
    // An engine that refuses to be read is not asked more often because much is appended.
    if (failures === 0) wake();
  }

  return {
    async load(after) {
      const { start, entries } = await wholeWindow(after);
      if (closed) throw new Error('log: the tail was closed');
      at = start.top;
      give(entries);
      void follow();
      return start;
    },
    hint,
    prove: (timeoutMs) =>
      new Promise((resolve, reject) => {
        if (closed) return reject(new Error('log: the tail is closed'));
        const late = (): void =>
          settle(proof, () => reject(new Error(`prove of the ${name} log took longer than ${timeoutMs} ms`)));
        const proof: Proof = { resolve, reject, timer: setTimeout(late, timeoutMs) };
        proofs.add(proof);
        dirty = true;
        wake();
      }),
    close() {
      closed = true;
      wake();
      for (const proof of [...proofs]) settle(proof, () => proof.reject(new Error('log: the tail was closed')));
    },
  };
}

/** Of one epoch only: positions of two say nothing of each other. */
function isBelow(a: Position, b: Position): boolean {
  return (comparePositions(a, b) ?? 0) < 0;
}

/** Up to where a reader has everything that a slice tells. */
function reachedBy({ more, entries, top }: Slice, before: Position): Position {
  return more ? (entries.at(-1)?.position ?? before) : top;
}
