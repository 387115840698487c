/** The file log in real processes that are killed, stopped and started, on a real file system. */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { createFileLog } from 'notify-listen/log/file';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Log, Logged, LogWindow } from '../../adapters/contract.js';
import { comparePositions, epochOf, type Position } from '../../adapters/position.js';
import { type Fate, fateOf, thisProcess } from '../../server/log/file/owner.js';
import { order } from '../kit/file-log.js';
import { type OwnProcess, scriptOf, startProcess } from '../kit/own-process.js';

let append = '';
const folders = mkdtempSync(join(tmpdir(), 'file-log-'));

beforeAll(async () => {
  append = await scriptOf('test/fixtures/file-log/append.ts');
}, 60_000);
afterAll(() => {
  rmSync(folders, { recursive: true, force: true });
  rmSync(append, { force: true });
});

const newPath = (): string => join(mkdtempSync(join(folders, 'log-')), 'notify.log');

function start(...args: string[]): OwnProcess {
  const started = startProcess(append, args);
  onTestFinished(() => started.kill());
  return started;
}

async function until(process: OwnProcess, holds: () => boolean): Promise<void> {
  while (!holds()) {
    if (process.child.exitCode !== null) throw new Error(`it ended\n${process.lines().join('\n')}`);
    await process.more();
  }
}

const isOpen = (process: OwnProcess): boolean => process.lines().some((line) => line.startsWith('open '));

interface Window {
  readonly log: Log;
  readonly start: LogWindow;
  readonly seen: readonly Logged[];
  readonly told: readonly string[];
}

async function open(path: string): Promise<Window> {
  const told: string[] = [];
  const log = createFileLog({ path, logger: ({ message }) => told.push(message) });
  onTestFinished(() => log.close());
  const seen: Logged[] = [];
  const { start } = await log.tail({ entries: (batch) => seen.push(...batch), reset: () => {}, failed: () => {} });
  return { log, start, seen, told };
}

describe('kill -9', () => {
  test('of a process that appends, again and again: everything acknowledged is there, in order, in one epoch', async () => {
    const path = newPath();
    let epoch: string | undefined;
    let all = 0;
    for (let round = 0; round < 8; round += 1) {
      const process = start(path, `r${round}`);
      const enough = (round * 97) % 200;
      await until(process, () => process.lines().length > enough + 2);
      await process.kill();
      const [first, ...lines] = process.lines().slice(0, -1);
      const acknowledged = lines.map((line) => line.split(' ') as [Position, string]);
      acknowledged.sort(([a], [b]) => comparePositions(a, b) as number);
      expect(first).toBe(`open ${epoch ?? epochOf(acknowledged[0]?.[0] as Position)}`);
      epoch = first?.slice('open '.length);

      const { log, start: window, seen, told } = await open(path);
      expect(told).toEqual([]);
      expect(epochOf(window.top)).toBe(epoch);
      const found = new Map(seen.map(({ position, entry }) => [position, entry]));
      for (const [position, id] of acknowledged) {
        if ((comparePositions(position, window.floor) ?? 0) <= 0) continue; // the cap on entries
        expect(found.get(position)).toMatchObject({ notification: { id } });
      }
      // What was on its way is there as a whole or not at all.
      const members = new Map<string, number>();
      for (const { entry } of seen) members.set(groupOf(entry), (members.get(groupOf(entry)) ?? 0) + 1);
      const [cut] = seen; // the cap on entries may divide the oldest
      for (const [group, count] of members)
        if (cut && group !== groupOf(cut.entry)) expect([group, count]).toEqual([group, sizeOf(group)]);
      all += acknowledged.length;
      await log.close();
    }
    expect(all).toBeGreaterThan(700);
  }, 90_000);

  /** `r1.7.2` of `r1.7.2.0`. */
  const groupOf = (entry: Logged['entry']): string =>
    entry.kind === 'notification' ? String(entry.notification.id).replace(/\.\d+$/, '') : '';
  const sizeOf = (group: string): number => 1 + (Number(group.split('.')[1]) % 3);
});

