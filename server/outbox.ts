/**
 * Brings entries into the log. While the log does not take them they wait in a bounded buffer and are tried again; what
 * is given up on becomes a `resync` for its listeners once the log is back. A crash before then loses what waits: that is
 * the stated limit.
 */
import type { Log, LogEntry, ObjectRef } from '../adapters/contract.js';
import type { Position } from '../adapters/position.js';
import { inTime } from './in-time.js';
import { appendNowOf } from './log/handle.js';
import type { NotifyResult } from './types.js';

/** Entries that may wait: some minutes of a busy application, about 5 MB. */
export const BUFFER_LIMIT = 10_000;
/** Objects whose notifications were given up on, each of which gets a resync; beyond, everybody does. */
const GIVEN_UP_LIMIT = 1_000;
/** Entries of one append, so that one retry stays small. */
const BATCH = 500;
/** Wait between two tries, in milliseconds. */
const RETRY_MIN = 250;
const RETRY_MAX = 10_000;

export interface Outbox {
  /** Appends entries, all or none. Never rejects. */
  append(entries: readonly LogEntry[]): Promise<NotifyResult>;
  waiting(): number;
  /** Tries to bring out what waits, for at most `ms`, and stops. */
  close(ms: number): Promise<void>;
}

export interface OutboxOptions {
  readonly log: Log;
  /** How long `append` may take before it answers `{ accepted: false }`, in milliseconds. */
  readonly timeout: number;
  /** How long an entry is worth waiting for, in milliseconds: nobody could replay it after that. */
  readonly life: number;
  readonly monotonic: () => number;
  readonly random: () => number;
  /** So many entries were given to `append`, and the answer is known. */
  readonly onAnswer: (entries: number, accepted: boolean) => void;
  readonly onError: (error: unknown) => void;
}

/** An append that the log has not answered. */
interface Question {
  readonly failed: (error: unknown) => void;
  late: NodeJS.Timeout | undefined;
  over: boolean;
}

interface Waiting {
  readonly entry: LogEntry;
  readonly since: number;
}

