/**
 * `npm run bench -- <command>`: measures, prints tables in Markdown, and writes `bench/results/<command>.json`.
 *
 *     npm run bench                every figure beside the limit and the peers; `--only fan-out` for one part
 *     npm run bench -- growth      how cost grows with connections, listeners, channels, history and notifications
 *     npm run bench -- size        what a page downloads
 *     npm run bench -- logs        each log: appending, latency, the start of a node, memory
 *     npm run bench -- processes   1, 2 and 4 server processes on Redis: CPU for each delivery, evenness, memory
 *     npm run bench -- charts      charts and tables of docs/performance.md, of the results that are there
 *
 * `--rounds N` for more of them. `BENCH_CPU_PROF=<folder>` leaves a profile of each part there.
 */
import { parseArgs } from 'node:util';

const COMMANDS: Readonly<Record<string, () => Promise<(options: BenchOptions) => Promise<void>>>> = {
  table: async () => (await import('./table.js')).benchTable,
  growth: async () => (await import('./growth.js')).benchGrowth,
  size: async () => (await import('./size.js')).benchSize,
  charts: async () => (await import('./charts.js')).drawCharts,
  soak: async () => (await import('./soak.js')).soak,
  logs: async () => (await import('./logs.js')).benchLogs,
  processes: async () => (await import('./processes.js')).benchProcesses,
};

export interface BenchOptions {
  /** How often each part is measured, in turn with the others. Default: what the command thinks. */
  readonly rounds?: number;
  /** Streams of `processes`. */
  readonly connections?: number;
  /** Notifications a second of `processes`. */
  readonly rate?: number;
  /** How long `soak` lasts. Default 30. */
  readonly minutes?: number;
  /** The one part of the table that is measured. Default: all. */
  readonly only?: string;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string' },
    connections: { type: 'string' },
    rate: { type: 'string' },
    minutes: { type: 'string' },
    only: { type: 'string' },
  },
});
const { only, ...counts } = values;
const [name = 'table'] = positionals;
const load = COMMANDS[name];
const numbers = Object.entries(counts).map(([key, value]) => [key, Number(value)] as const);
if (!load || numbers.some(([, value]) => !(value > 0)))
  throw new Error(
    `npm run bench -- ${Object.keys(COMMANDS).join('|')} [--only PART] [--rounds N] [--connections N] [--rate N] [--minutes N]`,
  );
const bench = await load();
await bench({ ...Object.fromEntries(numbers), ...(only !== undefined && { only }) });
process.exit();