describe('one process at a time', () => {
  test('a second one fails at its start, and says who has the file; a killed one leaves it at once', async () => {
    const path = newPath();
    const holder = start(path, 'a', 'hold');
    await until(holder, () => isOpen(holder));
    const second = start(path, 'b');
    expect(await second.exit).toBe(1);
    expect(second.lines().join('\n')).toMatch(`in use by process ${holder.child.pid}`);
    expect(() => createFileLog({ path })).toThrow(`in use by process ${holder.child.pid}`);
    // One that is stopped still has it: it would go on with it.
    holder.child.kill('SIGSTOP');
    expect(() => createFileLog({ path })).toThrow('in use');
    await holder.kill();
    const before = performance.now();
    await open(path);
    expect(performance.now() - before).toBeLessThan(2_000);
  });

  test('of many that start at once one gets it, with a stale lock or none', async () => {
    const path = newPath();
    for (let round = 0; round < 2; round += 1) {
      const all = Array.from({ length: 4 }, (_, n) => start(path, `p${n}`, 'hold'));
      const ends = await Promise.all(
        all.map(async (process) => {
          while (process.child.exitCode === null && !isOpen(process)) await process.more();
          return isOpen(process);
        }),
      );
      expect(ends.filter((opened) => opened)).toHaveLength(1);
      await Promise.all(all.map((process) => process.kill()));
      expect(readdirSync(join(path, '..')).filter((name) => name.includes('.lock-'))).toHaveLength(1);
    }
  }, 30_000);

  test('two logs of one process are an error; after close another may be opened', async () => {
    const path = newPath();
    const first = createFileLog({ path });
    expect(() => createFileLog({ path })).toThrow('open in this process already');
    expect(() => createFileLog({ path: relative(process.cwd(), path) })).toThrow('open in this process already');
    await first.close();
    await createFileLog({ path }).close();
  });

  test('by whatever name: a link to the file is the file', async () => {
    const path = newPath();
    const { log } = await open(path);
    await log.append([order(1)]);
    const link = join(path, '..', 'link.log');
    symlinkSync(path, link);
    expect(() => createFileLog({ path: link })).toThrow('open in this process already');
    await log.close();
    const { seen, log: again } = await open(link);
    expect(seen).toHaveLength(1);
    await again.append([order(2)]);
    await again.close();
    expect((await open(path)).seen).toHaveLength(2);
  });

  test('what is known of a process', async () => {
    const self = thisProcess();
    expect(fateOf(self)).toBe<Fate>('here');
    if (process.platform !== 'linux') return;
    const child = start(newPath(), 'x', 'hold');
    await until(child, () => isOpen(child));
    const pid = child.child.pid as number;
    const ticks = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[19] as string;
    const owner = { ...self, pid, start: ticks, token: 'of the child' };
    expect(fateOf(owner)).toBe<Fate>('runs');
    expect(fateOf({ ...owner, start: '1' })).toBe<Fate>('gone'); // its number was given to another
    expect(fateOf({ ...owner, boot: 'another' })).toBe<Fate>('unknown');
    expect(fateOf({ ...owner, space: 'of another container' })).toBe<Fate>('unknown');
    expect(fateOf({ ...owner, boot: '', space: '', start: '' })).toBe<Fate>('unknown');
    await child.kill();
    expect(fateOf(owner)).toBe<Fate>('gone');
  });
});

describe('the files', () => {
  test('are made with their folders, and are for this user only', async () => {
    const path = join(newPath(), '..', 'not', 'yet', 'notify.log');
    const { log } = await open(path);
    await log.append([order(1)]);
    for (const name of readdirSync(join(path, '..')))
      expect([name, statSync(join(path, '..', name)).mode & 0o777]).toEqual([name, 0o600]);
    expect(statSync(join(path, '..')).mode & 0o777).toBe(0o700);
  });

  test('deleted while it runs: made again', async () => {
    const path = newPath();
    const { log } = await open(path);
    await log.append([order(1)]);
    rmSync(join(path, '..'), { recursive: true });
    const tail = await log.tail({ entries: () => {}, reset: () => {}, failed: () => {} });
    await tail.prove(5_000);
    await expect.poll(() => existsSync(path)).toBe(true);
    await log.append([order(2)]);
    await log.close();
    expect((await open(path)).seen).toHaveLength(2);
  });

  test('cut while it runs: nothing is acknowledged into the hole, and it is made again', async () => {
    const path = newPath();
    const { log } = await open(path);
    await log.append([order(1)]);
    truncateSync(path, 10);
    await expect(log.append([order(2)])).rejects.toThrow('deleted, replaced or changed');
    await log.append([order(3)]);
    await log.close();
    expect((await open(path)).seen).toHaveLength(2);
  });

  test('copied, moved and restored', async () => {
    const path = newPath();
    const first = await open(path);
    await first.log.append([order(1)]);
    await first.log.close();
    const epoch = epochOf(first.start.top);

    // Moved as a folder: the same files.
    const moved = join(folders, 'moved');
    renameSync(join(path, '..'), moved);
    const second = await open(join(moved, 'notify.log'));
    expect([epochOf(second.start.top), second.seen.length]).toEqual([epoch, 1]);
    await second.log.close();

    // Copied as a whole: others.
    const copied = join(folders, 'copied');
    cpSync(moved, copied, { recursive: true });
    const third = await open(join(copied, 'notify.log'));
    expect(epochOf(third.start.top)).not.toBe(epoch);
    expect(third.told[0]).toMatch('new epoch');
  });

  test('what cannot be a log fails at the start', () => {
    const path = newPath();
    mkdirSync(path);
    expect(() => createFileLog({ path })).toThrow('EISDIR');
    expect(readdirSync(join(path, '..'))).toEqual(['notify.log']);
    const file = newPath();
    writeFileSync(file, 'hello');
    expect(() => createFileLog({ path: file })).toThrow('is a file of something else');
    expect(() => createFileLog({ path: join(file, 'notify.log') })).toThrow(/ENOTDIR|EEXIST/);
    const dangling = newPath();
    symlinkSync('/nowhere/at/all', dangling);
    expect(() => createFileLog({ path: dangling })).toThrow('symbolic link to nothing');
    if (process.getuid?.() === 0) return;
    const locked = newPath();
    chmodSync(join(locked, '..'), 0o500);
    expect(() => createFileLog({ path: locked })).toThrow('EACCES');
  });
});
