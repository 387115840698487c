/** Nobody downloads a vendor that they did not choose; and the one that they chose, only when they listen. */
import { build, type Rolldown } from 'vite';
import { describe, expect, test } from 'vitest';
import { root } from './kit/build.js';

interface Part {
  /** Loaded with the page, or only when it is needed. */
  readonly atOnce: boolean;
  readonly code: string;
  /** The packages and the adapters whose files are in it. */
  readonly holds: readonly string[];
}

/** Bundles as an application for browsers does. React is a package of the application. */
async function partsOf(entry: string): Promise<Part[]> {
  const result = (await build({
    root,
    configFile: false,
    logLevel: 'error',
    define: { 'process.env.NODE_ENV': '"production"' },
    build: {
      write: false,
      target: 'es2022',
      modulePreload: false,
      rolldownOptions: { input: entry, preserveEntrySignatures: 'strict', external: [/^react(-dom)?(\/|$)/] },
    },
  })) as Rolldown.RolldownOutput;
  const chunks = result.output.filter((output): output is Rolldown.OutputChunk => output.type === 'chunk');
  const atOnce = new Set(chunks.filter((chunk) => chunk.isEntry));
  for (const { imports } of atOnce) for (const chunk of chunks) if (imports.includes(chunk.fileName)) atOnce.add(chunk);
  return chunks.map((chunk) => ({
    atOnce: atOnce.has(chunk),
    code: chunk.code,
    holds: [
      ...new Set(
        chunk.moduleIds.flatMap(
          (id) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(id)?.[1] ?? /adapters\/\w+(?=\/)/.exec(id)?.[0] ?? [],
        ),
      ),
    ].sort(),
  }));
}

const holdings = (parts: readonly Part[]): string[] => [...new Set(parts.flatMap(({ holds }) => holds))].sort();

describe('an application', () => {
  test('over SSE holds no byte of a vendor', async () => {
    const parts = await partsOf('test/fixtures/bundles/sse.ts');
    expect(holdings(parts)).toEqual(['adapters/sse']);
    // Not a word either, but for the names under which a status tells how events come.
    expect(parts.map(({ code }) => code).join()).not.toMatch(/pusher-js|wsHost|ably\/modular|ably-js/);
  });

  test.each([
    { vendor: 'pusher', packages: ['pusher-js'], other: 'ably' },
    { vendor: 'ably', packages: ['ably'], other: 'pusher' },
  ])('over $vendor holds its client alone, and loads it when it listens', async ({ vendor, packages, other }) => {
    const parts = await partsOf(`test/fixtures/bundles/${vendor}.ts`);
    expect(holdings(parts)).toEqual(expect.arrayContaining(['adapters/sse', `adapters/${vendor}`, ...packages]));
    expect(holdings(parts).filter((name) => name.includes(other))).toEqual([]);
    expect(holdings(parts.filter(({ atOnce }) => atOnce)).filter((name) => packages.includes(name))).toEqual([]);
  });
});
