/** Who imports whom, kept by a test. Each rule is also shown a small wrong house that it must refuse. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { buildPackage, root } from './kit/build.js';
import { graphOf, readGraph } from './kit/graph.js';
import * as rules from './kit/house-rules.js';

const house = readGraph(root, ['adapters', 'server', 'widget', 'demo', 'bench', 'test']);

interface Manifest {
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional: boolean }>>;
}
const readJson = <T>(file: string): T => JSON.parse(readFileSync(join(root, file), 'utf8')) as T;
const manifest = readJson<Manifest>('package.json');
const entries = Object.entries(manifest.exports).flatMap(([name, target]) =>
  typeof target === 'string' ? [] : [{ name, ...target }],
);

/** A house of two or three files: the texts by path, and what the rule must say about one of them. */
type WrongHouse = readonly [what: string, sources: Record<string, string>];

function rule(name: string, check: rules.Rule, wrong: readonly WrongHouse[]): void {
  describe(name, () => {
    test('holds', () => expect(check(house)).toEqual([]));
    test.each(wrong)('refuses %s', (_what, sources) => expect(check(graphOf(sources))).not.toEqual([]));
  });
}

const empty = 'export {};';

rule('rooms import the ground floor, never each other', rules.rooms, [
  ['a server file in a widget', { 'widget/client/a.ts': "import '../../server/b.js';", 'server/b.ts': empty }],
  [
    'a type of the server in a widget',
    { 'widget/client/a.ts': "import type { B } from '../../server/b.js';", 'server/b.ts': empty },
  ],
  ['a widget in the server', { 'server/a.ts': "export * from '../widget/client/b.js';", 'widget/client/b.ts': empty }],
  ['a room under the ground floor', { 'adapters/a.ts': "import '../server/b.js';", 'server/b.ts': empty }],
  ['an adapter under the ground floor', { 'adapters/a.ts': "import './sse/b.js';", 'adapters/sse/b.ts': empty }],
  [
    'an adapter outside the composition root',
    { 'server/a.ts': "import '../adapters/sse/server.js';", 'adapters/sse/server.ts': empty },
  ],
  [
    'the wrong half in the composition root',
    { 'widget/client/index.ts': "import '../../adapters/sse/server.js';", 'adapters/sse/server.ts': empty },
  ],
  ['a lazily loaded room', { 'widget/client/a.ts': "await import('../../server/b.js');", 'server/b.ts': empty }],
  ['another adapter', { 'adapters/sse/client.ts': "import '../pusher/b.js';", 'adapters/pusher/b.ts': empty }],
  ['the skin in the core', { 'widget/client/a.ts': "import '../react/b.js';", 'widget/react/b.ts': empty }],
  [
    'the test double in the product',
    { 'server/a.ts': "import '../adapters/testing/b.js';", 'adapters/testing/b.ts': empty },
  ],
  ['a test in the product', { 'server/a.ts': "import '../test/b.js';", 'test/b.ts': empty }],
  ['a file that is not there', { 'server/a.ts': "import './b.js';" }],
]);

rule("an adapter's halves are apart", rules.halves, [
  ['the other half', { 'adapters/sse/client.ts': "import './server.js';", 'adapters/sse/server.ts': empty }],
  [
    'the other half behind a helper',
    {
      'adapters/sse/server.ts': "import './a.js';",
      'adapters/sse/a.ts': "import type {} from './client.js';",
      'adapters/sse/client.ts': empty,
    },
  ],
  [
    'a shared helper that is not pure',
    {
      'adapters/sse/server.ts': "import './a.js';",
      'adapters/sse/client.ts': "import './a.js';",
      'adapters/sse/a.ts': "import 'node:fs';",
    },
  ],
]);

rule('browsers load nothing of Node', rules.browser, [
  ['a direct import', { 'widget/client/a.ts': "import 'node:crypto';" }],
  ['a module without its prefix', { 'widget/client/a.ts': "import { readFile } from 'fs/promises';" }],
  ['a lazy import', { 'widget/client/a.ts': "const load = () => import('node:fs');" }],
  ['a template as specifier', { 'widget/client/a.ts': 'const load = () => import(`fs`);' }],
  ['a type', { 'widget/client/a.ts': "type S = import('node:net').Socket;" }],
  ['require', { 'widget/client/a.ts': "declare const require: any; require('os');" }],
  ['a builtin by name', { 'widget/client/a.ts': "process.getBuiltinModule('fs');" }],
  ['import = require', { 'widget/client/a.ts': "import fs = require('fs');" }],
  ['a re-export', { 'adapters/sse/client.ts': "export { join } from 'node:path';" }],
  ['what a helper imports', { 'adapters/sse/client.ts': "import '../a.js';", 'adapters/a.ts': "import 'node:fs';" }],
]);

