/** What a node holds in memory: measured for several windows of a log, and a formula that is checked against them. */
import type { RedisServer } from '../test/kit/engines/redis.js';
import { startChild } from './kit/child.js';
import { short, table } from './kit/stats.js';
import type { NodeAnswers } from './node.js';

/** Windows of the log: so many entries about so many objects. The first one is the ground, the next ones make the formula. */
const WINDOWS = [
  { entries: 0, objects: 0 },
  { entries: 10_000, objects: 10_000 },
  { entries: 40_000, objects: 40_000 },
  { entries: 40_000, objects: 1_000 },
  { entries: 40_000, objects: 25_000 },
  { entries: 100_000, objects: 25_000 },
] as const;

export interface MemoryFigure {
  readonly entries: number;
  readonly objects: number;
  readonly history: number;
  /** Of the node after garbage collection, the most that it had while it loaded, and of the engine's entries. Bytes. */
  readonly memory: number;
  readonly peak: number;
  readonly engine: number;
  readonly formula: number;
}

async function usedBy(redis: RedisServer): Promise<number> {
  const info = String(await redis.command('INFO', 'memory'));
  return Number(/^used_memory:(\d+)/m.exec(info)?.[1]);
}

export async function benchMemory(redis: RedisServer): Promise<MemoryFigure[]> {
  const measured: Omit<MemoryFigure, 'formula'>[] = [];
  for (const [index, { entries, objects }] of WINDOWS.entries()) {
    const place = { log: redis.url, namespace: `memory-${index}` };
    const before = await usedBy(redis);
    const writer = await startChild<NodeAnswers>('node.ts');
    await writer.call('open', { ...place, logOnly: true });
    if (entries > 0) await writer.call('fill', entries, objects);
    await writer.call('close');
    await writer.end();
    const engine = (await usedBy(redis)) - before;
    const node = await startChild<NodeAnswers>('node.ts');
    await node.call('open', place);
    const { memory, peak, history } = await node.call('figures', true);
    measured.push({ entries, objects, memory, peak, engine, history });
    await node.call('close');
    await node.end();
  }
  const [ground, some, many] = measured as [MemoryFigure, MemoryFigure, MemoryFigure];
  const each = (many.memory - some.memory) / (many.objects - some.objects);
  const figures = measured.map((one) => ({ ...one, formula: ground.memory + each * one.objects }));
  console.log(`\nMemory of a node that has loaded a window: ground + distinct objects × ${short(each)} bytes\n`);
  console.log(
    table(
      ['entries retained', 'distinct objects', 'kept', 'MB', 'formula MB', '÷', 'peak RSS MB', 'engine B per entry'],
      figures.map(({ entries, objects, history, memory, formula, peak, engine }) => [
        entries.toLocaleString('en'),
        objects.toLocaleString('en'),
        history.toLocaleString('en'),
        short(memory / 1e6),
        short(formula / 1e6),
        short(memory / formula),
        short(peak / 1e6),
        entries > 0 ? short(engine / entries) : '',
      ]),
    ),
  );
  return figures;
}
