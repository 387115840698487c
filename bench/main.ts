/**
 * `npm run bench -- <command>`: measures, prints tables in Markdown, and writes `bench/results/<command>.json`.
 *
 *     npm run bench -- logs        each log: appending, latency, the start of a node, memory
 *     npm run bench -- processes   1, 2 and 4 server processes on Redis: CPU for each delivery, evenness, memory
 *
 * `--rounds N` for more of them. `BENCH_CPU_PROF=<folder>` leaves a profile of each part there.
 */
import { parseArgs } from 'node:util';

const COMMANDS: Readonly<Record<string, () => Promise<(options: BenchOptions) => Promise<void>>>> = {
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
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string' }, connections: { type: 'string' }, rate: { type: 'string' } },
});
const [name = ''] = positionals;
const load = COMMANDS[name];
const numbers = Object.entries(values).map(([key, value]) => [key, Number(value)] as const);
if (!load || numbers.some(([, value]) => !(value > 0)))
  throw new Error(`npm run bench -- ${Object.keys(COMMANDS).join('|')} [--rounds N] [--connections N] [--rate N]`);
const bench = await load();
await bench(Object.fromEntries(numbers));
process.exit(0);
