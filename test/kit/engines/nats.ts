/**
 * Private NATS servers for tests, on free ports of this machine and with a folder of their own: killed, stopped, wiped and
 * started again as a test says. `NATS_SERVER_PATH` names the program, else the path does. Nothing is downloaded.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { connect as connectNats, type JetStreamManager } from 'nats';
import { describe, test } from 'vitest';
import { isExecutable } from '../browsers/find.js';
import { freePort } from '../proxies.js';

/** How long a server may take until it greets, in milliseconds. It takes some tens. */
const START_MS = 10_000;

/** Path of the program, also where only root's path leads. */
export function findNats(): string | undefined {
  const named = process.env.NATS_SERVER_PATH;
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return (named ? [named] : folders.map((folder) => join(folder, 'nats-server'))).find(isExecutable);
}

/** Why tests with NATS are skipped; `''`: it is there. Throws the reason in CI, where nothing is skipped. */
export function missingNats(): string {
  const reason = findNats() === undefined ? 'not found: nats-server (Debian: apt-get install nats-server)' : '';
  if (reason && process.env.CI === 'true') throw new Error(reason);
  return reason;
}

/** The cases of a file that needs a server; without one, a single case that is skipped and says why. */
export function withNats(what: string, cases: () => void): void {
  const reason = missingNats();
  if (reason) test(what, (context) => context.skip(reason));
  else describe(what, cases);
}

export interface NatsServer {
  readonly port: number;
  /** `nats://127.0.0.1:port` */
  readonly url: string;
  /** What it has printed. */
  output(): string;
  /** Ends it as a crash does; resolves when it is gone. */
  kill(): Promise<void>;
  /** Stops and continues the process (SIGSTOP, SIGCONT). */
  pause(): void;
  resume(): void;
  /** Removes what it has stored; only while it does not run. */
  wipe(): void;
  /** Starts it again, on the same port and folder. Resolves when it greets. */
  start(): Promise<void>;
  /** Ends it for good and removes its folder. */
  stop(): Promise<void>;
}

export interface NatsServerOptions {
  /** Lines of the configuration. */
  readonly config?: string;
  /** Default: JetStream in a folder of its own. */
  readonly jetstream?: boolean;
  /** Default: one that is free. */
  readonly port?: number;
  readonly name?: string;
}

export async function startNats(options: NatsServerOptions = {}): Promise<NatsServer> {
  const { config = '', jetstream = true, name } = options;
  const port = options.port ?? (await freePort());
  const folder = mkdtempSync(join(tmpdir(), 'notify-listen-nats-'));
  const store = join(folder, 'store');
  const file = join(folder, 'server.conf');
  writeFileSync(
    file,
    [
      `listen: 127.0.0.1:${port}`,
      ...(name === undefined ? [] : [`server_name: ${name}`]),
      ...(jetstream ? [`jetstream { store_dir: "${store}", max_file_store: 1GB, max_memory_store: 64MB }`] : []),
      config,
    ].join('\n'),
  );
  let child: ChildProcess | undefined;
  let printed = '';

  async function start(): Promise<void> {
    const started = spawn(findNats() as string, ['-c', file], { stdio: ['ignore', 'pipe', 'pipe'] });
    child = started;
    const read = (chunk: Buffer): void => {
      printed = (printed + chunk).slice(-20_000);
    };
    started.stdout.on('data', read);
    started.stderr.on('data', read);
    const late = Date.now() + START_MS;
    while (!(await greets(port))) {
      if (started.exitCode !== null || Date.now() > late) throw new Error(`nats-server did not start\n${printed}`);
      await wait(10);
    }
  }

  async function kill(): Promise<void> {
    const ended = child;
    child = undefined;
    if (!ended || ended.exitCode !== null || ended.signalCode !== null) return;
    const gone = once(ended, 'exit');
    ended.kill('SIGKILL');
    await gone;
  }

  const abandoned = (): void => void child?.kill('SIGKILL');
  process.once('exit', abandoned);
  const stop = async (): Promise<void> => {
    await kill();
    process.off('exit', abandoned);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await start();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    port,
    url: `nats://127.0.0.1:${port}`,
    output: () => printed,
    kill,
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    wipe: () => rmSync(store, { recursive: true, force: true }),
    start,
    stop,
  };
}

/** Three servers with JetStream, as one cluster. */
export async function startNatsCluster(): Promise<NatsServer[]> {
  const routes = await Promise.all([freePort(), freePort(), freePort()]);
  const list = routes.map((port) => `nats://127.0.0.1:${port}`).join(', ');
  return Promise.all(
    routes.map((port, index) =>
      startNats({
        name: `n${index}`,
        config: `cluster { name: c, listen: "127.0.0.1:${port}", routes: [${list}] }`,
      }),
    ),
  );
}

async function greets(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    return await new Promise<boolean>((resolve) => {
      socket.once('data', () => resolve(true));
      socket.once('error', () => resolve(false));
      socket.once('close', () => resolve(false));
    });
  } finally {
    socket.destroy();
  }
}

/** Does with JetStream what an operator does. */
export async function manage(url: string, act: (manager: JetStreamManager) => Promise<unknown>): Promise<void> {
  const connection = await connectNats({ servers: url.replace('nats://', '') });
  try {
    await act(await connection.jetstreamManager());
  } finally {
    await connection.close();
  }
}

export const deleteStream = (url: string, stream: string): Promise<void> =>
  manage(url, (manager) => manager.streams.delete(stream));
