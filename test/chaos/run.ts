/**
 * `npm run chaos`: a real server process, real browsers and proxies, and faults in random order for ten minutes. It fails,
 * with its seed and the pages' stories, when a page is still stale 90 s after the last fault.
 *
 *     npm run chaos -- --minutes 2 --seed 7 --log memory
 *     npm run chaos -- --stories   tells what each page went through, also when all is well
 *     npm run chaos -- --ci        two minutes in all; the last line is a tally
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { root } from '../kit/build.js';
import { bundle } from '../kit/bundle.js';
import { application } from './application.js';
import { openBrowsers, type Place } from './browsers.js';
import { FAULTS, type Fault, type Stage } from './faults.js';
import { openFronts } from './fronts.js';
import { ledger } from './ledger.js';
import { chance } from './random.js';
import { type Check, createReport } from './report.js';
import { createWatch } from './watch.js';

/** Every page must be fresh so long after the last fault, in milliseconds. */
const BOUND = 90_000;
/** Faults strike for so long before everything must become fresh once, in milliseconds. */
const ROUND = 120_000;
const CI_FAULTS = 45_000;
/** The longest that one fault may last where the whole run is short, in milliseconds. */
const CI_LONGEST = 5_000;
/** Between two changes of the writer on average, in milliseconds; every tenth is a burst. */
const WRITE_EVERY = 200;
const BURST = 8;
/** More memory than this in a server process means that something grows without a bound. TypeScript's loader takes half. */
const RSS_BOUND = 400 * 2 ** 20;

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string' },
    log: { type: 'string', default: 'both' },
    ci: { type: 'boolean', default: false },
    stories: { type: 'boolean', default: false },
  },
});
const seed = Number(options.seed ?? Date.now() % 1_000_000);
const faultTime = options.ci ? CI_FAULTS : Number(options.minutes) * 60_000;
if (!(faultTime > 0) || !Number.isInteger(seed) || !['memory', 'file', 'both'].includes(options.log))
  throw new Error('npm run chaos -- [--minutes N] [--seed N] [--log memory|file|both] [--ci]');

// What was started is ended when this process ends, which a signal alone would not do.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

const dice = chance(seed);
console.log(`chaos: seed ${seed}, ${faultTime / 60_000} minutes of faults, log ${options.log}`);

mkdirSync(join(root, 'test/.cache'), { recursive: true });
const data = mkdtempSync(join(root, 'test/.cache/chaos-'));
const { code } = await bundle(root, { entry: join(root, 'test/chaos/page.ts'), format: 'script', mode: 'development' });
// `process` is not defined in a browser; a bundler of an application replaces it.
writeFileSync(
  join(data, 'page.html'),
  `<!doctype html><meta charset="utf-8"><script>const process = { env: {} };</script><script>${code.replaceAll('</script', '<\\/script')}</script>`,
);

const secrets = {
  serial: 0,
  current: '',
  next(): string {
    secrets.serial += 1;
    secrets.current = `secret ${secrets.serial} of the chaos run`;
    return secrets.current;
  },
};

let begun = Date.now();
let faultsEnd = begun + faultTime;
/** Both logs: the first half of the time on one, the second on the other. */
const logNow = (): 'memory' | 'file' => {
  if (options.log !== 'both') return options.log as 'memory' | 'file';
  return Date.now() < faultsEnd - faultTime / 2 ? 'memory' : 'file';
};
const settingsOf = (log: 'memory' | 'file') => ({
  NOTIFY_LISTEN_LOG: log === 'file' ? `file:${join(data, 'log')}` : 'memory:',
});

const app = application(data, { ...settingsOf(logNow()), NOTIFY_LISTEN_SECRET: secrets.next() }, (port) =>
  fronts?.lead(port),
);
let fronts: Awaited<ReturnType<typeof openFronts>> | undefined;
await app.start();
fronts = await openFronts(app.port());

/** They change all the time. */
const busy = Array.from({ length: 8 }, (_, n) => String(n + 1));
/** Each changes once in a round, and every page shows all of them: what is lost of them is not covered up by what follows. */
const once = Array.from({ length: 30 }, (_, n) => String(101 + n));
const items = ledger([...busy, ...once]);
const origin = (name: string): string =>
  (fronts?.all.find((front) => front.name === name) ?? fronts?.all[0])?.origin as string;
const place = (front: string, user: string, ...some: string[]): Place => {
  const ids = [...some, ...once];
  return { name: `${user} by ${front}`, url: `${origin(front)}/page?user=${user}&ids=${ids.join(',')}`, ids };
};
// Ann's two tabs and Cleo's two share a connection each; Ben has another user's tab of the same origin.
const browsers = await openBrowsers([
  place('straight', 'ann', '1', '2', '8'),
  place('straight', 'ann', '3', '7'),
  place('straight', 'ben', '1', '8'),
  place('nginx', 'cleo', '1', '6', '7'),
  place('nginx', 'cleo', '2', '8'),
  place('haproxy', 'dan', '3', '5', '8'),
  place('nginx', 'eve', '1', '4', '7'),
]);
for (const reason of [...fronts.skipped, ...browsers.skipped]) {
  console.log(`skipped: ${reason}`);
  if (process.env.CI === 'true') throw new Error(`${reason}: in CI nothing is skipped`);
}

