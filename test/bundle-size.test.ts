/** What a page downloads and can run: the size of each part in production, and that nothing else comes along. */
import { runInNewContext } from 'node:vm';
import * as React from 'react';
import * as jsxRuntime from 'react/jsx-runtime';
import { afterAll, describe, expect, test } from 'vitest';
import { root } from './kit/build.js';
import { bundle } from './kit/bundle.js';

const CLIENT = 'widget/client/index.ts';
const REACT = 'widget/react/index.ts';
const withoutSse = (id: string): boolean => /(^|\/)adapters\/sse\//.test(id);

/**
 * Each with what is before it. Units of 1,000 bytes, after gzip -9, minified, for production, React left out. What counts
 * is what a page downloads to listen; chunks that are loaded when they are needed stand beside it. `limit` is a ratchet,
 * the size of today; `wanted` is the goal.
 */
const budgets = [
  {
    part: 'client',
    limit: 9.4,
    wanted: 4.5,
    chunks: ['alone', 'hosted', 'overflow', 'own', 'seen', 'tabs'],
    entry: CLIENT,
    external: withoutSse,
  },
  {
    part: '+ React',
    limit: 10.6,
    wanted: 6.0,
    chunks: ['alone', 'hosted', 'overflow', 'own', 'seen', 'tabs'],
    entry: REACT,
    external: withoutSse,
  },
  {
    part: '+ SSE',
    limit: 11.4,
    wanted: 7.5,
    chunks: ['alone', 'hosted', 'long-poll', 'overflow', 'own', 'seen', 'tabs'],
    entry: REACT,
  },
];

/**
 * What a page downloads beside: on a provider its links (`hosted`, `seen`), and more when it listens to more than the
 * provider can hold; where the browser has locks, what tabs share (`tabs`, `seen`). `alone` is asked for in development only.
 */
const chunkLimits: Record<string, number> = {
  alone: 0.4,
  hosted: 1.32,
  'long-poll': 0.32,
  overflow: 0.5,
  own: 0.6,
  seen: 0.3,
  tabs: 2.9,
};

describe('a page downloads at most', () => {
  const table: string[] = [];
  afterAll(() => console.log(['part        size   limit  wanted  when needed', ...table].join('\n')));

  test.each(budgets)('$limit kB for $part', async ({ part, limit, wanted, chunks, ...options }) => {
    const { size, lazy } = await bundle(root, { ...options, split: true });
    const kilobytes = size / 1000;
    const later = lazy.map((chunk) => `${chunk.name} ${(chunk.size / 1000).toFixed(2)}`).join(', ');
    table.push(
      `${part.padEnd(10)} ${kilobytes.toFixed(2).padStart(5)}   ${limit.toFixed(1).padStart(5)}   ${wanted.toFixed(1).padStart(5)}  ${later}`,
    );
    expect(kilobytes).toBeLessThanOrEqual(limit);
    // No other: what lies between an arriving notification and its run is there before it arrives.
    expect(lazy.map((chunk) => chunk.name).sort()).toEqual(chunks);
    for (const chunk of lazy) expect(chunk.size / 1000, chunk.name).toBeLessThanOrEqual(chunkLimits[chunk.name] ?? 0);
  });
});

const entries = [
  { name: 'client', entry: CLIENT },
  { name: 'React', entry: REACT },
  { name: 'SSE', entry: 'adapters/sse/client.ts' },
  { name: 'memory', entry: 'adapters/memory/client.ts' },
];

describe.each(entries)('the $name entry point for browsers', ({ entry }) => {
  test('holds the files of its side only', async () => {
    const { files } = await bundle(root, { entry, split: true });
    expect(files).toContain(entry);
    const allowed = /^(adapters\/[^/]+\.ts|adapters\/\w+\/[\w-]+\.ts|widget\/.+)$/;
    const foreign = files.filter((file) => !allowed.test(file) || /^adapters\/\w+\/server\.ts$/.test(file));
    expect(foreign).toEqual([]);
    if (entry !== REACT) expect(files.filter((file) => file.startsWith('widget/react/'))).toEqual([]);
  });

  test.each(['production', 'development'] as const)('asks nothing of its surroundings to load (%s)', async (mode) => {
    const { code } = await bundle(root, { entry, mode, format: 'script' });
    const context = { React, jsxRuntime, probe: '' };
    runInNewContext(
      `${code}\nprobe = [typeof process, typeof document, typeof window, typeof require].join();`,
      context,
    );
    expect(context.probe).toBe('undefined,undefined,undefined,undefined');
    expect(Object.keys((context as unknown as { entry: object }).entry)).not.toEqual([]);
  });
});

/** Words that only a developer needs. They are in the sources, so that a new wording shows here. */
const helpTexts = [
  { name: 'client', entry: CLIENT, text: 'is empty; give at least one row' },
  { name: 'React', entry: REACT, text: 'put <ListenProvider url=' },
];

test.each(helpTexts)('the help texts of the $name leave the production build', async ({ entry, text }) => {
  const [development, production] = await Promise.all([
    bundle(root, { entry, mode: 'development' }),
    bundle(root, { entry }),
  ]);
  expect(development.code).toContain(text);
  expect(production.code).not.toContain(text);
});
