/**
 * A log whose engine fails by hand, for tests of what is built on a log. Faults are asked for one by one and stay until
 * they are taken back; everything else goes to the log below.
 */
import type { Log, Logged, LogWindow, Tail, TailSink } from '../contract.js';

/** What the test does to the engine. */
export interface LogFaults {
  /**
   * How `append` behaves. `fails`: rejects, nothing is accepted. `unanswered`: the engine accepts, but its answer is
   * lost and `append` rejects. `hangs`: neither, until the fault is taken back. Default `works`.
   */
  append: 'works' | 'fails' | 'unanswered' | 'hangs';
  /** `fails`: `prove` rejects, as for an engine connection that is half open. Default `works`. */
  prove: 'works' | 'fails';
  /** `fails`: no new tail can begin. Default `works`. */
  tail: 'works' | 'fails';
  /** Live tails give nothing, as if the engine were slow, until {@link LogFaults.flow}. */
  stall(): void;
  /** Live tails give what they held back, and go on. */
  flow(): void;
  /** Live tails say that their link to the engine failed. */
  disrupt(error?: unknown): void;
  /** The engine loses everything and begins a new epoch; live tails are reset. */
  loseEverything(): Promise<void>;
}

/** One tail of the application, over however many engines it survives. */
interface FaultyTail {
  readonly sink: TailSink;
  held: Logged[];
  below: Tail | undefined;
}

/**
 * Makes a log and the hands on it.
 *
 * @param create makes the log below: called at once, and again for every loss of everything.
 */
export function createFaultyLog(create: () => Log): { readonly log: Log; readonly faults: LogFaults } {
  let below = create();
  let stalled = false;
  const tails = new Set<FaultyTail>();
  const hanging = new Set<() => void>();

  const failure = (what: string): Error => new Error(`${what}: the engine does not answer (a fault made by the test)`);

  let append: LogFaults['append'] = 'works';
  const faults: LogFaults = {
    get append() {
      return append;
    },
    set append(fault) {
      append = fault;
      if (fault !== 'hangs') for (const proceed of [...hanging]) proceed();
    },
    prove: 'works',
    tail: 'works',
    stall() {
      stalled = true;
    },
    flow() {
      stalled = false;
      for (const tail of tails) give(tail, tail.held.splice(0));
    },
    disrupt(error = failure('tail')) {
      for (const tail of tails) tail.sink.failed(error);
    },
    async loseEverything() {
      const lost = below;
      below = create();
      for (const tail of tails) {
        tail.held = [];
        const start = await attach(tail, true);
        tail.sink.reset(start);
        give(tail, tail.held.splice(0));
      }
      await lost.close();
    },
  };

  function give(tail: FaultyTail, batch: readonly Logged[]): void {
    if (batch.length === 0) return;
    if (stalled) tail.held.push(...batch);
    else tail.sink.entries(batch);
  }

  /** Binds a tail to the engine of the moment; `hold` keeps its window until the sink knows of the new epoch. */
  async function attach(tail: FaultyTail, hold = false): Promise<LogWindow> {
    let holding = hold;
    tail.below = await below.tail({
      entries(batch) {
        if (holding) tail.held.push(...batch);
        else give(tail, batch);
      },
      reset: (start) => tail.sink.reset(start),
      failed: (error) => tail.sink.failed(error),
    });
    holding = false;
    return tail.below.start;
  }

  const log: Log = {
    name: below.name,
    capabilities: below.capabilities,
    async append(entries) {
      if (append === 'hangs') {
        await new Promise<void>((resolve) => {
          hanging.add(resolve);
        });
      }
      if (append === 'fails') throw failure('append');
      const positions = await below.append(entries);
      if (append === 'unanswered') throw failure('append');
      return positions;
    },
    async tail(sink) {
      if (faults.tail === 'fails') throw failure('tail');
      const tail: FaultyTail = { sink, held: [], below: undefined };
      const start = await attach(tail);
      tails.add(tail);
      return {
        start,
        async prove(timeoutMs) {
          if (faults.prove === 'fails' || stalled || !tail.below) throw failure('prove');
          return tail.below.prove(timeoutMs);
        },
        async close() {
          tails.delete(tail);
          await tail.below?.close();
        },
      };
    },
    lease: (name, ttlMs) => below.lease(name, ttlMs),
    close: () => below.close(),
  };
  return { log, faults };
}
