/** A disk that fails, fills up or is tampered with while the log runs: nothing is acknowledged that is not there. */
import { describe, expect, test } from 'vitest';
import { epochOf, type Position } from '../../../adapters/position.js';
import { RETRY } from '../../../server/log/file/writer.js';
import { FOLDER, idsOf, openLog, order, PATH, type TestLog } from '../../kit/file-log.js';
import { type MortalDisk, mortalDisk, type Step } from '../../kit/mortal-disk.js';

const failure = (code: string): Error => Object.assign(new Error(`${code}: made by the test`), { code });

/** The disk fails at the next step of this kind, and then works. */
function once(disk: MortalDisk, step: Step, code: string, of: (path: string) => boolean = () => true): void {
  disk.fault = (at, path) => {
    if (at !== step || !of(path)) return undefined;
    disk.fault = undefined;
    return failure(code);
  };
}

async function opened(disk: MortalDisk, smallest?: number): Promise<TestLog> {
  const log = await openLog({ disk, ...(smallest !== undefined && { smallest }) }).follow();
  await log.log.append([order('first')]);
  return log;
}

/** What another process finds after a power loss that leaves nothing unsynchronised. */
async function leftOnDisk(disk: MortalDisk): Promise<TestLog> {
  return openLog({ disk: disk.afterPowerLoss(() => 0) }).follow();
}

const errors = (log: TestLog): string[] => log.lines.filter(({ level }) => level === 'error').map((it) => it.message);

describe.each(['EIO', 'ENOSPC'])('%s', (code) => {
  test.each<Step>(['write', 'sync', 'status'])(
    'at a %s of a commit: that batch is not accepted, the next is',
    async (step) => {
      const disk = mortalDisk();
      const log = await opened(disk);
      once(disk, step, code);
      const together = [log.log.append([order('a')]), log.log.append([order('b'), order('c')])];
      for (const { status, ...rest } of await Promise.allSettled(together))
        expect([status, (rest as { reason?: Error }).reason?.message]).toEqual([
          'rejected',
          expect.stringContaining(code),
        ]);
      expect(idsOf(log.seen)).toEqual(['first']);
      // The next append finds a file that was written anew from memory.
      const [position] = await log.log.append([order('d')]);
      expect(idsOf(log.seen)).toEqual(['first', 'd']);
      expect(errors(log)).toEqual(['the log was not written: what was to be added is not accepted']);
      expect(log.lines.map(({ message }) => message)).toContain('the log in the file is written again');
      const next = await leftOnDisk(disk);
      expect(epochOf(next.start.top)).toBe(epochOf(position as Position));
      expect(next.seen).toEqual(log.seen);
    },
  );

  test('for long: appends are refused at once with the reason, and go on when the disk does', async () => {
    const disk = mortalDisk();
    const log = await opened(disk);
    disk.fault = (step) => (step === 'write' || step === 'create' ? failure(code) : undefined);
    await expect(log.log.append([order('a')])).rejects.toThrow(code);
    await expect(log.log.append([order('b')])).rejects.toThrow(code); // tries to write a fresh file
    const { steps } = disk;
    await expect(log.log.append([order('c')])).rejects.toThrow(code); // does not try
    expect(disk.steps).toBe(steps);
    // Its tail hears all that there is.
    expect(await log.tail.prove(1_000)).toBe(log.seen.at(-1)?.position);
    disk.fault = undefined;
    log.pass(RETRY);
    await log.log.append([order('d')]);
    expect(idsOf(log.seen)).toEqual(['first', 'd']);
    expect((await leftOnDisk(disk)).seen).toEqual(log.seen);
  });

  test('while nobody appends: the beat mends it', async () => {
    const disk = mortalDisk();
    const log = await opened(disk);
    disk.fault = (step) => (step === 'write' ? failure(code) : undefined);
    await expect(log.log.append([order('a')])).rejects.toThrow(code);
    await expect(log.log.append([order('b')])).rejects.toThrow(code);
    disk.fault = undefined;
    log.pass(RETRY);
    log.beat();
    await expect.poll(() => log.lines.at(-1)?.message).toBe('the log in the file is written again');
  });
});

test('after a failed sync nothing is read back: the kernel takes lost pages for written', async () => {
  const disk = mortalDisk();
  const log = await opened(disk);
  once(disk, 'sync', 'EIO');
  await expect(log.log.append([order('lost')])).rejects.toThrow('EIO');
  await log.log.append([order('kept')]);
  const next = await leftOnDisk(disk);
  expect(idsOf(next.seen)).toEqual(['first', 'kept']);
});

