/**
 * `npm run chaos`: real server processes, engines, browsers and proxies, and faults in random order for ten minutes. It fails,
 * with its seed and the pages' stories, when a page is still stale 90 s after the last fault.
 *
 *     npm run chaos -- --minutes 2 --seed 7 --log memory     one process: memory, file, or both (the default), half the time each
 *     npm run chaos -- --log redis                           three nodes on an engine: redis, postgres or nats
 *     npm run chaos -- --stories   tells what each page went through, also when all is well
 *     npm run chaos -- --ci        two minutes in all: one process, then three nodes on Redis; the last line is a tally
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from '../kit/build.js';
import { bundle } from '../kit/bundle.js';
import { scriptOf } from '../kit/own-process.js';
import { cluster } from './cluster.js';
import { CHAOS_ENGINES, type EngineName } from './engine.js';
import { lasting } from './faults/fault.js';
import { ledger } from './ledger.js';
import { play } from './part.js';
import { chance } from './random.js';
import { type Check, createReport } from './report.js';
import type { Items, Scene, SceneOptions } from './scene.js';
import { singleProcess } from './single.js';
import { createWatch } from './watch.js';

/** Of each part, in milliseconds. */
const CI_FAULTS = 15_000;
/** The longest that one fault may last where the whole run is short, in milliseconds, and how soon silence is noticed. */
const CI_LONGEST = 5_000;
const CI_HEARTBEAT = 3_000;
/** More memory than this in a server process means that something grows without a bound. */
const RSS_BOUND = 300 * 2 ** 20;

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string' },
    log: { type: 'string' },
    ci: { type: 'boolean', default: false },
    stories: { type: 'boolean', default: false },
  },
});
const SINGLE = ['memory', 'file', 'both'] as const;
type Part = (typeof SINGLE)[number] | EngineName;
const isSingle = (part: Part): part is (typeof SINGLE)[number] => SINGLE.some((name) => name === part);
const isPart = (name: string): name is Part => [...SINGLE, ...Object.keys(CHAOS_ENGINES)].includes(name);

const seed = Number(options.seed ?? Date.now() % 1_000_000);
const duration = options.ci ? CI_FAULTS : Number(options.minutes) * 60_000;
const parts = options.log !== undefined ? [options.log] : options.ci ? ['both', 'redis'] : ['both'];
if (!(duration > 0) || !Number.isInteger(seed) || !parts.every(isPart))
  throw new Error('npm run chaos -- [--minutes N] [--seed N] [--log memory|file|both|redis|postgres|nats] [--ci]');

// What was started is ended when this process ends, which a signal alone would not do.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

const CACHE = join(root, 'test/.cache');
mkdirSync(CACHE, { recursive: true });
const script = await scriptOf('test/chaos/server.ts');
const { code } = await bundle(root, { entry: join(root, 'test/chaos/page.ts'), format: 'script', mode: 'development' });
// `process` is not defined in a browser; a bundler of an application replaces it.
const html = `<!doctype html><meta charset="utf-8"><script>const process = { env: {} };</script><script>${code.replaceAll('</script', '<\\/script')}</script>`;

function newItems(): Items {
  const busy = Array.from({ length: 8 }, (_, n) => String(n + 1));
  const once = Array.from({ length: 30 }, (_, n) => String(101 + n));
  return { ledger: ledger([...busy, ...once]), busy, once };
}

async function run(part: Part): Promise<Check[]> {
  console.log(`chaos: seed ${seed}, ${duration / 1_000} s of faults, log ${part}`);
  const dice = chance(seed);
  const items = newItems();
  const data = mkdtempSync(join(CACHE, 'chaos-'));
  writeFileSync(join(data, 'page.html'), html);
  let end = Date.now() + duration;
  /** Both logs: the first half of the time on one, the second on the other. */
  const logNow = (): 'memory' | 'file' => {
    if (part !== 'both') return part === 'file' ? 'file' : 'memory';
    return Date.now() < end - duration / 2 ? 'memory' : 'file';
  };
  const setting: SceneOptions = {
    items,
    chance: dice,
    lasts: lasting(options.ci ? CI_LONGEST : Number.POSITIVE_INFINITY),
    data,
    script,
    env: options.ci ? { CHAOS_HEARTBEAT: String(CI_HEARTBEAT) } : {},
  };

  const report = createReport();
  const checks: Check[] = [];
  let scene: Scene | undefined;
  try {
    scene = isSingle(part) ? await singleProcess(setting, logNow) : await cluster(setting, part);
    for (const reason of scene.skipped) {
      console.log(`skipped: ${reason}`);
      if (process.env.CI === 'true') throw new Error(`${reason}: in CI nothing is skipped`);
    }
    const watching = createWatch({ items: items.ledger, pages: scene.pages, applications: scene.applications });
    try {
      end = Date.now() + duration;
      const rounds = play({
        scene,
        items,
        chance: dice,
        report,
        watching,
        duration,
        pause: options.ci ? 800 : 4_000,
        settled(took) {
          end += took;
        },
      });
      checks.push(...(await rounds), ...watching.checks(RSS_BOUND));
    } finally {
      console.log(`\n${report.text(items.ledger.total(), watching)}`);
      if (options.stories) console.log(await watching.stories());
      watching.stop();
    }
  } catch (error) {
    checks.push({ name: `the run on ${part} gets to its end`, failure: String((error as Error).stack ?? error) });
  }
  for (const { name, failure } of checks) console.log(failure ? `failed: ${name}\n${failure}` : `passed: ${name}`);
  if (checks.some(({ failure }) => failure)) {
    console.log(`\nserver:\n${scene?.output()}`);
    const length = options.ci ? '--ci' : `--minutes ${options.minutes}`;
    console.log(`\nagain with: npm run chaos -- --seed ${seed} ${length} --log ${part}`);
  }
  await scene?.close();
  rmSync(data, { recursive: true, force: true });
  return checks;
}

const checks: Check[] = [];
for (const part of parts.filter(isPart)) {
  const reason = isSingle(part) ? '' : CHAOS_ENGINES[part].missing();
  if (reason) console.log(`skipped: ${part}: ${reason}`);
  else checks.push(...(await run(part)));
}
const failed = checks.filter(({ failure }) => failure).length + (checks.length === 0 ? 1 : 0);
console.log(`${checks.filter(({ failure }) => !failure).length} passed, ${failed} failed`);
// Connections that a fault left half-open would keep the process.
process.exit(failed > 0 ? 1 : 0);
