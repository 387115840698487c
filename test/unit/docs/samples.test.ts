/** The samples in the guides are regions of files that are compiled (and, for data libraries, run): copied, never typed. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const BLOCK = /<!-- (test\/docs\/[\w./-]+)#([\w-]+) -->\n```tsx?\n([\s\S]*?)```(?=\n)/g;

/** The text between `#region name` and its `#endregion`, without shared indent, notes to the linter and local imports. */
function region(file: string, name: string): string {
  const lines = readFileSync(root + file, 'utf8').split('\n');
  const from = lines.findIndex((line) => line.trim() === `// #region ${name}`);
  const to = lines.findIndex((line, index) => index > from && line.trim() === '// #endregion');
  if (from < 0 || to < 0) throw new Error(`${file} has no region ${name}`);
  const inside = lines.slice(from + 1, to).filter((line) => !/biome-ignore|from '\.\//.test(line));
  const indent = Math.min(...inside.filter(Boolean).map((line) => line.length - line.trimStart().length));
  return inside.map((line) => `${line.slice(indent)}\n`).join('');
}

describe.each([
  ['docs/actions.md', 4],
  ['docs/data-libraries.md', 4],
  ['docs/server-rendering.md', 4],
  ['docs/deploying.md', 2],
  ['docs/postgres.md', 4],
  ['docs/background-jobs.md', 2],
] as const)('%s', (page, least) => {
  const text = readFileSync(root + page, 'utf8');
  // `UPDATE_SAMPLES=1` copies the regions into the pages.
  if (process.env.UPDATE_SAMPLES) {
    const copied = text.replace(BLOCK, (_, file: string, name: string) => {
      return `<!-- ${file}#${name} -->\n\`\`\`${file.split('.').at(-1)}\n${region(file, name)}\`\`\``;
    });
    writeFileSync(root + page, copied);
  }

  it('shows only samples that are compiled', () => {
    const current = readFileSync(root + page, 'utf8');
    const blocks = [...current.matchAll(BLOCK)];
    expect(blocks.length).toBeGreaterThanOrEqual(current.split('```tsx').length - 1);
    expect(blocks.length).toBeGreaterThanOrEqual(least);
    for (const [, file = '', name = '', shown] of blocks) expect(shown, `${file}#${name}`).toBe(region(file, name));
  });
});