begun = Date.now();
faultsEnd = begun + faultTime;
const report = createReport();
const watching = createWatch({ items, tabs: browsers.tabs, application: app });
const stage: Stage = {
  application: app,
  fronts,
  browsers,
  log: () => ({ name: logNow(), settings: settingsOf(logNow()) }),
  secrets,
  longest: (ms) => (options.ci ? Math.min(ms, CI_LONGEST) : ms),
};

/** Changes one item; what was not accepted, or not answered, counts for nothing. */
async function change(id: string): Promise<boolean> {
  const value = items.next(id);
  const accepted = await app.change(id, value);
  if (accepted) items.accepted(id, value);
  return accepted;
}

let writing = true;
/** What is on its way is never stale: nothing is changed while freshness is judged, but what the judge changes himself. */
let judging = false;
const writer = (async () => {
  const own = dice.fork();
  while (writing) {
    await wait(own.between(1, 2 * WRITE_EVERY));
    const burst = own.next() < 0.1 ? BURST : 1;
    const id = own.pick(busy);
    for (let n = 0; n < burst && !judging; n += 1) await change(id);
  }
})();

/** Changes each of the items that change once in a round, spread over the round; when the server is away, as soon as it is back. */
async function changeOnce(duration: number): Promise<void> {
  const own = dice.fork();
  for (const id of own.shuffled(once)) {
    await wait(own.between(1, (2 * duration) / once.length));
    while (!(await change(id))) await wait(100);
  }
}

/** The last fault of a round: what a page can only notice by silence. Some of what it misses changes meanwhile. */
async function lastAct(): Promise<void> {
  const front = dice.pick(fronts?.all ?? []);
  console.log(`last: half-open, bytes lost without an end: ${front.name}`);
  front.near.set('both', { stall: 'swallow' });
  for (const id of dice.shuffled(once).slice(0, 5)) await change(id);
  await wait(500);
}

/** Strikes the faults of one lane, each once in random order, then again, until the time is over. */
async function lane(name: Fault['lane'], until: number): Promise<void> {
  const own = dice.fork();
  const mine = FAULTS.filter((fault) => fault.lane === name);
  while (Date.now() < until) {
    for (const fault of own.shuffled(mine)) {
      if (Date.now() >= until) return;
      const at = Math.round((Date.now() - begun) / 1_000);
      const what = await fault.strike(stage, own);
      report.struck(fault.name);
      console.log(`${String(at).padStart(4)} s  ${fault.name}: ${what}`);
      await wait(own.between(200, options.ci ? 800 : 4_000));
    }
  }
}

/**
 * Everything is whole again: waits until every page shows what it must. Nothing new is notified before that, since it would
 * cover up what was lost. Then everything changes once more, and every page must show that too.
 */
async function settle(): Promise<Check> {
  await fronts?.heal();
  const since = Date.now();
  const seconds = (): string => ((Date.now() - since) / 1_000).toFixed(1);
  const fresh = async (): Promise<boolean> => {
    while (!(await watching.allFresh())) {
      if (Date.now() > since + BOUND) return false;
      await wait(100);
    }
    return true;
  };
  if (!(await fresh())) return { name: 'all pages fresh within 90 s', failure: await watching.complaint() };
  const name = `all pages fresh and connected ${seconds()} s after the last fault, and after one more change of all`;
  for (const id of items.ids) while (!(await change(id)) && Date.now() < since + BOUND) await wait(200);
  return (await fresh()) ? { name } : { name, failure: await watching.complaint() };
}

const checks: Check[] = [];
try {
  const rounds = options.ci ? 1 : Math.max(1, Math.round(faultTime / ROUND));
  for (let round = 1; round <= rounds; round += 1) {
    const roundEnd = Date.now() + faultTime / rounds;
    await Promise.all([lane('network', roundEnd), lane('process', roundEnd), changeOnce(faultTime / rounds)]);
    await lastAct();
    const settling = Date.now();
    judging = true;
    const check = await settle();
    judging = false;
    checks.push(check);
    console.log(`${check.failure ? 'FAILED' : 'settled'}: ${check.name}`);
    faultsEnd += Date.now() - settling;
    if (check.failure) break;
  }
  writing = false;
  await writer;
  checks.push(...watching.checks(RSS_BOUND));
} finally {
  writing = false;
  console.log(`\n${report.text(items.total(), watching)}`);
  for (const { name, failure } of checks) console.log(failure ? `failed: ${name}\n${failure}` : `passed: ${name}`);
  if (options.stories) console.log(await watching.stories());
  const failed = checks.filter(({ failure }) => failure).length + (checks.length === 0 ? 1 : 0);
  if (failed > 0) {
    console.log(`\nserver:\n${app.output().slice(-4_000)}`);
    console.log(
      `\nagain with: npm run chaos -- --seed ${seed}${options.ci ? ' --ci' : ` --minutes ${options.minutes}`}`,
    );
    process.exitCode = 1;
  }
  watching.stop();
  await Promise.allSettled([browsers.close(), fronts.close(), app.kill()]);
  rmSync(data, { recursive: true, force: true });
  console.log(`${checks.length - checks.filter(({ failure }) => failure).length} passed, ${failed} failed`);
}
