/** The crowd: connections to a server that is measured, held by a small C program (`crowd.c`) that is built on demand. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { root } from '../../test/kit/build.js';

const SOURCE = join(root, 'bench/kit/crowd.c');
const FOLDER = join(root, 'test/.cache/bench');
/** How long nothing may arrive until everything has, in milliseconds. */
const SILENCE = 100;

/** What has arrived since it was asked last. */
export interface Arrived {
  /** Notifications. */
  readonly count: number;
  readonly bytes: number;
  /** From the call to the bytes, in microseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly open: number;
  readonly ended: number;
  /** Of the crowd itself so far, in microseconds. */
  readonly cpu: number;
}

export interface Crowd {
  /**
   * Opens connections, so many at once in the making. They send the requests in turn, and `reply` after the first bytes of
   * the answer; `ready` ends a server's greeting.
   */
  open(options: {
    readonly port: number;
    readonly count: number;
    readonly atOnce?: number;
    readonly ready: string;
    readonly requests: readonly Buffer[];
    readonly reply?: Buffer;
  }): Promise<void>;
  /** Tells a server of the bench at this port, whenever so many more have arrived, how many have in all from now on. */
  tell(port: number, step: number): Promise<void>;
  take(): Promise<Arrived>;
  /** Waits until nothing more comes, and takes it all. */
  settle(): Promise<Arrived>;
  /** So many connections read nothing from now on. */
  stall(count: number): Promise<void>;
  close(): Promise<void>;
  end(): Promise<void>;
}

/** Thrown where it cannot be built. */
export class NoCompiler extends Error {
  constructor(cause: unknown) {
    super('the load is a C program, and there is no C compiler (`cc`); on Debian: apt install gcc libc6-dev', {
      cause,
    });
  }
}

let built: string | undefined;

function program(): string {
  if (built) return built;
  const version = createHash('sha256').update(readFileSync(SOURCE)).digest('hex').slice(0, 16);
  const file = join(FOLDER, `crowd-${version}`);
  if (!existsSync(file)) {
    mkdirSync(FOLDER, { recursive: true });
    try {
      execFileSync('cc', ['-O2', '-o', `${file}.new`, SOURCE], { stdio: ['ignore', 'ignore', 'inherit'] });
    } catch (error) {
      throw new NoCompiler(error);
    }
    renameSync(`${file}.new`, file);
  }
  built = file;
  return file;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export async function startCrowd(): Promise<Crowd> {
  const child = spawn(program(), { stdio: ['pipe', 'pipe', 'inherit'] });
  running.add(child);
  const exited = once(child, 'exit').then(() => void running.delete(child));
  const answers: ((line: string) => void)[] = [];
  createInterface(child.stdout).on('line', (line) => answers.shift()?.(line));
  const ask = <A>(command: string): Promise<A> =>
    new Promise((resolve, reject) => {
      child.once('exit', () => reject(new Error('the crowd has ended')));
      answers.push((line) => resolve(JSON.parse(line) as A));
      child.stdin.write(`${command}\n`);
    });
  child.setMaxListeners(0);
  const crowd: Crowd = {
    async open({ port, count, atOnce = 64, ready, requests, reply }) {
      const file = join(FOLDER, `requests-${child.pid}`);
      writeFileSync(file, Buffer.concat(requests.flatMap((request) => [Buffer.from(`${request.length}\n`), request])));
      const opened = await ask<{ ready: number; ended: number }>(
        `open ${port} ${count} ${atOnce} ${ready.replaceAll(' ', '+')} ${reply?.toString('hex') ?? '-'} ${file}`,
      );
      rmSync(file);
      if (opened.ended > 0) throw new Error(`${opened.ended} of ${count} connections were refused`);
    },
    async tell(port, step) {
      await ask(`tell ${port} ${step}`);
    },
    take: () => ask('take'),
    async settle() {
      let [all, last] = [await ask<Arrived>('take'), performance.now()];
      while (performance.now() - last < SILENCE) {
        await wait(20);
        const more = await ask<Arrived>('take');
        if (more.count > 0) last = performance.now();
        // The percentiles are those of the larger part: what came before the publishing was over.
        const { p50, p99 } = more.count > all.count ? more : all;
        all = { ...more, count: all.count + more.count, bytes: all.bytes + more.bytes, p50, p99 };
      }
      return all;
    },
    async stall(count) {
      await ask(`stall ${count}`);
    },
    async close() {
      await ask('close');
    },
    async end() {
      child.stdin.end();
      await exited;
    },
  };
  return crowd;
}
