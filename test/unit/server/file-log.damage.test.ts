/** What the file log makes of a file that is not as it left it: a torn end is cut off, everything else is a new epoch. */
import { describe, expect, test } from 'vitest';
import { epochOf, type Position } from '../../../adapters/position.js';
import { headText, recordText } from '../../../server/log/file/content.js';
import { encodeFrame } from '../../../server/log/file/frames.js';
import { type Found, loadNow } from '../../../server/log/file/load.js';
import type { Seen } from '../../../server/log/file/lock.js';
import { idsOf, openLog, order, PATH, type TestLog } from '../../kit/file-log.js';
import { type MortalDisk, mortalDisk } from '../../kit/mortal-disk.js';

const EMPTY = { floor: 0, top: 0, offset: 0 };

interface Left {
  readonly disk: MortalDisk;
  readonly positions: readonly Position[];
  /** The length of the file after each append. */
  readonly lengths: readonly number[];
}

/** A log that was killed after `count` appends. */
async function left(count: number, disk: MortalDisk = mortalDisk()): Promise<Left> {
  const { log } = openLog({ disk });
  const positions: Position[] = [];
  const lengths: number[] = [];
  for (let n = 1; n <= count; n += 1) {
    positions.push(...(await log.append([order(n, { dedupeKey: `key-${n}` })])));
    lengths.push(disk.bytes(PATH)?.length ?? 0);
  }
  return { disk: disk.afterKill(), positions, lengths };
}

async function reopened(disk: MortalDisk): Promise<TestLog> {
  const log = await openLog({ disk }).follow();
  // It can be used, whatever was found.
  await log.log.append([order('after')]);
  return log;
}

const why = (log: TestLog): unknown => log.lines.find(({ why }) => why)?.why;

/** What the next process would make of the file: the pure part of its start. */
function judged(disk: MortalDisk, bytes: Uint8Array): Found {
  const next = disk.afterKill();
  next.put(PATH, bytes);
  const { seen } = JSON.parse(String(disk.bytes(`${PATH}.lock-1`))) as { seen: Seen };
  return loadNow(next, PATH, seen);
}

/** A kind of file that nothing may be lost of: the log goes on, or says that it does not. */
function expectHonest(log: TestLog, { positions }: Left): 'goes on' | 'new epoch' {
  if (epochOf(log.start.top) === epochOf(positions[0] as Position)) {
    expect(log.seen.slice(0, -1).map(({ position }) => position)).toEqual(positions);
    expect(idsOf(log.seen)).toEqual([...positions.map((_, index) => String(index + 1)), 'after']);
    return 'goes on';
  }
  expect(idsOf(log.seen)).toEqual(['after']);
  expect(why(log)).toBeDefined();
  expect(log.lines.every(({ level }) => level === 'warn')).toBe(true);
  return 'new epoch';
}

describe('a torn end', () => {
  const torn = encodeFrame({ number: 6, text: recordText(1, [`[99,1,${JSON.stringify(order('torn'))}]`], []) });

  test('of any length was never acknowledged: it is cut off, and the epoch stays', async () => {
    const before = await left(3);
    const whole = before.disk.bytes(PATH) as Buffer;
    for (let length = 1; length < torn.length; length += 1) {
      const disk = before.disk.afterKill();
      disk.put(PATH, Buffer.concat([whole, torn.subarray(0, length)]));
      const log = await reopened(disk);
      expect(expectHonest(log, before)).toBe('goes on');
      expect(log.lines).toEqual([]);
    }
  });

  test('of zeros, of noise, or with a hole in it, is one too', async () => {
    const before = await left(3);
    const whole = before.disk.bytes(PATH) as Buffer;
    const holed = Buffer.from(torn);
    holed.fill(0, 24, 40);
    for (const end of [Buffer.alloc(4096), Buffer.from('noise'.repeat(99)), holed]) {
      const disk = before.disk.afterKill();
      disk.put(PATH, Buffer.concat([whole, end]));
      expect(expectHonest(await reopened(disk), before)).toBe('goes on');
    }
  });
});

