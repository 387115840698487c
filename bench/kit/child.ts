/**
 * Parts of a measurement as processes of their own, bundled first: what is measured is plain JavaScript as an application
 * runs it, without a loader of TypeScript in its memory and without the helpers that one puts into every closure.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Answers, type Call, channelTo, createCalls } from '../../demo/server/calls.js';
import { root } from '../../test/kit/build.js';
import { bundle } from '../../test/kit/bundle.js';

const FOLDER = join(root, 'test/.cache/bench');

export interface Child<A extends Answers<A>> {
  readonly process: ChildProcess;
  readonly call: Call<A>;
  end(): Promise<void>;
}

const scripts = new Map<string, Promise<string>>();
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
  rmSync(join(FOLDER, String(process.pid)), { recursive: true, force: true });
});
// What was started is ended when this process ends, which a signal alone would not do.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

async function scriptOf(entry: string): Promise<string> {
  const { code } = await bundle(root, { entry: join(root, 'bench', entry), mode: 'development' });
  const folder = join(FOLDER, String(process.pid));
  mkdirSync(folder, { recursive: true });
  const script = join(folder, `${basename(entry, '.ts')}.mjs`);
  writeFileSync(script, code);
  return script;
}

/**
 * @param entry a source file in `bench/`
 * @param mine what this process answers to it
 */
export async function startChild<A extends Answers<A>, Mine extends Answers<Mine> = Answers<object>>(
  entry: string,
  mine: (child: ChildProcess) => Mine = () => ({}) as Mine,
): Promise<Child<A>> {
  let script = scripts.get(entry);
  if (!script) {
    script = scriptOf(entry);
    scripts.set(entry, script);
  }
  const flags = process.env.BENCH_CPU_PROF ? ['--cpu-prof', `--cpu-prof-dir=${process.env.BENCH_CPU_PROF}`] : [];
  const child = fork(await script, [], { execArgv: ['--expose-gc', ...flags], serialization: 'advanced' });
  running.add(child);
  const exited = once(child, 'exit').then(() => void running.delete(child));
  const call = createCalls<A, Mine>(channelTo(child), mine(child));
  return {
    process: child,
    call,
    async end() {
      child.disconnect(); // its reason to live
      await exited;
    },
  };
}

/** In such a process: answers calls until its parent has gone. */
export function serveParent<Mine extends Answers<Mine>, Theirs extends Answers<Theirs> = Answers<object>>(
  mine: Mine,
): Call<Theirs> {
  process.once('disconnect', () => process.exit(0));
  return createCalls<Theirs, Mine>(channelTo(process), mine);
}
