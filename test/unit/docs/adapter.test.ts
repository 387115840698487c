/** docs/writing-an-adapter.md shows the files that are run, and its table names every row that the suite proves. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type AdapterHouse, adapterContract } from '../../../adapters/testing/index.js';

const PAGE = 'docs/writing-an-adapter.md';
const path = (file: string): string => fileURLToPath(new URL(`../../../${file}`, import.meta.url));
const read = (file: string): string => readFileSync(path(file), 'utf8');
const BLOCK = /<!-- (test\/[\w./-]+)(?:#([\w-]+))? -->\n```(ts|typescript)\n([\s\S]*?)```(?=\n)/g;

/** A file, or the text between `#region name` and its `#endregion`. */
function shownOf(file: string, region: string | undefined): string {
  const text = read(file);
  if (region === undefined) return text;
  const inside = new RegExp(`// #region ${region}\n([\\s\\S]*?)// #endregion`).exec(text);
  if (!inside?.[1]) throw new Error(`${file} has no region ${region}`);
  return inside[1];
}

// `UPDATE_SAMPLES=1` copies the files into the page.
if (process.env.UPDATE_SAMPLES) {
  const copied = read(PAGE).replace(
    BLOCK,
    (_, file: string, region: string | undefined, language: string) =>
      `<!-- ${file}${region === undefined ? '' : `#${region}`} -->\n\`\`\`${language}\n${shownOf(file, region)}\`\`\``,
  );
  writeFileSync(path(PAGE), copied);
}

const blocks = [...read(PAGE).matchAll(BLOCK)];

test('the page shows both halves, the broker and the test', () => {
  expect(blocks.map(([, file]) => file)).toEqual([
    'test/docs/example-adapter/server.ts',
    'test/docs/example-adapter/client.ts',
    'test/docs/example-adapter/broker.ts',
    'test/contract/adapter.example.test.ts',
  ]);
});

test.each(blocks.map(([, file = '', region, , shown]) => [file, region, shown] as const))(
  '%s is shown as it is run',
  (file, region, shown) => expect(shown).toBe(shownOf(file, region)),
);

describe('the table of what is proved', () => {
  const never = (): AdapterHouse => {
    throw new Error('no case is run here');
  };
  const rowsOf = (names: readonly string[]): number[] =>
    [...new Set(names.flatMap((name) => [...name.matchAll(/\[(\d+)\]/g)].map(([, row]) => Number(row))))].sort(
      (a, b) => a - b,
    );
  const whole = rowsOf(adapterContract(never, { hosted: 'any', nodes: true }).map(({ name }) => name));
  const common = rowsOf(adapterContract(never).map(({ name }) => name));
  const [, table = ''] = read(PAGE).split('### What is proved');
  const lines = [...table.matchAll(/^\| ([\d, ]+) \|.*\| ([\w, ]+) \|$/gm)].map(([, rows = '', cases = '']) => ({
    rows: rows.split(', ').map(Number),
    cases,
  }));

  test('names the rows of all cases, and no others', () => {
    expect(lines.flatMap(({ rows }) => rows).sort((a, b) => a - b)).toEqual(whole);
  });

  test('says which of them every adapter proves', () => {
    const said = lines.filter(({ cases }) => cases.includes('all')).flatMap(({ rows }) => rows);
    // Rows that share a line with a common one, and are proved with a provider only.
    const hosted = [33, 52, 66];
    expect(said.filter((row) => !hosted.includes(row)).sort((a, b) => a - b)).toEqual(common);
  });

  test('has the rows that an adapter must prove', () => {
    const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, n) => from + n);
    expect(whole).toEqual(expect.arrayContaining([1, 4, 5, 6, ...range(17, 23), ...range(28, 36), 59, 65]));
  });
});