describe('a file that is cut', () => {
  test('at any byte: what was acknowledged is all there, or the epoch is a new one', async () => {
    const before = await left(4);
    const whole = before.disk.bytes(PATH) as Buffer;
    const ends = { 'goes on': 0, 'new epoch': 0 };
    for (let length = 0; length < whole.length; length += 1)
      expect(judged(before.disk, whole.subarray(0, length)).why).toBeDefined();
    expect(judged(before.disk, whole).content?.placed).toHaveLength(4);
    for (let length = 0; length <= whole.length; length += whole.length >> 5) {
      const disk = before.disk.afterKill();
      disk.put(PATH, whole.subarray(0, length));
      ends[expectHonest(await reopened(disk), before)] += 1;
    }
    expect(ends['new epoch']).toBeGreaterThan(30);
  });

  test('in the frame of which nobody had heard when the power went: what was before it is there', async () => {
    const before = await left(3);
    const disk = before.disk.afterKill();
    // The fourth was written, but its process died before it wrote down, and told, that it was.
    const { log } = openLog({ disk });
    await log.append([order('x')]).then(() => {});
    const known = disk.bytes(`${PATH}.lock-2`) as Buffer;
    const length = disk.bytes(PATH)?.length as number;
    await log.append([order(4)]);
    const whole = disk.bytes(PATH) as Buffer;
    for (let cut = length; cut < whole.length; cut += 1) {
      const next = disk.afterKill();
      next.put(`${PATH}.lock-2`, known);
      next.put(PATH, whole.subarray(0, cut));
      const again = await reopened(next);
      expect(idsOf(again.seen)).toEqual(['1', '2', '3', 'x', 'after']);
      expect(again.lines).toEqual([]);
    }
  });
});

test('a flipped byte anywhere leads to no wrong entry: the epoch is a new one', async () => {
  const before = await left(4);
  const whole = before.disk.bytes(PATH) as Buffer;
  for (let at = 0; at < whole.length; at += 1) {
    const disk = before.disk.afterKill();
    const flipped = Buffer.from(whole);
    flipped[at] = (flipped[at] as number) ^ (1 << (at % 8));
    expect(judged(disk, flipped).why).toBeDefined();
    if (at % 32 !== 0) continue;
    disk.put(PATH, flipped);
    expect(expectHonest(await reopened(disk), before)).toBe('new epoch');
  }
});

test('damage before the end is found even where the note of it was lost with the power', async () => {
  const disk = mortalDisk();
  const { log } = openLog({ disk });
  await log.append([order(1)]);
  const known = Buffer.from(disk.bytes(`${PATH}.lock-1`) as Buffer);
  const from = disk.bytes(PATH)?.length as number;
  await log.append([order(2)]);
  const to = disk.bytes(PATH)?.length as number;
  await log.append([order(3)]);
  for (let at = from; at < to; at += 1) {
    const next = disk.afterKill();
    const flipped = Buffer.from(disk.bytes(PATH) as Buffer);
    flipped[at] = (flipped[at] as number) ^ (1 << (at % 8));
    next.put(`${PATH}.lock-1`, known);
    expect(judged(next, flipped).why).toBe('is damaged');
  }
});

test('a frame that was taken out of the middle is missed', async () => {
  const { disk, lengths } = await left(4);
  const whole = disk.bytes(PATH) as Buffer;
  const [, from, to] = lengths;
  const without = Buffer.concat([whole.subarray(0, from), whole.subarray(to)]);
  expect(judged(disk, without).why).toBe('is damaged');
});

