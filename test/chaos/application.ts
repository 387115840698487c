/** The server process of the chaos run: started, killed, stopped, replaced. Pages find it through fault proxies. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { freePort } from '../kit/proxies.js';
import type { Figures } from './server.js';

/** How long a start may take, in milliseconds, on a machine that has much to do. */
const START_MS = 60_000;
/** How long a request of the harness may take, in milliseconds. */
const ASK_MS = 3_000;

export interface Application {
  /** Where the process that runs now listens. */
  port(): number;
  /** Whether it can answer: running, and not stopped. */
  up(): boolean;
  /** Starts a process under these settings, which replace some of the former ones. */
  start(settings?: Readonly<Record<string, string>>): Promise<void>;
  /** As a crash or the system's killer would. */
  kill(): Promise<void>;
  /** As a deployment does: SIGTERM, and it ends by itself. */
  terminate(): Promise<void>;
  /** A second process takes over before the first one ends. Only where the log allows two. */
  replace(settings?: Readonly<Record<string, string>>): Promise<void>;
  pause(): void;
  resume(): void;
  /** Stores a value and notifies; tells whether the notification was accepted. */
  change(id: string, value: number): Promise<boolean>;
  figures(): Promise<Figures | undefined>;
  /** The end of what the processes have printed. */
  output(): string;
}

interface Running {
  readonly child: ChildProcess;
  readonly port: number;
  readonly ended: Promise<unknown>;
}

/**
 * @param script the server, as plain Node runs it
 * @param moved where pages are to be led from now on
 */
export function application(
  script: string,
  data: string,
  initial: Readonly<Record<string, string>>,
  moved: (port: number) => void,
): Application {
  let settings = initial;
  let running: Running | undefined;
  let paused = false;
  let printed = '';

  async function launch(changed: Readonly<Record<string, string>> = {}, port?: number): Promise<Running> {
    settings = { ...settings, ...changed };
    const child = spawn(process.execPath, [script], {
      env: {
        ...process.env,
        NODE_ENV: 'development',
        PORT: String(port ?? (await freePort())),
        CHAOS_DATA: data,
        ...settings,
      },
    });
    const ended = once(child, 'exit');
    const abandoned = (): void => void child.kill('SIGKILL');
    process.once('exit', abandoned);
    child.once('exit', () => process.off('exit', abandoned));
    const listening = new Promise<number>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`the server did not start\n${printed}`)), START_MS);
      const read = (chunk: Buffer): void => {
        printed = (printed + chunk).slice(-20_000);
        const found = /ready on (\d+)/.exec(String(chunk))?.[1];
        if (!found) return;
        clearTimeout(late);
        resolve(Number(found));
      };
      child.stdout.on('data', read);
      child.stderr.on('data', read);
      child.once('exit', () => {
        clearTimeout(late);
        reject(new Error(`the server ended as it started\n${printed}`));
      });
    });
    return { child, port: await listening, ended };
  }

  const take = (next: Running): void => {
    running = next;
    paused = false;
    moved(next.port);
  };

  async function end(signal: NodeJS.Signals): Promise<void> {
    const ending = running;
    running = undefined;
    ending?.child.kill(signal);
    await ending?.ended;
  }

  const ask = async <T>(path: string, method = 'GET'): Promise<T> => {
    const response = await fetch(`http://127.0.0.1:${running?.port}${path}`, {
      method,
      signal: AbortSignal.timeout(ASK_MS),
    });
    return (await response.json()) as T;
  };

  return {
    port: () => running?.port ?? 0,
    up: () => running !== undefined && !paused,
    start: async (changed) => take(await launch(changed, running?.port)),
    kill: () => end('SIGKILL'),
    terminate: () => end('SIGTERM'),
    async replace(changed) {
      const former = running;
      take(await launch(changed));
      former?.child.kill('SIGTERM');
      await former?.ended;
    },
    pause() {
      paused = true;
      running?.child.kill('SIGSTOP');
    },
    resume() {
      paused = false;
      running?.child.kill('SIGCONT');
    },
    async change(id, value) {
      if (!running || paused) return false;
      return ask<{ accepted: boolean }>(`/values/${id}?value=${value}`, 'PUT').then(
        ({ accepted }) => accepted,
        () => false,
      );
    },
    figures: async () => (running && !paused ? ask<Figures>('/figures').catch(() => undefined) : undefined),
    output: () => printed,
  };
}