test.each<Step>(['create', 'sync', 'rename', 'syncFolder', 'write'])(
  'a file that cannot be replaced by a shorter one for a %s is gone on with, or written anew',
  async (step) => {
    const disk = mortalDisk();
    const log = await openLog({ disk, smallest: 1_000 }).follow();
    let refused = 0;
    disk.fault = (at, path) =>
      at === step &&
      (step === 'create' || step === 'syncFolder' || disk.bytes(path) !== undefined) &&
      path !== `${PATH}.lock-1`
        ? failure('EIO')
        : undefined;
    // The first file cannot be made while the disk fails, so it fails from now on only.
    const fault = disk.fault;
    disk.fault = undefined;
    await log.log.append([order('first')]);
    disk.fault = fault;
    const accepted = ['first'];
    for (let n = 0; n < 30; n += 1) {
      await log.log.append([order(n)]).then(
        () => accepted.push(String(n)),
        () => {
          refused += 1;
        },
      );
      log.pass(RETRY);
      if (n === 20) disk.fault = undefined;
    }
    expect(idsOf(log.seen)).toEqual(accepted);
    expect(accepted.slice(-9)).toEqual(['21', '22', '23', '24', '25', '26', '27', '28', '29']);
    // Until the old file is given up it goes on: only what comes after the names changed needs a new one.
    if (!['rename', 'syncFolder'].includes(step)) expect(refused).toBe(0);
    expect((await leftOnDisk(disk)).seen).toEqual(log.seen);
  },
);

describe('tampered with while it runs', () => {
  const tamper: [string, (disk: MortalDisk) => unknown][] = [
    ['deleted', (disk) => disk.remove(PATH)],
    ['moved away', (disk) => disk.rename(PATH, `${FOLDER}/else`)],
    ['cut', (disk) => disk.put(PATH, Buffer.alloc(0))],
    [
      'replaced',
      async (disk) => {
        await disk.remove(PATH);
        disk.put(PATH, Buffer.from('a backup'));
      },
    ],
  ];

  test.each(tamper)('%s: one append is refused, then it is written anew, and nothing is lost', async (_how, act) => {
    const disk = mortalDisk();
    const log = await opened(disk);
    await act(disk);
    await expect(log.log.append([order('refused')])).rejects.toThrow('deleted, replaced or changed');
    await log.log.append([order('second')]);
    expect(idsOf(log.seen)).toEqual(['first', 'second']);
    const next = await leftOnDisk(disk);
    expect(next.seen).toEqual(log.seen);
    expect(log.faults).toEqual([]);
  });

  test.each(tamper)('%s: the proof of the tail notices, and nothing is refused', async (_how, act) => {
    const disk = mortalDisk();
    const log = await opened(disk);
    await act(disk);
    await log.tail.prove(1_000);
    await expect.poll(() => log.lines.at(-1)?.message).toBe('the log in the file is written again');
    await log.log.append([order('second')]);
    expect((await leftOnDisk(disk)).seen).toEqual(log.seen);
  });

  test('what was put in its place is set aside', async () => {
    const disk = mortalDisk();
    const log = await opened(disk);
    await disk.remove(PATH);
    disk.put(PATH, Buffer.from('a backup'));
    await log.tail.prove(1_000);
    await expect.poll(() => disk.bytes(`${PATH}.aside-1`)?.toString()).toBe('a backup');
  });

  test('everything deleted, the lock too: all is made again, and another process is kept out', async () => {
    const disk = mortalDisk();
    const log = await opened(disk);
    for (const path of disk.names()) await disk.remove(path);
    // Two that look at the same time must not take each other for a successor.
    await Promise.all([log.tail.prove(1_000), log.tail.prove(1_000)]);
    await log.log.append([order('second')]).catch(() => log.log.append([order('second')]));
    expect(disk.names()).toEqual([PATH, `${PATH}.lock-1`]);
    expect(() => openLog({ disk, fateOf: () => 'runs' })).toThrow('in use');
    const next = await openLog({ disk: disk.afterKill() }).follow();
    expect(next.seen).toEqual(log.seen);
  });
});

describe('a process that was taken for gone', () => {
  test('finds that out before it acknowledges anything, says so, and never again writes', async () => {
    const disk = mortalDisk();
    const stopped = await opened(disk);
    const next = await openLog({ disk }).follow();
    await next.log.append([order('of the next')]);
    await expect(stopped.log.append([order('late')])).rejects.toThrow('taken over by another process');
    await expect(stopped.log.append([order('later')])).rejects.toThrow('taken over by another process');
    await expect(stopped.tail.prove(1_000)).rejects.toThrow('taken over by another process');
    await expect(stopped.log.lease('relay', 1_000)).rejects.toThrow('taken over by another process');
    expect(stopped.faults).toHaveLength(1);
    expect(errors(stopped)).toEqual(['the log in the file belongs to another process now']);
    await next.log.append([order('and more')]);
    expect(idsOf(next.seen)).toEqual(['first', 'of the next', 'and more']);
    const third = await openLog({ disk: disk.afterKill() }).follow();
    expect(third.seen).toEqual(next.seen);
  });

  test('finds that out before its successor has taken away the old lock', async () => {
    const disk = mortalDisk();
    const stopped = await opened(disk);
    disk.put(`${PATH}.lock-2`, Buffer.alloc(0));
    await expect(stopped.log.append([order('late')])).rejects.toThrow('taken over by another process');
  });

  test('finds it out by itself within a beat', async () => {
    const disk = mortalDisk();
    const stopped = await opened(disk);
    await openLog({ disk }).follow();
    stopped.beat();
    await expect.poll(() => stopped.faults.length).toBe(1);
    await stopped.log.close();
  });

  test('whatever it was just doing: what it acknowledged is known to the next', async () => {
    for (let at = 1; at < 40; at += 1) {
      const disk = mortalDisk();
      const stopped = await opened(disk, 300);
      const before = disk.steps;
      let acknowledged: string[] = [];
      const appending = stopped.log.append([order('a'), order('b')]).then(
        () => {
          acknowledged = ['a', 'b'];
        },
        () => {},
      );
      // The other one starts in the middle, in one blocking turn, as a process that was stopped would find it.
      let next: ReturnType<typeof openLog> | undefined;
      disk.fault = () => {
        if (disk.steps - before === at && !next) {
          disk.fault = undefined;
          next = openLog({ disk });
        }
        return undefined;
      };
      await appending;
      disk.fault = undefined;
      const other = await (next ?? openLog({ disk })).follow();
      expect(idsOf(other.seen).slice(0, 1 + acknowledged.length)).toEqual(['first', ...acknowledged]);
      await other.log.append([order('next')]).catch(() => other.log.append([order('next')]));
      expect((await openLog({ disk: disk.afterKill() }).follow()).seen).toEqual(other.seen);
    }
  });
});