describe('another file than the one that was left', () => {
  test('is missing, or empty', async () => {
    const before = await left(2);
    await before.disk.remove(PATH);
    const log = await reopened(before.disk);
    expect(expectHonest(log, before)).toBe('new epoch');
    expect(why(log)).toBe('it is missing');
    const emptied = await left(2);
    emptied.disk.put(PATH, Buffer.alloc(0));
    expect(why(await reopened(emptied.disk))).toBe('it is empty');
  });

  test('an older state of it, written back into it', async () => {
    const disk = mortalDisk();
    const first = await left(2, disk);
    const backup = Buffer.from(first.disk.bytes(PATH) as Buffer);
    const { log } = openLog({ disk: first.disk });
    await log.append([order(3)]);
    await log.close();
    const next = first.disk.afterKill();
    next.put(PATH, backup);
    // Every run begins with a file of its own.
    expect(why(await reopened(next))).toBe('it is a copy, or was put back from one');
  });

  test('an older state by one append, after a kill', async () => {
    const before = await left(3);
    before.disk.put(PATH, (before.disk.bytes(PATH) as Buffer).subarray(0, before.lengths[1]));
    expect(why(await reopened(before.disk))).toBe('it lacks something that was acknowledged');
  });

  test('a copy of everything, in another place or in the same', async () => {
    const before = await left(2);
    const elsewhere = mortalDisk();
    for (const path of before.disk.names()) elsewhere.put(path, before.disk.bytes(path) as Buffer);
    expect(why(await reopened(elsewhere))).toBe('it is a copy, or was put back from one');
  });

  test('its lock file is gone: nothing tells what is missing', async () => {
    const before = await left(2);
    for (const path of before.disk.names()) if (path.includes('.lock-')) await before.disk.remove(path);
    const log = await reopened(before.disk);
    expect(expectHonest(log, before)).toBe('new epoch');
    expect(why(log)).toMatch('lock file');
  });

  test('of a version that is not known', async () => {
    const before = await left(1);
    const status = await before.disk.status(PATH);
    const text = headText({
      epoch: 'e',
      id: status?.id as string,
      birth: status?.birth as string,
      by: 1,
      ...EMPTY,
    }).replace('1', '2');
    before.disk.put(PATH, encodeFrame({ number: 9, text }));
    expect(why(await reopened(before.disk))).toBe('it is of another version (2)');
  });

  test('of an owner that was succeeded, whatever its running number', async () => {
    const before = await left(1);
    const next = openLog({ disk: before.disk });
    await next.log.append([order(2)]);
    const status = await before.disk.status(PATH);
    const { epoch } = JSON.parse(String(before.disk.bytes(`${PATH}.lock-2`))).seen as Seen;
    const head = { epoch, id: status?.id as string, birth: status?.birth as string, ...EMPTY };
    const disk = before.disk.afterKill();
    disk.put(PATH, encodeFrame({ number: 99, text: headText({ ...head, by: 1 }) }));
    expect(why(await reopened(disk))).toBe('it is that of an owner that was succeeded');
  });

  test('something else entirely, where no log ever was: it is not touched, and the log does not start', async () => {
    const disk = mortalDisk();
    disk.put(PATH, Buffer.from('SQLite format 3'));
    expect(() => openLog({ disk })).toThrow(/is a file of something else/);
    expect(disk.names()).toEqual([PATH]);
    expect(disk.bytes(PATH)?.toString()).toBe('SQLite format 3');
  });

  test('what is set aside can be found, and is never more than three files', async () => {
    let disk = mortalDisk();
    const asides: unknown[] = [];
    for (let round = 0; round < 6; round += 1) {
      disk = (await left(1, disk)).disk;
      disk.put(PATH, Buffer.from(`damage ${round}`));
      const log = await reopened(disk);
      asides.push(log.lines.find(({ aside }) => aside)?.aside);
      await log.log.close();
      disk = disk.afterKill();
    }
    expect(asides).toEqual([1, 2, 3, 4, 5, 6].map((n) => `${PATH}.aside-${n}`));
    expect(disk.names().filter((name) => name.includes('aside'))).toEqual([4, 5, 6].map((n) => `${PATH}.aside-${n}`));
    expect(disk.bytes(`${PATH}.aside-6`)?.toString()).toBe('damage 5');
  });
});
