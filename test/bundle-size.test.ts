/** What a page downloads and can run: the size of each part in production, and that nothing else comes along. */
import { runInNewContext } from 'node:vm';
import * as React from 'react';
import * as jsxRuntime from 'react/jsx-runtime';
import { beforeAll, describe, expect, test } from 'vitest';
import { table } from '../bench/kit/stats.js';
import { CHUNKS, CLIENT, measureParts, PARTS, type PartSize, REACT } from '../bench/size.js';
import { root } from './kit/build.js';
import { bundle } from './kit/bundle.js';

/** What such a page may download: a ratchet, the size of today. The goals stand in `PARTS`. */
const limits: Record<PartSize['part'], number> = {
  client: 9.7,
  '+ React': 11,
  '+ SSE': 11.7,
  '+ tabs': 14.8,
};

const chunkLimits: Record<string, number> = {
  alone: 0.4,
  hosted: 1.32,
  'long-poll': 0.46,
  overflow: 0.5,
  own: 0.6,
  seen: 0.3,
  tabs: 2.9,
};

describe('a page downloads at most', () => {
  let parts: readonly PartSize[] = [];
  beforeAll(async () => {
    parts = await measureParts();
    const rows = parts.map(({ part, kilobytes, wanted }) => [
      part,
      kilobytes.toFixed(2),
      limits[part].toFixed(1),
      wanted.toFixed(1),
    ]);
    console.log(table(['kB', 'gzip -9', 'limit', 'wanted'], rows));
  });

  test.each(PARTS)('its share for $part', ({ part }) => {
    expect(parts.find((size) => size.part === part)?.kilobytes).toBeLessThanOrEqual(limits[part]);
  });

  test('and, when it is needed, no other code than this', () => {
    // What lies between an arriving notification and its run is there before it arrives.
    const chunks = parts.at(-1)?.lazy ?? [];
    expect(chunks.map(({ name }) => name).sort()).toEqual(Object.keys(CHUNKS).sort());
    for (const { name, size } of chunks) expect(size / 1_000, name).toBeLessThanOrEqual(chunkLimits[name] ?? 0);
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
