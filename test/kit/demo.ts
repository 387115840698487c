/** Starts the demo as a process of its own, with a data folder of its own, and opens its pages in a browser. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BrowserContext, Page } from 'playwright-core';
import { openDatabase } from '../../demo/server/database.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const CACHE = join(root, 'test/.cache');
/** A first start makes a database and builds the page: a few seconds of the processor, much more where others have it. */
const START_MS = 120_000;

export interface Demo {
  readonly url: string;
  readonly port: number;
  readonly data: string;
  /** Everything that it has printed. */
  output(): string;
  /** As Ctrl-C would. Resolves with the exit code. */
  stop(): Promise<number | null>;
  /** As a crash would. */
  kill(): Promise<void>;
}

export function freshDataFolder(): string {
  mkdirSync(CACHE, { recursive: true });
  return mkdtempSync(join(CACHE, 'demo-'));
}

/**
 * A data folder as the demo's first start leaves it, but without the wait: made once, by the demo's own code, and copied.
 * Making a database is most of the work of a first start.
 */
export async function seededDataFolder(): Promise<string> {
  const template = join(CACHE, `desk-${versionOfDatabase()}`);
  if (!existsSync(template)) {
    const partial = freshDataFolder();
    await (await openDatabase(partial)).close();
    // A folder that has its name is complete; another file's may have been quicker.
    if (existsSync(template)) return partial;
    renameSync(partial, template);
  }
  const data = freshDataFolder();
  cpSync(template, data, { recursive: true });
  return data;
}

/** Changes with the code that makes the database, and with the lock file, which names the version of PGlite. */
function versionOfDatabase(): string {
  const folder = join(root, 'demo/server');
  const files = [...readdirSync(folder).map((name) => join(folder, name)), join(root, 'package-lock.json')];
  const hash = createHash('sha256');
  for (const file of files.sort()) hash.update(readFileSync(file));
  return hash.digest('hex').slice(0, 12);
}

export function removeDataFolder(data: string): void {
  rmSync(data, { recursive: true, force: true });
}

export interface DemoOptions {
  /** Default: one that is free. */
  readonly port?: number;
  /** As behind `npm run demo -- --provider`. */
  readonly provider?: string;
  /** As behind `--processes`. */
  readonly processes?: number;
  /** As behind `--log`. */
  readonly log?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Resolves as soon as the demo has printed its address. */
export async function startDemo(data: string, { port = 0, env, ...options }: DemoOptions = {}): Promise<Demo> {
  const { provider, processes, log } = options;
  const named = Object.entries({ provider, processes, log }).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, String(value)],
  );
  const child = spawn(process.execPath, ['--import', 'tsx', 'demo/start.ts', ...named], {
    cwd: root,
    env: { ...process.env, PORT: String(port), DEMO_DATA: data, NODE_ENV: undefined, ...env },
  });
  let printed = '';
  const exited = once(child, 'exit');
  const url = await new Promise<string>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`the demo did not start\n${printed}`)), START_MS);
    const read = (chunk: Buffer): void => {
      printed += chunk;
      const address = /open: (http:\/\/[\d.]+:\d+)/.exec(printed)?.[1];
      if (!address) return;
      clearTimeout(late);
      resolve(address);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('exit', () => reject(new Error(`the demo ended\n${printed}`)));
  });
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (running(child)) child.kill(signal);
    await exited;
    return child.exitCode;
  };
  return {
    url,
    port: Number(new URL(url).port),
    data,
    output: () => printed,
    stop: () => end('SIGINT'),
    kill: async () => void (await end('SIGKILL')),
  };
}

const running = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null;

/** Logs a person in and opens a page of that person's desk, as soon as it is live. */
export async function openDesk(context: BrowserContext, demo: Demo, person: string, path: string): Promise<Page> {
  await logIn(context, demo, person);
  const page = await context.newPage();
  await page.goto(`${demo.url}/as/${person}/${path}`);
  await page.locator('[data-state=connected]').waitFor();
  return page;
}

export async function logIn(context: BrowserContext, demo: Demo, person: string): Promise<void> {
  const response = await context.request.post(`${demo.url}/as/${person}/api/login`);
  if (!response.ok()) throw new Error(`login of ${person}: ${response.status()}`);
}

/** Counts the reads of one path of the API from now on. */
export function countReads(page: Page, path: string): () => number {
  let count = 0;
  page.on('request', (request) => {
    const { pathname } = new URL(request.url());
    if (request.method() === 'GET' && pathname.endsWith(`/api/${path}`)) count += 1;
  });
  return () => count;
}

/** The lines of the strip, newest first, each as one text. */
export async function strip(page: Page): Promise<string[]> {
  const lines = await page.locator('.strip li').allTextContents();
  return lines.map((line) => line.replace(/^[\d:]+/, '').trim());
}
