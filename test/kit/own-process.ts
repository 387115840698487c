/** Fixtures as processes of their own that start at once: bundled first, since a loader of TypeScript takes a second. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './build.js';
import { bundle } from './bundle.js';

const FOLDER = join(root, 'test/.cache/processes');

/** A script that plain Node runs, of a source file from the root. */
export async function scriptOf(entry: string): Promise<string> {
  const { code } = await bundle(root, { entry: join(root, entry), mode: 'development' });
  mkdirSync(FOLDER, { recursive: true });
  const script = join(FOLDER, `${entry.replaceAll(/\W+/g, '-')}-${process.pid}.mjs`);
  writeFileSync(script, code);
  return script;
}

export interface OwnProcess {
  readonly child: ChildProcess;
  /** Everything that it has printed, as lines; the last may be incomplete. */
  lines(): string[];
  /** Resolves when something was printed since the last call. */
  more(): Promise<void>;
  /** Resolves with its exit code. */
  readonly exit: Promise<number | null>;
  /** Resolves when it is gone, as after `kill -9`. */
  kill(): Promise<void>;
  /** Sends a message, and resolves with the `answer` to it. */
  ask(message: object): Promise<unknown>;
}

export function startProcess(
  script: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): OwnProcess {
  const child = fork(script, args, { silent: true, env: { ...process.env, NODE_ENV: undefined, ...env } });
  let printed = '';
  let notify: () => void = () => {};
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk) => {
      printed += chunk;
      notify();
    });
  // Everything that it printed has been read by then.
  const exit = once(child, 'close').then(([code]) => code as number | null);
  void exit.then(() => notify());
  return {
    child,
    exit,
    lines: () => printed.split('\n'),
    more: () =>
      new Promise((resolve) => {
        notify = resolve;
      }),
    async kill() {
      child.kill('SIGKILL');
      await exit;
    },
    async ask(message) {
      child.send(message);
      const ended = exit.then((code) => {
        throw new Error(`the process ended with ${code}\n${printed}`);
      });
      const [reply] = await Promise.race([once(child, 'message'), ended]);
      return (reply as { answer: unknown }).answer;
    },
  };
}
