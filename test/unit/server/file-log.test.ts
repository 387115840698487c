/** What a restart keeps: window, floor, leases, keys; and what the clock has to do with it: nothing, but for keys. */
import { describe, expect, test } from 'vitest';
import { comparePositions, epochOf, isAfter, type Position } from '../../../adapters/position.js';
import { createHistory } from '../../../server/history.js';
import { pathOf } from '../../../server/log/file/address.js';
import { idsOf, openLog, order, RETENTION, type TestLog, type TestLogOptions } from '../../kit/file-log.js';
import { type MortalDisk, mortalDisk } from '../../kit/mortal-disk.js';

const HOUR = 3_600_000;

async function opened(disk: MortalDisk, more: Partial<TestLogOptions> = {}): Promise<TestLog> {
  return openLog({ disk, ...more }).follow();
}

describe('a restart', () => {
  test.each(['closed', 'killed'])('%s: the same epoch, the same entries, and the order goes on', async (how) => {
    const disk = mortalDisk();
    const first = await opened(disk);
    const given = await first.log.append([order(1), order(2), { kind: 'resync' }, { kind: 'revoke', users: ['h'] }]);
    if (how === 'closed') await first.log.close();
    const second = await opened(disk.afterKill());
    expect(second.seen).toEqual(first.seen);
    expect(second.start.floor).toBe(first.start.floor);
    expect(second.start.top).toBe(given.at(-1));
    const [next] = await second.log.append([order(3)]);
    expect(isAfter(next as Position, given.at(-1) as Position)).toBe(true);
  });

  test('of an empty log, twice: still the same epoch', async () => {
    let disk = mortalDisk();
    const { log, tail } = await opened(disk);
    await log.lease('a', 1); // makes sure that it has written its file
    disk = disk.afterKill();
    const second = await opened(disk);
    await second.log.close();
    const third = await opened(disk.afterKill());
    expect(epochOf(third.start.top)).toBe(epochOf(tail.start.top));
    expect(third.start.floor).toBe(third.start.top);
  });

  test('the floor survives it: positions below lead to a resync, those above to a replay', async () => {
    const disk = mortalDisk();
    const first = await opened(disk);
    const [one, two] = (await first.log.append([order(1), order(2)])) as [Position, Position];
    first.pass(RETENTION + 1);
    const [three, four] = (await first.log.append([order(3), order(4)])) as [Position, Position];
    await first.log.close();
    const second = await opened(disk.afterKill());
    expect(second.start).toEqual({ floor: two, top: four });
    const history = createHistory(second.start, { retention: RETENTION, cap: 100, now: () => 0 });
    for (const logged of second.seen) history.apply(logged, false);
    history.start(second.start);
    const readFrom = (position: Position) => history.read(new Map([['Order/4' as never, position]]));
    expect(readFrom(one).resync).toHaveLength(1);
    for (const position of [two, three]) {
      expect(readFrom(position).resync).toEqual([]);
      expect(readFrom(position).replay.map(({ kept }) => kept.position)).toEqual([four]);
    }
  });

  test('the floor survives further ones, of whose files what has expired is no part', async () => {
    let disk = mortalDisk();
    const first = await opened(disk);
    const [one] = (await first.log.append([order(1)])) as [Position];
    first.pass(RETENTION + 1);
    await first.log.append([order(2)]);
    for (let run = 0; run < 3; run += 1) {
      disk = disk.afterKill();
      const next = await opened(disk);
      expect(idsOf(next.seen)).toEqual(['2']);
      expect(next.start.floor).toBe(one);
    }
  });

  test('when all has expired the top does not go back', async () => {
    const disk = mortalDisk();
    const first = await opened(disk);
    const [position] = await first.log.append([order(1)]);
    first.pass(RETENTION * 2);
    await first.log.close();
    const second = await opened(disk.afterKill());
    expect(second.seen).toEqual([]);
    expect(second.start).toEqual({ floor: position, top: position });
  });

  test('the cap holds over it', async () => {
    const disk = mortalDisk();
    const first = await opened(disk);
    const positions = await first.log.append([1, 2, 3, 4, 5].map((id) => order(id)));
    const second = await opened(disk.afterKill(), { cap: 2 });
    expect(idsOf(second.seen)).toEqual(['4', '5']);
    expect(second.start.floor).toBe(positions[2]);
  });

  test('nobody holds a lease after it; the next fence is greater and the checkpoint is there', async () => {
    const disk = mortalDisk();
    const first = await opened(disk);
    const [position] = (await first.log.append([order(1)])) as [Position];
    const lease = await first.log.lease('relay', HOUR);
    await lease?.moveCheckpoint(position);
    await first.log.lease('other', HOUR);
    const second = await opened(disk.afterKill());
    const again = await second.log.lease('relay', HOUR);
    expect(again?.fence).toBeGreaterThan(lease?.fence as number);
    expect(await again?.checkpoint()).toBe(position);
    const other = await second.log.lease('other', HOUR);
    expect(other?.fence).toBeGreaterThan(1);
    expect(await other?.checkpoint()).toBeUndefined();
  });

  test('a lease that cannot be written down is not given', async () => {
    const disk = mortalDisk();
    const { log } = await opened(disk);
    await log.append([order(1)]);
    disk.fault = (step) => (step === 'sync' ? new Error('EIO') : undefined);
    await expect(log.lease('relay', HOUR)).rejects.toThrow('EIO');
    disk.fault = undefined;
    await log.append([order(2)]);
    expect(await log.lease('relay', HOUR)).toBeDefined();
  });

  test('closing brings out what waits, and frees the file at once', async () => {
    const disk = mortalDisk();
    const first = await opened(disk);
    const appending = Promise.all([1, 2, 3].map((id) => first.log.append([order(id)])));
    const closing = first.log.close();
    await expect(appending).resolves.toHaveLength(3);
    await closing;
    await expect(first.log.append([order(4)])).rejects.toThrow('closed');
    const second = await opened(disk, { fateOf: () => 'runs' });
    expect(idsOf(second.seen)).toEqual(['1', '2', '3']);
  });
});

