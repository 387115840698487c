/**
 * A page that mounts 1,000 listeners on 200 objects, by the hook and by the element, each against the same page whose
 * components hold one empty effect instead: the rows, or an element in them. CPU time of the page's main thread in Chromium, with React and our client built for production, each measurement in
 * a page of its own.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, CDPSession } from 'playwright-core';
import { build, type Rolldown } from 'vite';
import { findChromium, launchChromium } from '../../test/kit/browser.js';
import { root } from '../../test/kit/build.js';
import { type Child, startChild } from '../kit/child.js';
import type { Figure, Part } from '../kit/part.js';
import type { Kind } from '../page/page.js';
import type { PageServerAnswers } from '../page/server.js';

const LISTENERS = 1_000;
const OBJECTS = 200;
const TARGET = 2;
/** The order of a round; each one begins one further. */
const KINDS: readonly Kind[] = ['effect', 'hook', 'empty', 'element'];
/** What each is compared with. */
const BASES: Readonly<Partial<Record<Kind, Kind>>> = { hook: 'effect', element: 'empty' };
const NAMES: Readonly<Record<Kind, string>> = {
  effect: 'an empty effect',
  hook: 'useListen',
  empty: 'an empty element',
  element: '<Listen>',
};

/** One page. CPU time of the browser's main thread in milliseconds, where nothing else is said. */
interface Visit {
  /** From before the render until all effects have run. */
  readonly mount: number;
  /** From before the render until the stream is there and nothing is left to do. */
  readonly settled: number;
  readonly unmount: number;
  /** By the clock, from the call of `notify` until the last of the listeners of that object has run. */
  readonly notified: number;
  readonly auth: number;
  readonly stream: number;
}

/** @returns the text of each chunk by its name: `page.js` and what it loads */
async function bundlePage(): Promise<Record<string, string>> {
  const { output } = (await build({
    root,
    configFile: false,
    logLevel: 'error',
    define: { 'process.env.NODE_ENV': '"production"' },
    build: {
      write: false,
      target: 'es2022',
      // A profile is for reading.
      minify: process.env.BENCH_CPU_PROF ? false : 'oxc',
      modulePreload: false,
      rolldownOptions: {
        input: { page: join(root, 'bench/page/page.tsx') },
        output: { entryFileNames: '[name].js' },
      },
    },
  })) as Rolldown.RolldownOutput;
  const chunks = output.filter((each): each is Rolldown.OutputChunk => each.type === 'chunk');
  return Object.fromEntries(chunks.map(({ fileName, code }) => [fileName, code]));
}

/** CPU time of the main thread so far, in milliseconds: of scripts alone, or of layout and all the rest too. */
async function used(session: CDPSession, what: 'ScriptDuration' | 'TaskDuration'): Promise<number> {
  const { metrics } = await session.send('Performance.getMetrics');
  return (metrics.find(({ name }) => name === what)?.value ?? Number.NaN) * 1_000;
}

/** CPU time of one call in the page, in milliseconds. */
async function costOf(session: CDPSession, call: string): Promise<number> {
  const before = await used(session, 'ScriptDuration');
  // In a task of its own, which is counted when it is over.
  const expression = `new Promise((done) => setTimeout(() => { ${call}; done(); }))`;
  const { exceptionDetails } = await session.send('Runtime.evaluate', { expression, awaitPromise: true });
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description);
  return (await used(session, 'ScriptDuration')) - before;
}

let profiles = 0;

/** With `BENCH_CPU_PROF`, leaves a profile of what happens meanwhile. */
async function profiled(session: CDPSession, name: string, run: () => Promise<void>): Promise<void> {
  const folder = process.env.BENCH_CPU_PROF;
  if (!folder) return run();
  await session.send('Profiler.enable');
  await session.send('Profiler.setSamplingInterval', { interval: 100 });
  await session.send('Profiler.start');
  await run();
  const { profile } = await session.send('Profiler.stop');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `page-${name}-${profiles++}.cpuprofile`), JSON.stringify(profile));
}

