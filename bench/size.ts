/**
 * What a page downloads: minified for production by Vite's own bundler, then `gzip -9`, in units of 1,000 bytes. React and
 * the providers' own packages are left out. The same figures are held by test/bundle-size.test.ts.
 */
import { root } from '../test/kit/build.js';
import { type Bundle, bundle } from '../test/kit/bundle.js';
import type { Figure } from './kit/part.js';
import { keep } from './kit/results.js';
import { table } from './kit/stats.js';
import type { BenchOptions } from './main.js';

export const CLIENT = 'widget/client/index.ts';
export const REACT = 'widget/react/index.ts';

const withoutSse = (id: string): boolean => /(^|\/)adapters\/sse\//.test(id);
const vendors = (id: string): boolean => /^(ably|pusher-js)(\/|$)/.test(id);

/** What is downloaded, each with what is before it. */
interface PagePart {
  readonly part: 'client' | '+ React' | '+ SSE' | '+ tabs';
  /** The goal. */
  readonly wanted: number;
  readonly entry: string;
  readonly external?: (id: string) => boolean;
  /** Chunks that every such page loads as well, a moment later. */
  readonly chunks?: readonly string[];
}

export const PARTS: readonly PagePart[] = [
  { part: 'client', wanted: 4.0, entry: CLIENT, external: withoutSse },
  { part: '+ React', wanted: 5.5, entry: REACT, external: withoutSse },
  { part: '+ SSE', wanted: 7.0, entry: REACT },
  { part: '+ tabs', wanted: 8.0, entry: REACT, chunks: ['tabs', 'seen'] },
];

/** Chunks that are loaded when they are needed, and by whom. */
export const CHUNKS: Readonly<Record<string, string>> = {
  alone: 'in development, where the browser has no locks',
  hosted: 'where the server names a provider that the page has',
  'long-poll': 'where something holds event streams back',
  overflow: 'a page on a provider that listens to more than it holds',
  own: 'at the first `client.fetch`',
  seen: 'with `hosted` or `tabs`',
  tabs: 'where the browser has locks',
};

/** The entry points for browsers. */
const ENTRIES = {
  client: CLIENT,
  react: REACT,
  'adapters/sse/client': 'adapters/sse/client.ts',
  'adapters/memory/client': 'adapters/memory/client.ts',
  'adapters/pusher/client': 'adapters/pusher/client.ts',
  'adapters/ably/client': 'adapters/ably/client.ts',
};

export interface PartSize {
  readonly part: PagePart['part'];
  readonly wanted: number;
  readonly kilobytes: number;
  readonly minified: number;
  /** What is not loaded at once, also what such a page never needs. */
  readonly lazy: Bundle['lazy'];
}

/** The rows of {@link PARTS}. */
export async function measureParts(): Promise<PartSize[]> {
  const rows: PartSize[] = [];
  for (const { part, wanted, chunks = [], ...options } of PARTS) {
    const { size, minified, lazy } = await bundle(root, { ...options, split: true });
    const also = lazy.filter(({ name }) => chunks.includes(name));
    const sum = (key: 'size' | 'minified', first: number) => also.reduce((total, chunk) => total + chunk[key], first);
    rows.push({
      part,
      wanted,
      kilobytes: sum('size', size) / 1_000,
      minified: sum('minified', minified) / 1_000,
      lazy,
    });
  }
  return rows;
}

/** For the table of all figures. */
export async function sizes(): Promise<Figure[]> {
  return (await measureParts()).map(({ part, wanted, kilobytes }) => ({
    name: `download: ${part}`,
    of: 'notify-listen',
    unit: 'kB',
    values: [kilobytes],
    target: wanted,
  }));
}

export async function benchSize(_options: BenchOptions): Promise<void> {
  const parts = await measureParts();
  const kB = (kilobytes: number): string => kilobytes.toFixed(2);
  console.log('What a page downloads, kB; each row with what is before it\n');
  const rows = parts.map(({ part, wanted, kilobytes, minified }) => [
    part,
    kB(minified),
    kB(kilobytes),
    wanted.toFixed(1),
    kilobytes <= wanted ? 'reached' : 'not reached',
  ]);
  console.log(table(['', 'minified', 'gzip -9', 'wanted', ''], rows));

  console.log('\nLoaded when it is needed, kB\n');
  const chunks = parts.at(-1)?.lazy ?? [];
  const later = chunks.map(({ name, size, minified }) => [
    name,
    kB(minified / 1_000),
    kB(size / 1_000),
    CHUNKS[name] ?? '',
  ]);
  console.log(table(['chunk', 'minified', 'gzip -9', 'by'], later));

  console.log('\nEach entry point by itself, at once, kB\n');
  const entries: string[][] = [];
  for (const [name, entry] of Object.entries(ENTRIES)) {
    const { size, minified } = await bundle(root, { entry, split: true, external: vendors });
    entries.push([name, kB(minified / 1_000), kB(size / 1_000)]);
  }
  console.log(table(['entry point', 'minified', 'gzip -9'], entries));
  keep('size', { parts, entries });
}