describe('time', () => {
  /** Runs a log, then another one whose clocks say what they like. */
  async function twoRuns(
    ran: number,
    wallOfSecond: number,
    entry = order(1),
  ): Promise<{ first: Position; second: TestLog }> {
    const disk = mortalDisk();
    const first = await opened(disk, { wall: () => 100 * HOUR });
    const [position] = (await first.log.append([entry])) as [Position];
    first.pass(ran);
    await first.log.close();
    return { first: position, second: await opened(disk.afterKill(), { wall: () => wallOfSecond }) };
  }

  test.each([
    ['goes back', 1],
    ['stands still', 100 * HOUR],
    ['jumps ahead', 10_000 * HOUR],
  ])('a wall clock that %s between two runs drops nothing, and keeps nothing longer', async (_how, wall) => {
    const { second } = await twoRuns(RETENTION - 1_000, wall);
    expect(idsOf(second.seen)).toEqual(['1']);
    // Kept for the rest of its time in which a log runs.
    second.pass(900);
    expect((await second.log.append([order(2)])).length).toBe(1);
    const window = async (): Promise<string[]> => {
      const ids: string[] = [];
      await second.log.tail({ entries: (batch) => ids.push(...idsOf(batch)), reset: () => {}, failed: () => {} });
      return ids;
    };
    expect(await window()).toEqual(['1', '2']);
    second.pass(200);
    expect(await window()).toEqual(['2']);
  });

  test('runs that are shorter than the retention do not keep entries for ever', async () => {
    let disk = mortalDisk();
    const first = await opened(disk);
    await first.log.append([order('old')]);
    for (let run = 0; run < 4; run += 1) {
      disk = disk.afterKill();
      const log = await opened(disk);
      expect(idsOf(log.seen)).toContain('old');
      log.pass(RETENTION / 4);
      await log.log.append([order(run)]); // killed after it
    }
    expect(idsOf((await opened(disk.afterKill())).seen)).toEqual(['0', '1', '2', '3']);
  });

  test('idle runs count too, by the beat', async () => {
    let disk = mortalDisk();
    const first = await opened(disk);
    await first.log.append([order('old')]);
    for (let run = 0; run < 2; run += 1) {
      disk = disk.afterKill();
      const log = await opened(disk);
      await log.log.lease('x', 1);
      log.pass(RETENTION / 2);
      log.beat();
      await log.tail.prove(1_000);
    }
    expect((await opened(disk.afterKill())).seen).toEqual([]);
  });
});

describe('keys', () => {
  async function copyAfter(away: number): Promise<boolean> {
    const disk = mortalDisk();
    const copy = order(1, { dedupeKey: 'job' });
    const first = await opened(disk, { wall: () => 100 * HOUR });
    const [position] = await first.log.append([copy]);
    first.pass(1_000);
    await first.log.close();
    const second = await opened(disk.afterKill(), { wall: () => 100 * HOUR + away });
    const [again] = await second.log.append([copy]);
    return comparePositions(position as Position, again as Position) === 0;
  }

  test('a copy after a short absence is the same notification', async () => {
    expect(await copyAfter(0)).toBe(true);
    expect(await copyAfter(RETENTION - 2_000)).toBe(true);
  });

  test('after a long one, or one that the clock denies, it is another: nothing may be swallowed', async () => {
    expect(await copyAfter(RETENTION)).toBe(false);
    expect(await copyAfter(24 * HOUR)).toBe(false);
    expect(await copyAfter(-1)).toBe(false);
  });
});

describe('the address', () => {
  test.each([
    ['file:./notify.log', './notify.log'],
    ['file:notify.log', 'notify.log'],
    ['file:../data/notify.log', '../data/notify.log'],
    ['file:/var/lib/app/notify.log', '/var/lib/app/notify.log'],
    ['file:///var/lib/my%20app/notify.log', '/var/lib/my app/notify.log'],
    ['file:/var/lib/my%20app/notify.log', '/var/lib/my%20app/notify.log'],
    ['file:C:\\data\\notify.log', 'C:\\data\\notify.log'],
  ])('%s is %s', (address, path) => {
    expect(pathOf(address)).toBe(path);
  });

  test.each(['file:', 'file:./', 'file:/', 'file:///', 'file:a/b/', 'file:a\0b', 'file://host/path', 'file://./path'])(
    '%j names none',
    (address) => {
      expect(() => pathOf(address)).toThrow(/names no file|is not a URL of a file/);
    },
  );
});
