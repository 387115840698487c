/** A Redis of the desk's own, for as long as it runs: the log that its processes share. */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort, HOST } from './listen.js';

export interface PrivateRedis {
  readonly port: number;
  readonly url: string;
  close(): Promise<void>;
}

/** How long it may take until it answers, in milliseconds. It takes some tens. */
const START_MS = 10_000;
/** A port that was free a moment ago may be taken: then another one is. */
const TRIES = 3;

/**
 * The server ends with the shell, and the shell with this process, however that ends: its input is closed then. Redis
 * itself would stay behind after a `kill -9`.
 */
const AS_LONG_AS_WE_LIVE = `
  exec 3<&0
  "$@" & server=$!
  (cat <&3 >/dev/null; kill $server 2>/dev/null) &
  wait $server
`;

/** The program, if the path has it. */
export function findRedis(path: string | undefined): string | undefined {
  const programs = (path ?? '').split(delimiter).map((folder) => join(folder, 'redis-server'));
  return programs.find((program) => {
    try {
      accessSync(program, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/**
 * Starts `program` on a free port of this machine, with its files in `folder`. It keeps nothing on disk: a server that was
 * started anew is another log in any case, and pages refresh once.
 */
export async function startPrivateRedis(program: string, folder: string): Promise<PrivateRedis> {
  await mkdir(folder, { recursive: true });
  for (let tries = 1; ; tries += 1) {
    try {
      return await start(program, folder, await freePort());
    } catch (error) {
      if (tries === TRIES) throw error;
    }
  }
}

async function start(program: string, folder: string, port: number): Promise<PrivateRedis> {
  const settings = { port, bind: HOST, dir: folder, save: '', appendonly: 'no', loglevel: 'warning' };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  // In a group of its own: Ctrl-C must reach it after the processes that say goodbye through it.
  const shell = spawn('sh', ['-c', AS_LONG_AS_WE_LIVE, 'sh', program, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  let printed = '';
  const read = (chunk: Buffer): void => {
    printed = (printed + chunk).slice(-2_000);
  };
  shell.stdout.on('data', read);
  shell.stderr.on('data', read);
  shell.stdin.on('error', () => {}); // it has ended already
  const ended = new Promise<void>((resolve) => {
    shell.once('exit', () => resolve());
    shell.once('error', () => resolve());
  });
  const close = (): Promise<void> => {
    shell.stdin.end();
    return ended;
  };
  try {
    await answering(shell, port);
  } catch (error) {
    await close();
    throw new Error(`${program} did not start\n${printed}`, { cause: error });
  }
  return { port, url: `redis://${HOST}:${port}`, close };
}

async function answering(shell: ChildProcess, port: number): Promise<void> {
  const late = Date.now() + START_MS;
  while (!(await pings(port))) {
    if (shell.exitCode !== null || shell.signalCode !== null) throw new Error('it ended');
    if (Date.now() > late) throw new Error('it does not answer');
    await pause(20);
  }
  // Whatever answered on the port was this one only if this one could have it.
  if (shell.exitCode !== null) throw new Error('another server has its port');
}

function pings(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, HOST, () => socket.write('PING\r\n'));
    const done = (answers: boolean): void => {
      socket.destroy();
      resolve(answers);
    };
    socket.setTimeout(1_000, () => done(false));
    socket.once('data', (data) => done(data.toString().startsWith('+PONG')));
    socket.once('error', () => done(false));
    socket.once('close', () => done(false));
  });
}