async function visit(
  browser: Browser,
  server: Child<PageServerAnswers>,
  url: string,
  kind: Kind,
  shown: boolean,
): Promise<Visit> {
  // A context of its own has a process of its own, in which no code is compiled yet.
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    const session = await context.newCDPSession(page);
    // The clock of the thread itself: what else the machine does is not counted.
    await session.send('Performance.enable', { timeDomain: 'threadTicks' });
    await page.goto(url);
    await page.evaluate(() => window.page.prepare());
    await server.call('requests');
    const props = { kind, shown, listeners: LISTENERS, objects: OBJECTS };
    const before = await used(session, 'TaskDuration');
    let mount = 0;
    await profiled(session, kind, async () => {
      mount = await costOf(session, `page.mount(${JSON.stringify(props)})`);
      const rows = await page.evaluate((base) => (base ? window.page.connected() : window.page.idle()), BASES[kind]);
      if (!BASES[kind] && rows !== LISTENERS) throw new Error(`${rows} effects have run`);
    });
    const settled = (await used(session, 'TaskDuration')) - before;
    const { auth = 0, stream = 0 } = await server.call('requests');
    const notified = BASES[kind] ? await notify() : Number.NaN;
    const unmount = await costOf(session, 'page.unmount()');
    return { mount, settled, unmount, notified, auth, stream };

    async function notify(): Promise<number> {
      const early = await page.evaluate(() => window.page.ran());
      if (early.length > 0) throw new Error(`${early.length} listeners ran before there was a notification`);
      const wanted = LISTENERS / OBJECTS;
      const began = await server.call('notify', 7);
      await page.waitForFunction((count) => window.page.ran().length >= count, wanted);
      const ran = await page.evaluate(() => window.page.ran());
      if (ran.length !== wanted) throw new Error(`${ran.length} listeners ran instead of ${wanted}`);
      return Math.max(...ran) - began;
    }
  } finally {
    await context.close();
  }
}

export const page: Part = async ({ rounds }) => {
  const found = await findChromium();
  if (typeof found === 'string') {
    console.log(`left out: a page of ${LISTENERS} listeners: ${found}`);
    return [];
  }
  const server = await startChild<PageServerAnswers>('page/server.ts');
  const browser = await launchChromium(found);
  try {
    const url = `http://127.0.0.1:${await server.call('open', await bundlePage())}/`;
    const figures: Figure[] = [];
    for (const shown of [true, false]) {
      const visits: Record<Kind, Visit[]> = { effect: [], hook: [], empty: [], element: [] };
      // One round more, which counts for nothing: caches of the machine.
      for (let round = -1; round < rounds; round++) {
        for (let n = 0; n < KINDS.length; n++) {
          const kind = KINDS[(n + round + 1) % KINDS.length] as Kind;
          const visited = await visit(browser, server, url, kind, shown);
          if (round >= 0) visits[kind].push(visited);
        }
      }
      figures.push(...figuresOf(visits, shown));
    }
    return figures;
  } finally {
    await browser.close();
    await server.end();
  }
};

function figuresOf(visits: Record<Kind, Visit[]>, shown: boolean): Figure[] {
  const size = `${LISTENERS.toLocaleString('en')} rows${shown ? '' : ' that show nothing'}`;
  const of = (kind: Kind, what: keyof Visit): number[] => visits[kind].map((each) => each[what]);
  const compared = (name: string, what: keyof Visit, target?: number): Figure[] =>
    KINDS.map((kind) => {
      const values = of(kind, what);
      const figure: Figure = { name, of: NAMES[kind], unit: 'ms', values };
      const base = BASES[kind];
      if (!base) return figure;
      const ratios = values.map((value, round) => value / (visits[base][round]?.[what] ?? Number.NaN));
      return { ...figure, ratios, ...(target !== undefined && { target }) };
    });
  const each = (name: string, what: keyof Visit, unit: Figure['unit'], target?: number): Figure[] =>
    (['hook', 'element'] as const).map((kind) => ({
      name,
      of: NAMES[kind],
      unit,
      values: of(kind, what),
      ...(target !== undefined && { target }),
    }));
  return [
    ...compared(`a page of ${size}: render and effects`, 'mount', TARGET),
    ...compared(`a page of ${size}: all until connected`, 'settled'),
    ...compared(`a page of ${size}: unmount`, 'unmount'),
    ...(shown
      ? [
          ...each(`a page of ${size}: notify to the last of ${LISTENERS / OBJECTS} runs`, 'notified', 'ms'),
          ...each(`a page of ${size}: /auth requests`, 'auth', 'requests', 1),
          ...each(`a page of ${size}: /stream requests`, 'stream', 'requests', 1),
        ]
      : []),
  ];
}
