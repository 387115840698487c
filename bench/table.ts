/** `npm run bench`: every figure, ours beside the limit and the peers, and what must be reached. */
import { LIMIT } from './kit/contenders.js';
import { NoCompiler } from './kit/crowd.js';
import type { Figure, Part } from './kit/part.js';
import { keep } from './kit/results.js';
import { median, overRounds, short, table } from './kit/stats.js';
import type { BenchOptions } from './main.js';

const ROUNDS = 5;

/** In the order in which they are measured and shown; each is loaded when its turn comes. */
const PARTS: Readonly<Record<string, () => Promise<Part>>> = {
  'fan-out': async () => (await import('./parts/fan-out.js')).fanOut,
  'fan-out-10000': async () => (await import('./parts/fan-out.js')).fanOutMany,
  accepting: async () => (await import('./parts/connections.js')).accepting,
  holding: async () => (await import('./parts/connections.js')).holding,
  stalled: async () => (await import('./parts/stalled.js')).stalling,
  notify: async () => (await import('./parts/notify.js')).benchNotify,
  replay: async () => (await import('./parts/replay.js')).benchReplay,
  size: async () => async () => (await import('./size.js')).sizes(),
  page: async () => (await import('./parts/page.js')).page,
};

/** What ours gives, and whether that is enough. */
const reached = ({ values, ratios, target = Number.NaN }: Figure): boolean => median(ratios ?? values) <= target;

export async function benchTable({ rounds = ROUNDS, only }: BenchOptions): Promise<void> {
  const figures: Figure[] = [];
  const began = performance.now();
  const missing: string[] = [];
  for (const [name, load] of Object.entries(PARTS)) {
    if (only !== undefined && only !== name) continue;
    const since = performance.now();
    try {
      figures.push(...(await (await load())({ rounds })));
    } catch (error) {
      // What a machine lacks is said, and the rest is measured.
      if (!(error instanceof NoCompiler)) throw error;
      missing.push(`${name}: ${error.message}`);
    }
    console.error(`${name}: ${short((performance.now() - since) / 1_000)} s`);
  }
  console.log(`\n## What must be reached (median of ${rounds} rounds, lowest–highest)\n`);
  console.log(summary(figures));
  console.log('\n## Side by side: the ratio to the limit of the same round, and (the value)\n');
  console.log(sideBySide(figures));
  for (const line of missing) console.log(`\nNot measured: ${line}`);
  console.log(`\n${short((performance.now() - began) / 60_000)} minutes`);
  keep(only ?? 'table', { rounds, figures });
}

/** What must be reached, and what is. */
export function summary(figures: readonly Figure[]): string {
  const ours = figures.filter(({ target }) => target !== undefined);
  return table(
    ['figure', 'must reach', 'is', 'reached', 'value'],
    ours.map((figure) => {
      const { name, of, unit, values, ratios, target } = figure;
      const whose = of === 'notify-listen' ? '' : ` (${codeIn(of.replace('notify-listen, ', ''))})`;
      const wanted = ratios ? `≤ ${target} ×` : `≤ ${target} ${unit}`;
      const value = `${short(median(values))} ${unit}`;
      return [`${name}${whose}`, wanted, overRounds(ratios ?? values), reached(figure) ? 'yes' : '**no**', value];
    }),
  );
}

/** Names of code as code: Markdown would take an element for one of its own. */
const codeIn = (text: string): string => (text.includes('Listen') ? `\`${text}\`` : text);

/** Ours beside the limit and the peers. */
export function sideBySide(figures: readonly Figure[]): string {
  const limits = new Set(figures.filter(({ of }) => of === LIMIT.name).map(({ name }) => name));
  const compared = figures.filter(({ name }) => limits.has(name));
  const servers = [...new Set(compared.map(({ of }) => of))];
  const names = [...new Set(compared.map(({ name }) => name))];
  return table(
    ['', ...servers],
    names.map((name) => [
      name,
      ...servers.map((server) => {
        const figure = compared.find((one) => one.name === name && one.of === server);
        if (!figure) return '';
        const value = `${short(median(figure.values))} ${figure.unit}`;
        return figure.ratios ? `${short(median(figure.ratios))} (${value})` : value;
      }),
    ]),
  );
}
