/** Every TypeScript sample of README and docs compiles against the sources. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = `${root}test/.cache/docs`;

/** Where the names come from that a sample may use without repeating the import. */
const IMPORTS: Readonly<Record<string, string>> = {
  createNotifier: 'notify-listen/server',
  routes: 'notify-listen/server/express',
  Listen: 'notify-listen/react',
  ListenObject: 'notify-listen/react',
  ListenProvider: 'notify-listen/react',
  useListen: 'notify-listen/react',
  useListenClient: 'notify-listen/react',
  useListenStatus: 'notify-listen/react',
  createListenClient: 'notify-listen/client',
  defineEntities: 'notify-listen/client',
  useState: 'react',
  useEffect: 'react',
  useRef: 'react',
  useCallback: 'react',
};
const TYPE_IMPORTS: Readonly<Record<string, string>> = {
  ReactElement: 'react',
  Refresh: 'notify-listen/client',
  ActionRow: 'notify-listen/client',
};

interface Sample {
  readonly name: string;
  readonly code: string;
}

function samplesOf(file: string): Sample[] {
  const text = readFileSync(root + file, 'utf8');
  return [...text.matchAll(/^```(ts|tsx)\n(.*?)^```$/gms)].map((match, index) => ({
    name: `${file.replaceAll(/\W+/g, '-')}-${index + 1}-line-${text.slice(0, match.index).split('\n').length}`,
    code: match[2] ?? '',
  }));
}

function complete(code: string): string {
  const missing = (names: Readonly<Record<string, string>>, keyword: string): string[] =>
    Object.entries(names)
      .filter(([name]) => new RegExp(`\\b${name}\\b`).test(code) && !new RegExp(`import [^;]*\\b${name}\\b`).test(code))
      .map(([name, specifier]) => `${keyword} { ${name} } from '${specifier}';`);
  const imports = [...missing(IMPORTS, 'import'), ...missing(TYPE_IMPORTS, 'import type')];
  const express = /\bexpress\./.test(code) && !/import express/.test(code) ? ["import express from 'express';"] : [];
  return `${[...imports, ...express].join(' ')}\n${code}\nexport {};\n`;
}

const files = [
  'README.md',
  ...readdirSync(`${root}docs`)
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];
const samples = files.flatMap(samplesOf);

describe('the samples of README and docs', () => {
  let report = '';

  beforeAll(() => {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    for (const { name, code } of samples) writeFileSync(`${folder}/${name}.tsx`, complete(code));
    const options = {
      extends: '../../../tsconfig.json',
      compilerOptions: {
        noEmit: true,
        isolatedDeclarations: false,
        declaration: false,
        noUnusedLocals: false,
        noUnusedParameters: false,
      },
      include: ['*.tsx', '../../docs/prelude.d.ts'],
      exclude: [],
    };
    writeFileSync(`${folder}/tsconfig.json`, JSON.stringify(options));
    try {
      execFileSync(process.execPath, [`${root}node_modules/typescript/bin/tsc`, '-p', folder], { encoding: 'utf8' });
    } catch (error) {
      report = (error as { stdout?: string }).stdout ?? String(error);
    }
  });

  test('there are samples', () => {
    expect(samples.length).toBeGreaterThan(15);
  });

  test.each(samples.map(({ name }) => name))('%s compiles', (name) => {
    expect(
      report
        .split('\n')
        .filter((line) => line.includes(name))
        .join('\n'),
    ).toBe('');
  });

  test('nothing else is wrong', () => {
    expect(
      report
        .split('\n')
        .filter((line) => line.includes('error') && !samples.some(({ name }) => line.includes(name)))
        .join('\n'),
    ).toBe('');
  });
});
