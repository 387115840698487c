/** `npm run bench -- charts`: the charts and tables of docs/performance.md, from the results in `bench/results/`. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../test/kit/build.js';
import { type Grown, growthTable } from './growth.js';
import type { Figure } from './kit/part.js';
import { median, short } from './kit/stats.js';
import { sideBySide, summary } from './table.js';

const FOLDER = join(root, 'docs/images');
const WIDTH = 720;
const LABELS = 190;
const BAR = 18;
const GAP = 6;
const TITLE = 34;
const COLOURS = { ours: '#2563eb', limit: '#64748b', peer: '#cbd5e1', text: '#0f172a', line: '#94a3b8' } as const;
const LINES = ['#2563eb', '#dc2626', '#059669', '#d97706', '#7c3aed', '#0891b2', '#be185d', '#65a30d'];

/** The bars of the table: the names of figures, and how the chart is called. */
const BARS: readonly { readonly file: string; readonly title: string; readonly figure: string }[] = [
  { file: 'fan-out', title: 'One notification to 1,000 listeners', figure: 'fan-out, 1,000 listeners' },
  { file: 'fan-out-many', title: 'One notification to 10,000 listeners', figure: 'fan-out, 10,000 listeners' },
  { file: 'burst', title: 'Ten notifications in a turn, each', figure: 'burst: ten objects in a turn' },
  { file: 'own', title: '10,000 connections, each its own object', figure: '10,000 connections, each its own object' },
  { file: 'accepting', title: 'Accepting a connection', figure: 'accepting a connection of 20 channels' },
  {
    file: 'memory',
    title: 'Memory of an idle connection',
    figure: 'memory of a connection, 20 channels drawn from 200',
  },
];

export async function drawCharts(): Promise<void> {
  mkdirSync(FOLDER, { recursive: true });
  const figures = read<{ figures: Figure[] }>('table')?.figures ?? [];
  for (const { file, title, figure } of BARS) {
    const rows = figures.filter(({ name }) => name === figure);
    if (rows.length > 0) write(`performance-${file}`, bars(title, rows));
  }
  const grown = read<{ grown: Grown[] }>('growth')?.grown;
  if (grown) write('performance-growth', lines('How cost grows', grown));
  tell({
    ...(figures.length > 0 && { reached: summary(figures), peers: sideBySide(figures) }),
    ...(grown && { growth: growthTable(grown) }),
  });
}

/** Puts tables into the guide, each between two comments with its name. */
function tell(tables: Readonly<Record<string, string>>): void {
  const file = join(root, 'docs/performance.md');
  let text = readFileSync(file, 'utf8');
  for (const [name, content] of Object.entries(tables)) {
    const [before, rest] = text.split(`<!-- table: ${name} -->`);
    const after = rest?.split('<!-- end -->').slice(1).join('<!-- end -->');
    if (after === undefined) throw new Error(`docs/performance.md: has no place for the table ${name}`);
    text = `${before}<!-- table: ${name} -->\n\n${content}\n\n<!-- end -->${after}`;
  }
  writeFileSync(file, text);
}

function read<T>(name: string): T | undefined {
  const file = join(root, 'bench/results', `${name}.json`);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as T) : undefined;
}

function write(name: string, svg: string): void {
  writeFileSync(join(FOLDER, `${name}.svg`), svg);
  console.log(`docs/images/${name}.svg`);
}

