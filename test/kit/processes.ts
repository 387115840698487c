/** What a test asks of a demo on several processes: who they are, what they carry, and which one serves a page. */
import type { BrowserContext } from 'playwright-core';
import type { ProcessFigures } from '../../demo/server/figures.js';
import { onPath } from './browsers/find.js';
import type { Demo } from './demo.js';

/** For `describe.skipIf`: the reason, or `''` when the demo finds its Redis. Throws it in CI, where nothing is skipped. */
export function missingRedisOnPath(): string {
  const reason = onPath('redis-server') ? '' : 'not on the path: redis-server (apt-get install redis-server)';
  if (reason && process.env.CI === 'true') throw new Error(reason);
  return reason;
}

export async function figuresOf(demo: Demo): Promise<ProcessFigures[]> {
  // A connection of its own each time: one that is kept may be with a process that has been killed.
  const response = await fetch(`${demo.url}/api/processes`, { headers: { connection: 'close' } });
  return (await response.json()) as ProcessFigures[];
}

/** Tells, from now on, which process serves the newest stream of a context's pages. */
export function streamsOf(context: BrowserContext): () => number {
  let newest = 0;
  context.on('response', (response) => {
    if (new URL(response.url()).pathname.endsWith('/stream')) newest = Number(response.headers()['x-process']);
  });
  return () => newest;
}

/** Whether there is a process with this id. */
export function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