rule('packages stay in their files', rules.packages, [
  ['React in the core', { 'widget/client/a.ts': "import { useState } from 'react';" }],
  ['React on the server', { 'server/a.ts': "import type { FC } from 'react';" }],
  ['Express loaded', { 'server/use/express.ts': "import express from 'express';" }],
  ['an SDK in the core', { 'server/a.ts': "const load = () => import('pusher');" }],
  ['an SDK loaded at once', { 'adapters/pusher/server.ts': "import Pusher from 'pusher';" }],
]);

rule('the demo uses the public entry points', rules.publicOnly, [
  ['a source', { 'demo/a.ts': "import '../server/index.js';", 'server/index.ts': empty }],
  ['the library through its own door', { 'server/a.ts': "import 'notify-listen/client';" }],
]);

rule('no files load one another in a circle', rules.cycles, [
  ['two files', { 'server/a.ts': "import './b.js';", 'server/b.ts': "export * from './a.js';" }],
  ['a lazy way back', { 'server/a.ts': "import './b.js';", 'server/b.ts': "import('./a.js');" }],
  ['itself', { 'server/a.ts': "import './a.js';" }],
]);
test('types may refer to each other', () => {
  const graph = graphOf({ 'server/a.ts': "import './b.js';", 'server/b.ts': "import type {} from './a.js';" });
  expect(rules.cycles(graph)).toEqual([]);
});

rule('every specifier can be read', rules.literal, [
  ['a computed one', { 'server/a.ts': 'declare const name: string; import(name);' }],
]);

rule('long files say why', rules.lengths, [
  ['a long file', { 'server/a.ts': `/** All of it. */\n${'export {};\n'.repeat(300)}` }],
]);
test('a long file with a reason is taken', () => {
  expect(rules.lengths(graphOf({ 'server/a.ts': `/** Long: one table. */\n${'export {};\n'.repeat(300)}` }))).toEqual(
    [],
  );
});

describe('package.json', () => {
  test('names each built file, as an export or as the bin, and builds each of them', () => {
    buildPackage();
    const built = readdirSync(join(root, 'dist'), { recursive: true, encoding: 'utf8' })
      .map((file) => `./dist/${file.replaceAll('\\', '/')}`)
      .filter((file) => file.endsWith('.js') && !file.startsWith('./dist/shared/'));
    expect(built.sort()).toEqual([...entries.map((entry) => entry.default), ...Object.values(manifest.bin)].sort());
    for (const { types } of entries) expect(existsSync(join(root, types)), types).toBe(true);
  });

  test('has declarations beside the code, and names them first', () => {
    for (const entry of entries) {
      expect(entry.types).toBe(entry.default.replace(/\.js$/, '.d.ts'));
      expect(Object.keys(entry).indexOf('types')).toBeLessThan(Object.keys(entry).indexOf('default'));
    }
  });

  test('has the same entry points as the paths that point tools at the sources', () => {
    const { compilerOptions } = readJson<{ compilerOptions: { paths: Record<string, string[]> } }>('tsconfig.json');
    const sources = entries.map(({ name, default: file }) => [
      `notify-listen${name.slice(1)}`,
      [file.replace('./dist/', './').replace(/\.js$/, '.ts')],
    ]);
    expect(compilerOptions.paths).toEqual(Object.fromEntries(sources));
    for (const [file] of Object.values(compilerOptions.paths))
      expect(existsSync(join(root, file ?? '')), file).toBe(true);
  });

  test('declares the packages that the sources import, and no others; none is forced on anybody', () => {
    // Express is served by the shape of its requests; the peer says which versions that was tested with.
    const imported = [...new Set([...rules.importedPackages(house), 'express'])].sort();
    expect(Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }).sort()).toEqual(imported);
    for (const name of Object.keys(manifest.peerDependencies)) {
      expect(manifest.peerDependenciesMeta[name]?.optional, name).toBe(true);
    }
  });
});
