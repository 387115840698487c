/** The clocks and timers of a page, which run as everybody's do, but let time pass at once when they are told to. */
import type { World } from '../contract.js';

export interface PageClock {
  readonly world: Pick<World, 'now' | 'monotonic' | 'setTimeout' | 'clearTimeout'>;
  /**
   * So many milliseconds pass in one moment: what falls due meanwhile runs once, in order of time, as in a page that the
   * machine had no time for. Nothing else notices: sockets and the server live on in their own time.
   */
  pass(ms: number): void;
}

interface Waiting {
  readonly due: number;
  readonly run: () => void;
  readonly timer: ReturnType<typeof setTimeout>;
}

/** @param wrong by how many milliseconds the wall clock is before the server's */
export function createPageClock(wrong = 0): PageClock {
  let ahead = 0;
  const waiting = new Map<object, Waiting>();
  const monotonic = (): number => performance.now() + ahead;

  return {
    world: {
      now: () => Date.now() + ahead + wrong,
      monotonic,
      setTimeout(run, ms) {
        const key = {};
        const fire = (): void => {
          waiting.delete(key);
          run();
        };
        waiting.set(key, { due: monotonic() + ms, run: fire, timer: setTimeout(fire, ms) });
        return key;
      },
      clearTimeout(key) {
        const it = waiting.get(key as object);
        clearTimeout(it?.timer);
        waiting.delete(key as object);
      },
    },
    pass(ms) {
      ahead += ms;
      const now = monotonic();
      const due = [...waiting].filter(([, it]) => it.due <= now).sort(([, a], [, b]) => a.due - b.due);
      for (const [key, it] of due) {
        clearTimeout(it.timer);
        // One that ran before may have cleared it.
        if (waiting.has(key)) it.run();
      }
    },
  };
}
