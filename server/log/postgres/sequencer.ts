/**
 * Moves what applications wrote within their transactions into the log, once they have committed. Nobody tells when that
 * is: the process that wrote looks, soon at first and then less often, and every read of every node looks along.
 */

export interface Drained {
  /** `busy`: somebody else is writing to the log. `more`: a part was moved. */
  readonly outcome: 'none' | 'busy' | 'moved' | 'more';
  /** Of the rows that were moved. */
  readonly tokens: readonly string[];
}

/** From look to look, in milliseconds: from the first, doubled up to the longest. */
const FIRST_LOOK = 2;
const LONGEST_LOOK = 100;
/** A row that was not seen for so long was rolled back, or moved by another node; if not, a read will find it. */
const EXPECTED_MS = 10 * 60_000;
/** Rows that are waited for. Beyond, reads find them too. */
const MOST_EXPECTED = 1_000;
/** After a look that failed, in milliseconds. */
const RETRY_MS = 1_000;

export interface SequencerOptions {
  /** `wait`: for its turn, however long others write one after another. */
  readonly drain: (wait: boolean) => Promise<Drained>;
  /** Something was moved. */
  readonly moved: () => void;
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
}

export interface Sequencer {
  /** A row with this token was written, and will be there when its transaction commits. */
  expect(token: string): void;
  /** There is something to move. */
  look(): void;
  /** Looks a last time if it waits for rows. */
  close(): Promise<void>;
}

export function createSequencer({ drain, moved, now }: SequencerOptions): Sequencer {
  const expected = new Map<string, number>();
  let timer: NodeJS.Timeout | undefined;
  let working: Promise<void> | undefined;
  let asked = false;
  let closed = false;
  let delay = FIRST_LOOK;
  let last: Drained['outcome'] = 'none';

  function expire(): void {
    for (const [token, until] of expected) {
      if (until > now() && expected.size <= MOST_EXPECTED) break;
      expected.delete(token);
    }
  }

  function schedule(ms: number): void {
    if (closed || working) return;
    clearTimeout(timer);
    timer = setTimeout(begin, ms);
    timer.unref();
  }

  function begin(): void {
    clearTimeout(timer);
    asked = false;
    working = work().then((wait) => {
      working = undefined;
      if (wait !== undefined) schedule(wait);
    });
  }

  /** Resolves with how long to wait before the next look; with nothing when none is due. */
  async function work(): Promise<number | undefined> {
    const began = now();
    let wait: number;
    try {
      const { outcome, tokens } = await drain(last === 'busy');
      last = outcome;
      for (const token of tokens) expected.delete(token);
      if (outcome === 'moved' || outcome === 'more') moved();
      if (outcome === 'more') return 0;
      if (outcome === 'busy') return FIRST_LOOK;
      delay = outcome === 'moved' ? FIRST_LOOK : Math.min(delay * 2, LONGEST_LOOK);
      wait = delay;
    } catch {
      last = 'none';
      wait = RETRY_MS;
    }
    expire();
    if (asked) return FIRST_LOOK;
    // Looking takes at most half of the time, however slow it is.
    return expected.size > 0 ? Math.max(wait, now() - began) : undefined;
  }

  return {
    expect(token) {
      expected.set(token, now() + EXPECTED_MS);
      expire();
      delay = FIRST_LOOK;
      if (working) asked = true;
      else schedule(delay);
    },
    look() {
      if (closed) return;
      if (working) asked = true;
      else begin();
    },
    async close() {
      clearTimeout(timer);
      closed = true;
      await working;
      if (expected.size > 0) await drain(true).catch(() => {});
    },
  };
}
