/**
 * A part of a chaos run, in one scene: faults strike in every lane while a writer changes values; after each round of them
 * everything is made whole, and every page must show what it must.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { Fault, Lane } from './faults/fault.js';
import type { Chance } from './random.js';
import type { Check, Report } from './report.js';
import type { Items, Scene } from './scene.js';
import type { Watch } from './watch.js';

/** Every page must be fresh so long after the last fault, in milliseconds. */
const BOUND = 90_000;
/** Faults strike for so long before everything must become fresh once, in milliseconds. */
const ROUND = 120_000;
/** Between two changes of the writer on average, in milliseconds; every tenth is a burst. */
const WRITE_EVERY = 200;
const BURST = 8;
/** Changes while the last fault of a round lasts. */
const LAST_CHANGES = 5;
/** Before a change that was not accepted is tried again, in milliseconds. */
const AGAIN = 100;

export interface PartOptions {
  readonly scene: Scene;
  readonly items: Items;
  readonly chance: Chance;
  readonly report: Report;
  readonly watching: Watch;
  /** Of faults, in milliseconds. */
  readonly duration: number;
  /** The longest pause between two faults of a lane, in milliseconds. */
  readonly pause: number;
  /** Where the time has gone to when settling took so long, in milliseconds. */
  readonly settled: (took: number) => void;
}

/** Returns a check for each round; the first that fails is the last. */
export async function play(options: PartOptions): Promise<Check[]> {
  const { scene, items, chance, report, watching, duration, pause, settled } = options;
  const { ledger, busy, once } = items;
  const begun = Date.now();

  /** Changes one item; what was not accepted, or not answered, counts for nothing. */
  async function change(id: string): Promise<boolean> {
    const value = ledger.next(id);
    const accepted = await scene.change(id, value);
    if (accepted) ledger.accepted(id, value);
    return accepted;
  }

  let writing = true;
  /** What is on its way is never stale: nothing is changed while freshness is judged, but what the judge changes himself. */
  let judging = false;
  const writer = (async () => {
    const own = chance.fork();
    while (writing) {
      await wait(own.between(1, 2 * WRITE_EVERY));
      const burst = own.next() < 0.1 ? BURST : 1;
      const id = own.pick(busy);
      for (let n = 0; n < burst && !judging; n += 1) await change(id);
    }
  })();

  /**
   * Changes each of the items that change once in a round, spread over it; when the server is away, as soon as it is back.
   * Tells whether it was back in time after the last fault.
   */
  async function changeOnce(ms: number, faults: Promise<unknown>): Promise<boolean> {
    const own = chance.fork();
    let deadline = Number.POSITIVE_INFINITY;
    // One that failed is told by whoever waits for all of them.
    const over = (): void => {
      deadline = Date.now() + BOUND;
    };
    faults.then(over, over);
    for (const id of own.shuffled(once)) {
      await wait(own.between(1, (2 * ms) / once.length));
      while (!(await change(id))) {
        if (Date.now() > deadline) return false;
        await wait(AGAIN);
      }
    }
    return true;
  }

  async function lastAct(): Promise<void> {
    console.log(`last: ${scene.lastAct(chance)}`);
    for (const id of chance.shuffled(once).slice(0, LAST_CHANGES)) await change(id);
    await wait(500);
  }

  /** Strikes the faults of one lane, each once in random order, then again, until the time is over. */
  async function strike(lane: Lane, until: number): Promise<void> {
    const own = chance.fork();
    const mine: Fault[] = scene.faults.filter((fault) => fault.lane === lane);
    while (mine.length > 0 && Date.now() < until) {
      for (const fault of own.shuffled(mine)) {
        if (Date.now() >= until) return;
        const at = Math.round((Date.now() - begun) / 1_000);
        const what = await fault.strike(own);
        report.struck(fault.name);
        console.log(`${String(at).padStart(4)} s  ${fault.name}: ${what}`);
        await wait(own.between(200, pause));
      }
    }
  }

  /**
   * Everything is whole again: waits until every page shows what it must. Nothing new is notified before that, since it would
   * cover up what was lost. Then everything changes once more, and every page must show that too.
   */
  async function settle(): Promise<Check> {
    await scene.heal();
    const since = Date.now();
    const seconds = (): string => ((Date.now() - since) / 1_000).toFixed(1);
    const fresh = async (): Promise<boolean> => {
      while (!(await watching.allFresh())) {
        if (Date.now() > since + BOUND) return false;
        await wait(AGAIN);
      }
      return true;
    };
    if (!(await fresh())) return { name: 'all pages fresh within 90 s', failure: await watching.complaint() };
    const name = `all pages fresh and connected ${seconds()} s after the last fault, and after one more change of all`;
    for (const id of ledger.ids) while (!(await change(id)) && Date.now() < since + BOUND) await wait(2 * AGAIN);
    return (await fresh()) ? { name } : { name, failure: await watching.complaint() };
  }

  const checks: Check[] = [];
  try {
    const rounds = Math.max(1, Math.round(duration / ROUND));
    for (let round = 1; round <= rounds; round += 1) {
      const end = Date.now() + duration / rounds;
      const faults = Promise.all((['network', 'process', 'engine'] as const).map((lane) => strike(lane, end)));
      const [accepted] = await Promise.all([changeOnce(duration / rounds, faults), faults]);
      if (!accepted) {
        const failure = `no node accepts any\n${await scene.state()}`;
        checks.push({ name: 'notifications are accepted within 90 s after the faults', failure });
        break;
      }
      await lastAct();
      const settling = Date.now();
      judging = true;
      const check = await settle();
      judging = false;
      checks.push(check);
      console.log(`${check.failure ? 'FAILED' : 'settled'}: ${check.name}`);
      settled(Date.now() - settling);
      if (check.failure) break;
    }
  } finally {
    writing = false;
    await writer;
  }
  return checks;
}
