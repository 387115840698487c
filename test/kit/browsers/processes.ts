/** The processes of a browser (Linux), and which of them a page runs in. */
import { readdirSync, readFileSync } from 'node:fs';

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // It has just ended.
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** All processes below one, however deep. */
export function descendants(root: number): number[] {
  const parents = new Map<number, number>();
  for (const name of list('/proc').filter((entry) => /^\d+$/.test(entry))) {
    const stat = read(`/proc/${name}/stat`);
    // The name of the program may hold blanks and brackets; the parent is the second field after it.
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    if (parent) parents.set(Number(name), parent);
  }
  const below = (pid: number): number[] =>
    [...parents].filter(([, parent]) => parent === pid).flatMap(([child]) => [child, ...below(child)]);
  return below(root);
}

/** How many threads of this name a process has. */
function threads(pid: number, name: string): number {
  return list(`/proc/${pid}/task`).filter((thread) => read(`/proc/${pid}/task/${thread}/comm`).trim() === name).length;
}

/**
 * The process of a page: the one that gets another thread when the page starts a worker. Engines do not tell it (one page
 * of several, of the same site); the thread is certain, where times and sizes are guesses.
 *
 * @param root the browser's own process
 * @param thread what the engine calls the thread of a worker
 */
export async function processOf(
  root: number,
  thread: string,
  evaluate: (expression: string) => Promise<unknown>,
): Promise<number> {
  const before = new Map(descendants(root).map((pid) => [pid, threads(pid, thread)]));
  await evaluate(`new Promise((started) => {
    const source = URL.createObjectURL(new Blob(['postMessage(0)']));
    globalThis.marker = new Worker(source);
    marker.onmessage = () => started(0);
  })`);
  const found = descendants(root).filter((pid) => threads(pid, thread) > (before.get(pid) ?? 0));
  await evaluate('marker.terminate()');
  const [pid] = found;
  if (pid === undefined || found.length > 1) throw new Error(`the page runs in none or several of ${found}`);
  return pid;
}
