/** Who may have the file when it cannot be told whether its owner still runs: signs of life decide. */
import { describe, expect, test } from 'vitest';
import type { Fate, Owner } from '../../../server/log/file/owner.js';
import { aProcess, FOLDER, idsOf, openLog, order, PATH } from '../../kit/file-log.js';
import { type MortalDisk, mortalDisk } from '../../kit/mortal-disk.js';

const unknown = { fateOf: (): Fate => 'unknown' };

/** What else happens while a process waits, in milliseconds since it began to. */
function whileAsleep(disk: MortalDisk, act: (waited: number) => void): { readonly waited: number } {
  const sleep = { waited: 0 };
  disk.sleepNow = (ms) => {
    sleep.waited += ms;
    act(sleep.waited);
  };
  return sleep;
}

async function left(): Promise<MortalDisk> {
  const disk = mortalDisk();
  const { log } = openLog({ disk });
  await log.append([order(1)]);
  return disk;
}

describe('an owner of which nothing is known', () => {
  test('that shows no life for three beats is gone', async () => {
    const disk = await left();
    const sleep = whileAsleep(disk, () => {});
    const next = await openLog({ disk, ...unknown }).follow();
    expect(idsOf(next.seen)).toEqual(['1']);
    expect(sleep.waited).toBe(3_500);
  });

  test.each([100, 1_000, 3_400])('that changes its lock after %i ms runs', async (after) => {
    const disk = await left();
    const lock = `${PATH}.lock-1`;
    const sleep = whileAsleep(disk, (waited) => {
      const bytes = disk.bytes(lock) as Buffer;
      if (waited === after) disk.put(lock, Buffer.from(String(bytes).replace(/"beat":(\d+)/, '"beat":9')));
    });
    expect(() => openLog({ disk, ...unknown })).toThrow('in use');
    expect(sleep.waited).toBe(after);
    expect(disk.names()).toEqual([PATH, lock]);
  });

  test('that ends properly meanwhile has gone', async () => {
    const disk = await left();
    const lock = `${PATH}.lock-1`;
    whileAsleep(disk, (waited) => {
      const bytes = disk.bytes(lock) as Buffer;
      if (waited === 500) disk.put(lock, Buffer.from(String(bytes).replace('"released":false', '"released":true ')));
    });
    expect((await openLog({ disk, ...unknown }).follow()).seen).toHaveLength(1);
  });

  test('that is succeeded by another meanwhile: that one has it', async () => {
    const disk = await left();
    const other = aProcess();
    whileAsleep(disk, (waited) => {
      if (waited === 500) openLog({ disk, owner: other });
    });
    expect(() => openLog({ disk, ...unknown })).toThrow('in use');
    expect(disk.names()).toContain(`${PATH}.lock-2`);
  });

  test('a lock that was made and never written is no owner', async () => {
    const disk = await left();
    disk.put(`${PATH}.lock-2`, Buffer.alloc(0));
    const sleep = whileAsleep(disk, () => {});
    const next = await openLog({ disk }).follow();
    // What the log was is told by the one below it.
    expect(idsOf(next.seen)).toEqual(['1']);
    expect(next.lines).toEqual([]);
    expect(sleep.waited).toBe(3_500);
  });
});

describe('processes that start at the same time', () => {
  /** Others start before some step of one that starts; each may be killed as soon as it has the log. */
  async function race(
    stale: boolean,
    at: number,
    others: readonly ('lives' | 'is killed')[],
  ): Promise<readonly string[]> {
    const disk = stale ? await left() : mortalDisk();
    const living = new Set<string>();
    const holders = new Map<string, string>();
    const refused: string[] = [];
    const fateOf = ({ token }: Owner): Fate => (living.has(token) ? 'runs' : 'gone');
    const start = (name: string, end: 'lives' | 'is killed'): void => {
      const owner = aProcess();
      living.add(owner.token);
      try {
        openLog({ disk, owner, fateOf });
        holders.set(owner.token, name);
      } catch (error) {
        refused.push((error as Error).message);
      }
      if (end === 'is killed') living.delete(owner.token);
    };
    const before = disk.steps;
    disk.fault = () => {
      if (disk.steps - before < at) return undefined;
      disk.fault = undefined;
      for (const [index, end] of others.entries()) start(`other ${index}`, end);
      return undefined;
    };
    start('one', 'lives');
    for (const message of refused) expect(message).toMatch('in use');
    return [...holders].flatMap(([token, name]) => (living.has(token) ? [name] : []));
  }

  /** List, create and write and synchronise the lock, list, read the log: at least. */
  const STEPS = 8;

  test.each([
    [['lives'] as const],
    [['is killed', 'lives'] as const],
    [['is killed', 'is killed', 'lives'] as const],
    [['is killed'] as const],
    [['is killed', 'is killed'] as const],
  ])('at any step of one of them others start (%j): one has the log in the end', async (others) => {
    for (const stale of [false, true])
      for (let at = 1; at <= STEPS; at += 1)
        expect([stale, at, (await race(stale, at, others)).length]).toEqual([stale, at, 1]);
  });
});

test('a lock is found beside the log only by its whole name', async () => {
  const disk = await left();
  for (const name of ['notify.log.lock-x', 'notify.log.lock-01', 'notify.log.lock-9.bak', 'other.log.lock-7'])
    disk.put(`${FOLDER}/${name}`, Buffer.from('mine'));
  const next = await openLog({ disk }).follow();
  expect(idsOf(next.seen)).toEqual(['1']);
  expect(disk.names()).toHaveLength(6);
});
