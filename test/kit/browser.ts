/**
 * Finds and starts a headless Chromium: the one that `CHROMIUM_PATH` names, else one of the system, else that of the npm
 * package `@sparticuz/chromium`. It never downloads one, and writes nothing outside `test/.cache`.
 */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium as playwright } from 'playwright-core';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { isExecutable, onPath } from './browsers/find.js';

const CACHE = fileURLToPath(new URL('../.cache/', import.meta.url));

/** No sandbox: CI is root in a container. The others keep it from calling home. */
export const FLAGS: readonly string[] = [
  '--no-sandbox',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
  '--disable-quic',
];

export interface Chromium {
  readonly executablePath: string;
  /** Where its shared libraries and fonts are, when it brought its own. */
  readonly env: Readonly<Record<string, string>>;
}

/** Sets environment variables while `fn` runs. */
async function withEnv<T>(values: Readonly<Record<string, string>>, fn: () => Promise<T>): Promise<T> {
  const before = Object.keys(values).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, values);
  try {
    return await fn();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}

/**
 * Unpacks npm's Chromium (60 MB, a few seconds, once). It unpacks its libraries only where it believes to be in a Lambda
 * of Node 20, and into the temporary folder. A folder that is there is complete: it gets its name when all is written.
 */
export async function npmChromium(): Promise<Chromium> {
  const folder = join(CACHE, 'chromium');
  if (!existsSync(folder)) {
    const partial = `${folder}.${process.pid}`;
    mkdirSync(partial, { recursive: true });
    await withEnv({ AWS_LAMBDA_JS_RUNTIME: 'nodejs20.x', TMPDIR: partial }, async () => {
      const { default: packed } = await import('@sparticuz/chromium');
      await packed.executablePath();
    });
    if (existsSync(folder)) rmSync(partial, { recursive: true });
    else renameSync(partial, folder);
  }
  // Its own settings look for fonts in /tmp and keep their cache there; without a font a page is blank.
  const fonts = join(folder, 'fonts');
  const dirs = `<dir>${join(fonts, 'fonts')}</dir><dir>/usr/share/fonts</dir><cachedir>${join(folder, 'fonts-cache')}</cachedir>`;
  writeFileSync(join(fonts, 'fonts.conf'), `<?xml version="1.0"?><fontconfig>${dirs}</fontconfig>`);
  return {
    executablePath: join(folder, 'chromium'),
    env: { LD_LIBRARY_PATH: join(folder, 'al2023', 'lib'), FONTCONFIG_PATH: fonts },
  };
}

/** @returns the Chromium of this machine, or a sentence saying what was looked for. */
export function findInstalledChromium(): Chromium | string {
  const named = process.env.CHROMIUM_PATH;
  if (named) {
    return isExecutable(named) ? { executablePath: named, env: {} } : `CHROMIUM_PATH: ${named} cannot be executed`;
  }
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    const executablePath = onPath(name);
    if (executablePath) return { executablePath, env: {} };
  }
  return 'no Chromium: CHROMIUM_PATH is not set, and none is on the path';
}

/** @returns the first Chromium found, that of npm included, or a sentence saying what was looked for. */
export async function findChromium(): Promise<Chromium | string> {
  const installed = findInstalledChromium();
  if (typeof installed !== 'string' || process.env.CHROMIUM_PATH) return installed;
  try {
    return await npmChromium();
  } catch (error) {
    return `${installed}, and npm's does not unpack here (${error})`;
  }
}

/** Starts it. Its profile, its home and its temporary files lie in the cache folder. */
export async function launchChromium({ executablePath, env }: Chromium): Promise<Browser> {
  const home = join(CACHE, 'home');
  mkdirSync(home, { recursive: true });
  const own = { HOME: home, TMPDIR: home, XDG_CONFIG_HOME: home, XDG_CACHE_HOME: home };
  const inherited = Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return withEnv({ TMPDIR: home }, () =>
    playwright.launch({ executablePath, args: [...FLAGS], env: { ...Object.fromEntries(inherited), ...own, ...env } }),
  );
}

/**
 * Call it at the top of a test file: one browser for all its tests. Where there is none, the tests are skipped with the
 * reason; in CI that is an error.
 */
export function openBrowser(): () => Browser {
  let browser: Browser | undefined;
  let missing = '';

  beforeAll(async () => {
    const found = await findChromium();
    if (typeof found !== 'string') browser = await launchChromium(found);
    else if (process.env.CI === 'true') throw new Error(found);
    else missing = found;
  });
  beforeEach((context) => {
    if (missing) context.skip(missing);
  });
  afterAll(() => browser?.close());

  return () => {
    if (!browser) throw new Error('the browser is there only while tests run');
    return browser;
  };
}