export function createOutbox(options: OutboxOptions): Outbox {
  const { log, timeout, life, monotonic, random, onAnswer, onError } = options;
  const buffer: Waiting[] = [];
  /** Objects by their JSON, `null` once it is everything. */
  let givenUp: Map<string, ObjectRef> | null = new Map();
  /** Of the entries that wait, those that the log is being asked to take. */
  let underWay = 0;
  /** The try that is under way. */
  let flight: Promise<void> | undefined;
  let attempt = 0;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  /** What the log was asked in this turn, emptied once all is answered; see {@link watch}. */
  let unwatched: Question[] = [];
  let unanswered = 0;
  let watching = false;

  /** Asks the log to take entries; one of both is called, once, within `timeout`. */
  function ask(
    entries: readonly LogEntry[],
    taken: (positions: readonly Position[]) => void,
    failed: (error: unknown) => void,
  ): void {
    const question: Question = { failed, late: undefined, over: false };
    unwatched.push(question);
    unanswered += 1;
    if (!watching) setImmediate(watch);
    watching = true;
    const fail = (error: unknown): void => {
      if (end(question)) failed(error);
    };
    try {
      log.append(entries).then((positions) => {
        if (end(question)) taken(positions);
      }, fail);
    } catch (error) {
      fail(error);
    }
  }

  /** Whether it was not over. */
  function end(question: Question): boolean {
    if (question.over) return false;
    question.over = true;
    if (question.late) clearTimeout(question.late);
    else if (--unanswered === 0) unwatched = [];
    return true;
  }

  /** A log in this process answers in the turn in which it is asked: a timer for each would cost as much as the rest. */
  function watch(): void {
    watching = false;
    for (const question of unwatched) {
      if (question.over) continue;
      question.late = setTimeout(() => {
        const late = new Error(`The log "${log.name}" did not acknowledge within ${timeout} ms.`);
        if (end(question)) question.failed(late);
      }, timeout);
    }
    unwatched = [];
    unanswered = 0;
  }

  function giveUp(entry: LogEntry): void {
    // A revocation that cannot be logged ends with the life of the grants; there is nothing to refresh.
    if (entry.kind === 'revoke' || givenUp === null) return;
    const objects =
      entry.kind === 'resync'
        ? entry.objects
        : [
            {
              entity: entry.notification.entity,
              ...(entry.notification.id !== undefined && { id: entry.notification.id }),
            },
          ];
    if (objects === undefined) {
      givenUp = null;
      return;
    }
    for (const object of objects) givenUp.set(JSON.stringify(object), object);
    if (givenUp.size > GIVEN_UP_LIMIT) givenUp = null;
  }

  function hold(entries: readonly LogEntry[]): void {
    const since = monotonic();
    for (const entry of entries) buffer.push({ entry, since });
    trim();
    schedule();
  }

  function trim(): void {
    for (const { entry } of buffer.splice(0, Math.max(0, buffer.length + underWay - BUFFER_LIMIT))) giveUp(entry);
  }

  function schedule(): void {
    if (timer || closed || flight) return;
    const ceiling = Math.min(RETRY_MAX, RETRY_MIN * 2 ** attempt);
    timer = setTimeout(() => void retry(), ceiling / 2 + (random() * ceiling) / 2);
    timer.unref();
  }

  /** One at a time: whoever comes meanwhile shares the one that is under way. */
  function retry(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    flight ??= bringOut().finally(() => {
      flight = undefined;
      if (pending() > 0) schedule();
    });
    return flight;
  }

  /** Appends what waits, batch by batch, up to the first that fails. One that can never be taken must not plug the rest. */
  async function bringOut(): Promise<void> {
    let size = BATCH;
    for (;;) {
      const oldest = monotonic() - life;
      const stale = buffer.findIndex(({ since }) => since > oldest);
      for (const { entry } of buffer.splice(0, stale < 0 ? buffer.length : stale)) giveUp(entry);
      // Taken out while they are under way: what overflows meanwhile must not be mistaken for them.
      const batch = buffer.splice(0, size);
      const lost = givenUp;
      givenUp = new Map();
      underWay = batch.length;
      const resync: LogEntry[] =
        lost === null ? [{ kind: 'resync' }] : lost.size > 0 ? [{ kind: 'resync', objects: [...lost.values()] }] : [];
      if (batch.length + resync.length === 0) return;
      try {
        const asked = [...resync, ...batch.map(({ entry }) => entry)];
        await new Promise<unknown>((resolve, reject) => ask(asked, resolve, reject));
        underWay = 0;
        attempt = 0;
      } catch (error) {
        underWay = 0;
        const impossible = error instanceof RangeError;
        if (impossible && batch.length === 1 && resync.length === 0) {
          onError(error);
          for (const { entry } of batch) giveUp(entry);
          continue;
        }
        buffer.unshift(...batch);
        if (impossible && size > 1) {
          // One by one, to find which it is.
          size = 1;
          givenUp = lost;
          continue;
        }
        givenUp = lost === null || givenUp === null ? null : new Map([...lost, ...givenUp]);
        if (givenUp && givenUp.size > GIVEN_UP_LIMIT) givenUp = null;
        trim();
        attempt += 1;
        onError(error);
        return;
      }
    }
  }

  const pending = (): number => underWay + buffer.length + (givenUp === null ? 1 : givenUp.size);

  function taken(entries: readonly LogEntry[], positions: readonly Position[]): NotifyResult {
    onAnswer(entries.length, true);
    return { accepted: true, positions };
  }

  function failed(entries: readonly LogEntry[], error: unknown): NotifyResult {
    onError(error);
    hold(entries);
    return refused(entries.length);
  }

  /** The answer to an append that the log was not asked about, or has not taken. */
  function refused(entries: number): NotifyResult {
    onAnswer(entries, false);
    return { accepted: false };
  }

  return {
    append(entries) {
      const { length } = entries;
      if (length === 0) return Promise.resolve({ accepted: true, positions: [] });
      if (closed) {
        // Reported, not thrown: what it tells of has happened, in a database that has committed it.
        onError(new Error(`${length} notifications came after close(); nobody hears of them.`));
        return Promise.resolve(refused(length));
      }
      // Behind what waits: a newer notification must not make the log look as if it had the older one.
      if (pending() > 0) {
        hold(entries);
        return Promise.resolve(refused(length));
      }
      const appendNow = appendNowOf(log);
      if (appendNow) {
        let positions: readonly Position[];
        try {
          positions = appendNow(entries);
        } catch (error) {
          return Promise.resolve(failed(entries, error));
        }
        return Promise.resolve(taken(entries, positions));
      }
      return new Promise((resolve) => {
        ask(
          entries,
          (positions) => resolve(taken(entries, positions)),
          (error) => resolve(failed(entries, error)),
        );
      });
    },
    waiting: () => underWay + buffer.length,
    async close(ms) {
      const end = monotonic() + ms;
      // Again and again: an engine that is restarted is back in a moment, and nobody else has what waits here.
      for (let left = ms; pending() > 0 && left > 0; left = end - monotonic()) {
        clearTimeout(timer);
        await inTime(retry(), left, 'bringing out what waits').catch(() => {});
        const pause = Math.min(RETRY_MIN, end - monotonic());
        if (pending() > 0 && pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
      }
      closed = true;
      clearTimeout(timer);
      if (pending() > 0)
        onError(new Error(`${pending()} notifications could not be brought into the log before it was closed.`));
    },
  };
}