/** Ratios to the limit where there are any, else values. Shortest first: less is better in all of them. */
function bars(title: string, figures: readonly Figure[]): string {
  const rows = figures
    .map(({ of, unit, values, ratios }) => {
      const value = median(ratios ?? values);
      return {
        of,
        value,
        text: ratios ? `${short(value)} × (${short(median(values))} ${unit})` : `${short(value)} ${unit}`,
      };
    })
    .sort((a, b) => a.value - b.value);
  const unit = figures[0]?.ratios ? 'CPU, as a ratio to a bare socket; less is better' : 'less is better';
  const most = Math.max(...rows.map(({ value }) => value));
  const room = WIDTH - LABELS - 150;
  const drawn = rows.map(({ of, value, text }, n) => {
    const y = TITLE + n * (BAR + GAP);
    const fill = of.startsWith('notify-listen') ? COLOURS.ours : of === 'limit' ? COLOURS.limit : COLOURS.peer;
    const width = Math.max(1, (value / most) * room);
    return (
      label(LABELS - 8, y + 13, of === 'limit' ? 'limit: a bare socket' : of, 'end') +
      `<rect x="${LABELS}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" fill="${fill}"/>` +
      label(LABELS + width + 6, y + 13, text)
    );
  });
  return page(title, TITLE + rows.length * (BAR + GAP) + 8, `${heading(title, unit)}${drawn.join('')}`);
}

/** Each series over its own first value, so that all fit: flat is a horizontal line. Both scales are logarithmic. */
function lines(title: string, grown: readonly Grown[]): string {
  const [left, top, right, height] = [50, 50, WIDTH - 20, 300];
  const all = grown.flatMap(({ points }) => points);
  const sizes = all.map(({ n }) => Math.log10(n));
  const ratios = grown.flatMap(({ points }) => points.map(({ value }) => Math.log10(value / (points[0]?.value ?? 1))));
  const [low, high] = [Math.min(...ratios, -1), Math.max(...ratios, 1)];
  const x = (n: number): number => left + (Math.log10(n) / Math.max(...sizes)) * (right - left);
  const y = (ratio: number): number => top + ((high - Math.log10(ratio)) / (high - low)) * height;
  const grid = [0.01, 0.1, 1, 10, 100, 1_000]
    .filter((ratio) => Math.log10(ratio) >= low && Math.log10(ratio) <= high)
    .map(
      (ratio) =>
        `<line x1="${left}" x2="${right}" y1="${y(ratio)}" y2="${y(ratio)}" stroke="${COLOURS.line}" stroke-width="${ratio === 1 ? 1 : 0.4}"/>` +
        label(left - 6, y(ratio) + 4, `${ratio} ×`, 'end'),
    );
  const ticks = [1, 10, 100, 1_000, 10_000, 100_000]
    .filter((n) => Math.log10(n) <= Math.max(...sizes))
    .map((n) => label(x(n), top + height + 16, n.toLocaleString('en'), 'middle'));
  const drawn = grown.map(({ name, points, exponent }, n) => {
    const first = points[0]?.value ?? 1;
    const at = points.map((point) => `${x(point.n).toFixed(1)},${y(point.value / first).toFixed(1)}`);
    const colour = LINES[n % LINES.length];
    const legend = top + height + 40 + n * 18;
    return (
      `<polyline points="${at.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"${n >= LINES.length ? ' stroke-dasharray="4 3"' : ''}/>` +
      `<rect x="${left}" y="${legend - 9}" width="10" height="10" fill="${colour}"/>` +
      label(left + 16, legend, `${name}: exponent ${exponent.toFixed(2)}`)
    );
  });
  const below = top + height + 40 + grown.length * 18;
  const unit = 'cost over that of the first size, both scales logarithmic';
  return page(title, below, `${heading(title, unit)}${grid.join('')}${ticks.join('')}${drawn.join('')}`);
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

function label(x: number, y: number, text: string, anchor = 'start'): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${escaped(text)}</text>`;
}

function heading(title: string, unit: string): string {
  return `<text x="8" y="20" font-size="15" font-weight="600">${escaped(title)} <tspan font-size="12" font-weight="400">${escaped(unit)}</tspan></text>`;
}

/** White behind it: a page that shows it may be dark. */
function page(title: string, height: number, content: string): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${Math.ceil(height)}" width="${WIDTH}" font-family="system-ui, sans-serif" font-size="12" fill="${COLOURS.text}"><title>${escaped(title)}</title><rect width="100%" height="100%" fill="#fff"/>${content}</svg>\n`;
}