describe('group commit', () => {
  const data = (path: string): boolean => path === PATH || path.includes('.new-');

  test('a hundred appends at once are one sync; one after the other, one each', async () => {
    const disk = mortalDisk();
    const log = await opened(disk);
    let { sync } = disk.counts;
    await Promise.all(Array.from({ length: 100 }, (_, n) => log.log.append([order(n)])));
    expect(disk.counts.sync - sync).toBe(1);
    ({ sync } = disk.counts);
    for (let n = 0; n < 10; n += 1) await log.log.append([order(n)]);
    expect(disk.counts.sync - sync).toBe(10);
  });

  test('what comes while the disk is busy shares the next sync', async () => {
    const disk = mortalDisk();
    const log = await opened(disk);
    const { sync } = disk.counts;
    const appended: Promise<unknown>[] = [];
    disk.fault = (step, path) => {
      // In the middle of the first sync.
      if (step === 'sync' && data(path) && appended.length === 1)
        for (let n = 1; n < 100; n += 1) appended.push(log.log.append([order(n)]));
      return undefined;
    };
    appended.push(log.log.append([order(0)]));
    await appended[0];
    await Promise.all(appended);
    expect(appended).toHaveLength(100);
    expect(disk.counts.sync - sync).toBe(2);
  });

  test('an append that is no entry harms no other', async () => {
    const log = await opened(mortalDisk());
    const wrong = [order('x'), null] as never;
    const cyclic: { detail?: unknown } = {};
    cyclic.detail = cyclic;
    const all = await Promise.allSettled([
      log.log.append([order('a')]),
      log.log.append(wrong),
      log.log.append([{ kind: 'resync', objects: [cyclic] } as never]),
      log.log.append([order('b')]),
    ]);
    expect(all.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
    expect(idsOf(log.seen)).toEqual(['first', 'a', 'b']);
  });

  test('what waits for a disk that hangs is bounded', async () => {
    const disk = mortalDisk();
    const log = await opened(disk);
    disk.dieAt(disk.steps + 1);
    const many = Array.from({ length: 1_000 }, (_, n) => order(n));
    let refused: Error | undefined;
    let taken = 0;
    for (; taken < 100 && !refused; taken += 1) {
      log.log.append(many).catch((error: Error) => {
        refused = error;
      });
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    expect(refused?.message).toMatch('the disk is behind');
    expect(taken).toBe(21);
    await expect(log.tail.prove(20)).rejects.toThrow('20 ms');
  });
});

describe('the file', () => {
  test('does not grow for ever: what has expired goes when it has doubled', async () => {
    const disk = mortalDisk();
    const log = await openLog({ disk, smallest: 10_000 }).follow();
    let longest = 0;
    for (let n = 0; n < 2_000; n += 1) {
      await log.log.append([order(n)]);
      log.pass(1_000);
      longest = Math.max(longest, disk.bytes(PATH)?.length ?? 0);
    }
    // Sixty entries are retained, of less than 200 bytes each.
    expect(longest).toBeLessThan(2 * 60 * 200 + 10_000);
    const next = await openLog({ disk: disk.afterKill() }).follow();
    expect(next.seen.length).toBeLessThanOrEqual(60);
    expect(next.lines).toEqual([]);
  });

  test('nor by checkpoints alone', async () => {
    const disk = mortalDisk();
    const log = await openLog({ disk, smallest: 5_000 }).follow();
    const lease = await log.log.lease('relay', 1_000);
    const [position] = (await log.log.append([order(1)])) as [Position];
    for (let n = 0; n < 300; n += 1) await lease?.moveCheckpoint(position);
    expect(disk.bytes(PATH)?.length).toBeLessThan(5_200);
  });
});
