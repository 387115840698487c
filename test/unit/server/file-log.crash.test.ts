/**
 * The file log is killed, or loses its power, before every step that it takes on the disk; what it had acknowledged or
 * tailed by then is there afterwards, in its order and its epoch, and no part of what it had not.
 */
import { describe, expect, test } from 'vitest';
import type { Logged } from '../../../adapters/contract.js';
import { comparePositions, epochOf, isAfter, type Position } from '../../../adapters/position.js';
import { idsOf, openLog, order } from '../../kit/file-log.js';
import { Death, type MortalDisk, mortalDisk } from '../../kit/mortal-disk.js';

/** A generator of numbers that a seed repeats (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What a run told the world before it died. */
interface Told {
  readonly acknowledged: { readonly position: Position; readonly id: string }[];
  tailed: readonly Logged[];
  /** Of the tail that began. */
  epoch: string | undefined;
  checkpoint: Position | undefined;
  fence: number;
}

/** Lets everything that can go on go on. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** One run of a busy process: single appends, many at once, large ones, a relay's lease, and files that are replaced. */
async function run(disk: MortalDisk, name: string, told: Told, smallest: number): Promise<void> {
  let opened: ReturnType<typeof openLog>;
  try {
    opened = openLog({ disk, smallest });
  } catch (error) {
    if (error instanceof Death) return;
    throw error;
  }
  const append = async (...ids: string[]): Promise<void> => {
    const positions = await opened.log.append(ids.map((id) => order(id)));
    positions.forEach((position, index) => {
      told.acknowledged.push({ position, id: ids[index] as string });
    });
  };
  void (async () => {
    const { log, start, seen, beat } = await opened.follow();
    told.epoch = epochOf(start.top);
    told.tailed = seen;
    await append(`${name}.1`);
    const lease = await log.lease('relay', 1_000);
    if (!lease) throw new Error('no lease');
    told.fence = lease.fence;
    await Promise.all([append(`${name}.2`), append(`${name}.3`, `${name}.3+`), append(`${name}.4`)]);
    const done = told.acknowledged.at(-1)?.position as Position;
    if (await lease.moveCheckpoint(done)) told.checkpoint = done;
    await Promise.all([append(`${name}.5`), append(`${name}.6`)]);
    beat();
    await append(`${name}.7`);
    await log.close();
  })();
  await settle();
}

/** What the next process finds is what was told, and perhaps what was about to be. */
async function proveAfter(disk: MortalDisk, told: Told, before: ReadonlySet<string>): Promise<void> {
  const log = await openLog({ disk }).follow();
  if (told.epoch) {
    expect(epochOf(log.start.top)).toBe(told.epoch);
    expect(log.lines).toEqual([]);
  }
  const found = new Map(log.seen.map((logged) => [logged.position, logged]));
  const foundIds = told.acknowledged.map(({ position }) => found.get(position)).map((it) => (it ? idsOf([it])[0] : it));
  expect(foundIds).toEqual(told.acknowledged.map(({ id }) => id));
  const same = ({ position, entry }: Logged): boolean =>
    JSON.stringify(found.get(position)?.entry) === JSON.stringify(entry);
  expect(told.tailed.filter((logged) => !same(logged))).toEqual([]);
  const { floor, top } = log.start;
  const misplaced = log.seen.filter(
    ({ position }, index) =>
      !isAfter(position, log.seen[index - 1]?.position ?? floor) || (comparePositions(position, top) ?? 1) > 0,
  );
  expect(misplaced).toEqual([]);
  const ids = idsOf(log.seen);
  expect(ids.filter((id) => !before.has(id))).toEqual([]);
  // Whole: of one append both or neither.
  expect(ids.filter((id) => id.endsWith('.3') && !ids.includes(`${id}+`))).toEqual([]);
  const lease = await log.log.lease('relay', 1_000);
  expect(lease?.fence).toBeGreaterThan(told.fence);
  const checkpoint = await lease?.checkpoint();
  if (told.checkpoint) expect(comparePositions(checkpoint as Position, told.checkpoint)).toBeGreaterThanOrEqual(0);
  const [next] = await log.log.append([order('next')]);
  expect(log.seen.slice(0, -1).filter(({ position }) => !isAfter(next as Position, position))).toEqual([]);
  await log.log.close();
}

const nothing = (): Told => ({ acknowledged: [], tailed: [], epoch: undefined, checkpoint: undefined, fence: 0 });
const idsOfRun = (name: string): string[] => ['1', '2', '3', '3+', '4', '5', '6', '7'].map((id) => `${name}.${id}`);

async function stepsOfRun(smallest: number, from: MortalDisk = mortalDisk()): Promise<number> {
  const told = nothing();
  await run(from, 'a', told, smallest);
  expect(told.acknowledged).toHaveLength(8);
  return from.steps;
}

// 1: the file is replaced at every append.
describe.each([1 << 20, 700, 1])('files are replaced from %i bytes on', (smallest) => {
  test('killed before every step of the first run', async () => {
    const steps = await stepsOfRun(smallest);
    for (let step = 1; step <= steps; step += 1) {
      const told = nothing();
      const disk = mortalDisk();
      disk.dieAt(step);
      await run(disk, 'a', told, smallest);
      await proveAfter(disk.afterKill(), told, new Set(idsOfRun('a')));
    }
  });

  test('killed before every step of the second run', async () => {
    const first = mortalDisk();
    const kept = nothing();
    await run(first, 'a', kept, smallest);
    const steps = await stepsOfRun(smallest, first.afterKill());
    for (let step = 1; step <= steps; step += 1) {
      const told: Told = { ...kept, tailed: [], acknowledged: [...kept.acknowledged], checkpoint: undefined };
      const disk = first.afterKill();
      disk.dieAt(step);
      await run(disk, 'b', told, smallest);
      if (told.checkpoint === undefined) told.checkpoint = kept.checkpoint;
      await proveAfter(disk.afterKill(), told, new Set([...idsOfRun('a'), ...idsOfRun('b')]));
    }
  });

  test('without power before every step, whatever of the rest is left', async () => {
    const steps = await stepsOfRun(smallest);
    for (let step = 1; step <= steps; step += 1) {
      for (let chance = 0; chance < 2; chance += 1) {
        const told = nothing();
        const disk = mortalDisk();
        disk.dieAt(step);
        await run(disk, 'a', told, smallest);
        await proveAfter(disk.afterPowerLoss(seeded(step * 100 + chance)), told, new Set(idsOfRun('a')));
      }
    }
  });
});

test('many runs, each of which ends at some step by a kill or without power', async () => {
  for (let seed = 1; seed <= 30; seed += 1) {
    const random = seeded(seed);
    let disk = mortalDisk();
    const told = nothing();
    const before = new Set<string>();
    for (let round = 0; round < 8; round += 1) {
      const name = `r${round}`;
      for (const id of idsOfRun(name)) before.add(id);
      const died = Math.ceil(random() * 120);
      disk.dieAt(died);
      await run(disk, name, told, random() < 0.5 ? 700 : 1);
      disk = random() < 0.5 ? disk.afterKill() : disk.afterPowerLoss(random);
    }
    await proveAfter(disk, told, new Set([...before]));
  }
});
