/** What is published: packed as npm would, installed into an empty project, loaded, used and compiled against there. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { beforeAll, describe, expect, test } from 'vitest';
import { buildPackage, root } from './kit/build.js';

/** Below the root, so that nothing outside is touched; the peers are found in the root's node_modules on the way up. */
const folder = join(root, 'test/.cache/package');
const project = join(folder, 'project');
const installed = join(project, 'node_modules/notify-listen');
const fixtures = join(root, 'test/fixtures/consumer');

function run(command: string, args: readonly string[], cwd = project): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: 60_000 });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}\n${stdout}${stderr}`);
  return stdout;
}

let tarball = '';
let manifest: { exports: Record<string, unknown>; version: string };

beforeAll(() => {
  buildPackage();
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(project, { recursive: true });
  run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], root);
  tarball = join(folder, readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? '');
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'stranger', private: true, type: 'module' }));
  run('npm', ['install', tarball, '--offline', '--ignore-scripts', '--no-audit', '--no-fund']);
  cpSync(fixtures, project, { recursive: true });
  manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
}, 120_000);

test('holds what it needs and nothing of the workshop', () => {
  const files = readdirSync(installed, { recursive: true, encoding: 'utf8' });
  for (const wanted of ['README.md', 'LICENSE', 'CHANGELOG.md', 'docs/protocol.md']) expect(files).toContain(wanted);
  expect(files.filter((file) => /(^|\/)(test|demo|bench|node_modules)(\/|$)|(?<!\.d)\.tsx?$/.test(file))).toEqual([]);
});

test('brings along what the emulators need, and nothing more', () => {
  const names = readdirSync(join(project, 'node_modules')).filter((name) => !name.startsWith('.'));
  expect(names).toEqual(['@msgpack', 'notify-listen', 'ws']);
});

test('has a command', () => {
  expect(run(join(project, 'node_modules/.bin/notify-listen'), ['--help'])).toContain('emulate pusher|ably');
});

test('is taken by the package lint', async () => {
  const { messages } = await publint({ pkgDir: installed, pack: false, strict: true });
  expect(messages.map((message) => formatMessage(message, manifest as never))).toEqual([]);
});

test('every entry point loads in Node', () => {
  const names = Object.keys(manifest.exports).filter((name) => !name.endsWith('.json'));
  expect(names.length).toBeGreaterThan(10);
  const script = `for (const name of ${JSON.stringify(names)}) {
    const loaded = await import('notify-listen' + name.slice(1));
    if (Object.keys(loaded).length === 0) throw new Error(name + ' exports nothing');
  }`;
  run(process.execPath, ['--input-type=module', '--eval', script]);
});

test('the entry point for React is marked for server components', () => {
  expect(readFileSync(join(installed, 'dist/widget/react/index.js'), 'utf8')).toMatch(
    /^(['"])use client\1;\n(?!.*use client)/s,
  );
});

test('one notification reaches one listener, and the other is refused', () => {
  const output = JSON.parse(run(process.execPath, ['roundtrip.mjs'])) as { notification: object };
  expect(output).toMatchObject({ refused: 'refused', runs: 1 });
  expect(output.notification).toMatchObject({ entity: 'Order', id: '42', action: 'shipped', notifier: 'Ben' });
});

describe('the declarations compile for a stranger', () => {
  test.each(['nodenext', 'bundler'])('with module resolution %s', (resolution) => {
    const compilerOptions = {
      target: 'ES2022',
      lib: ['ES2023', 'DOM', 'DOM.Iterable'],
      module: resolution === 'nodenext' ? 'nodenext' : 'esnext',
      moduleResolution: resolution,
      jsx: 'react-jsx',
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      types: ['node'],
      skipLibCheck: false,
    };
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['app.tsx'] }));
    run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', project]);
  });
});
