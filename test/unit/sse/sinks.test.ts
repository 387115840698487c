/** Where frames go that do not go to a socket: the collected answer of a poll, and a web stream. */
import { describe, expect, test } from 'vitest';
import { frameEvent } from '../../../adapters/sse/framing.js';
import { collectEvents, webSink } from '../../../adapters/sse/server.js';

const frame = (within: number) => frameEvent({ type: 'goodbye', within });
const events = async (answer: Promise<string>): Promise<unknown[]> => JSON.parse(await answer).events;

describe('a poll', () => {
  test('collects what comes before it is settled, and ends at the first news after', async () => {
    let closed = 0;
    const { sink, answer, settle } = collectEvents();
    sink.watch({ drained: () => {}, closed: () => closed++ });
    sink.write(frame(1));
    settle();
    expect(closed).toBe(0);
    sink.write(frame(2));
    sink.write(frame(3));
    expect(await events(answer)).toEqual([
      { type: 'goodbye', within: 1 },
      { type: 'goodbye', within: 2 },
    ]);
    expect(closed).toBe(1);
  });

  test.each(['finish', 'end', 'destroy'] as const)('%s answers at once, and is told once', async (how) => {
    let closed = 0;
    const { sink, answer, finish } = collectEvents();
    sink.watch({ drained: () => {}, closed: () => closed++ });
    for (const run of [how === 'finish' ? finish : sink[how], finish, sink.end]) run();
    expect(await events(answer)).toEqual([]);
    expect(closed).toBe(1);
  });
});

describe('a web stream', () => {
  test('hands frames on, asks for a pause when nobody reads, and says when it drains', async () => {
    const { sink, body } = webSink();
    const told: string[] = [];
    sink.watch({ drained: () => told.push('drained'), closed: () => told.push('closed') });
    const reader = body.getReader();
    expect(sink.write(frame(1))).toBe(true);
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe('event: goodbye\ndata: {"within":1}\n\n');
    let writes = 0;
    while (sink.write(frame(writes)) && writes < 10_000) writes += 1;
    expect(writes).toBeLessThan(10_000);
    expect(told).toEqual([]);
    while (told.length === 0) await reader.read();
    expect(told).toEqual(['drained']);
    sink.end();
    while (!(await reader.read()).done);
    expect(told).toEqual(['drained', 'closed']);
    expect(sink.write(frame(9))).toBe(true);
  });

  test('a reader that leaves closes it; a destroyed one fails at the reader', async () => {
    const told: string[] = [];
    const left = webSink();
    left.sink.watch({ drained: () => {}, closed: () => told.push('left') });
    await left.body.cancel();
    left.sink.end();
    const cut = webSink();
    cut.sink.watch({ drained: () => {}, closed: () => told.push('cut') });
    cut.sink.destroy();
    await expect(cut.body.getReader().read()).rejects.toThrow('did not read');
    expect(told).toEqual(['left', 'cut']);
  });
});
