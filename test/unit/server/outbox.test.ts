/** What waits for the log: DESIGN promise 7 and "An engine that lost something says so". Rows 14 and 15. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Log, LogEntry } from '../../../adapters/contract.js';
import type { Position } from '../../../adapters/position.js';
import { createMemoryEngine, createMemoryLog } from '../../../server/log/memory.js';
import { BUFFER_LIMIT, createOutbox, type Outbox } from '../../../server/outbox.js';
import { at, note, settle } from '../../kit/entries.js';

const TIMEOUT = 2_000;
const LIFE = 60_000;

interface Engine {
  readonly log: Log;
  /** What it accepted, batch by batch. */
  readonly batches: LogEntry[][];
  /** What it was asked and has not answered, in `by hand` mode. */
  readonly asked: { entries: readonly LogEntry[]; accept(): void; fail(): void }[];
  mode: 'works' | 'fails' | 'throws' | 'by hand';
}

function engine(): Engine {
  let offset = 0;
  const accept = (entries: readonly LogEntry[]): Position[] => {
    made.batches.push([...entries]);
    return entries.map(() => at(++offset));
  };
  const made: Engine = {
    batches: [],
    asked: [],
    mode: 'works',
    log: {
      name: 'hand',
      capabilities: { shared: false, durable: false, dedupes: false },
      append(entries) {
        if (made.mode === 'throws') throw new Error('synchronously');
        if (made.mode === 'works') return Promise.resolve(accept(entries));
        if (made.mode === 'fails') return Promise.reject(new Error('down'));
        return new Promise((resolve, reject) => {
          made.asked.push({
            entries,
            accept: () => resolve(accept(entries)),
            fail: () => reject(new Error('down')),
          });
        });
      },
      tail: () => Promise.reject(new Error('not asked for')),
      lease: () => Promise.resolve(undefined),
      close: () => Promise.resolve(),
    },
  };
  return made;
}

/** Every object that the engine has news of: by a notification, or by a resync (`*`: of everything). */
function told({ batches }: Engine): Set<string | undefined> {
  return new Set(
    batches
      .flat()
      .flatMap((entry) =>
        entry.kind === 'notification'
          ? [entry.notification.id]
          : entry.kind === 'resync'
            ? (entry.objects?.map(({ id }) => String(id)) ?? ['*'])
            : [],
      ),
  );
}

describe('a log in this process', () => {
  const outboxOf = (log: Log, errors: unknown[] = []): Outbox =>
    createOutbox({
      log,
      timeout: TIMEOUT,
      life: LIFE,
      monotonic: () => 0,
      random: () => 0.5,
      onAnswer: () => {},
      onError: (error) => errors.push(error),
    });

  test('has the entries when the call returns', async () => {
    const engine = createMemoryEngine();
    const answer = outboxOf(createMemoryLog({ engine })).append([note(1), note(2)]);
    const { top } = engine.window();
    expect(await answer).toEqual({ accepted: true, positions: [expect.any(String), top] });
  });

  test('is asked as any other where something is put around it', async () => {
    const engine = createMemoryEngine();
    const asked: (readonly LogEntry[])[] = [];
    const around: Log = {
      ...createMemoryLog({ engine }),
      append(entries) {
        asked.push(entries);
        return Promise.reject(new Error('down'));
      },
    };
    const errors: unknown[] = [];
    const outbox = outboxOf(around, errors);
    expect(await outbox.append([note(1)])).toEqual({ accepted: false });
    expect([asked, errors, outbox.waiting()]).toEqual([[[note(1)]], [new Error('down')], 1]);
    const { floor, top } = engine.window();
    expect(top).toBe(floor);
    await outbox.close(0);
  });

  test('is asked as any other where its append is replaced later', async () => {
    const log = createMemoryLog();
    const outbox = outboxOf(log);
    const append = vi.spyOn(log, 'append');
    expect(await outbox.append([note(1)])).toMatchObject({ accepted: true });
    expect(append).toHaveBeenCalledOnce();
  });

  test('that is closed holds nothing back silently', async () => {
    const log = createMemoryLog();
    const errors: unknown[] = [];
    const outbox = outboxOf(log, errors);
    await log.close();
    expect(await outbox.append([note(1)])).toEqual({ accepted: false });
    expect([String(errors[0]), outbox.waiting()]).toEqual(['Error: log: the memory log is closed', 1]);
    await outbox.close(0);
  });
});

describe('the outbox', () => {
  let hand: Engine;
  let errors: unknown[];
  let answers: (readonly [number, boolean])[];
  let outbox: Outbox;

  beforeEach(() => {
    vi.useFakeTimers();
    hand = engine();
    errors = [];
    answers = [];
    outbox = createOutbox({
      log: hand.log,
      timeout: TIMEOUT,
      life: LIFE,
      monotonic: () => performance.now(),
      random: () => 0.5,
      onAnswer: (entries, accepted) => answers.push([entries, accepted]),
      onError: (error) => errors.push(error),
    });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('tells the positions when the log has acknowledged', async () => {
    expect(await outbox.append([note(1), note(2)])).toEqual({ accepted: true, positions: [at(1), at(2)] });
    expect(await outbox.append([])).toEqual({ accepted: true, positions: [] });
    expect(outbox.waiting()).toBe(0);
  });

  test.each(['fails', 'throws'] as const)(
    'row 14: a log that %s never rejects; the fault reaches onError once',
    async (mode) => {
      hand.mode = mode;
      expect(await outbox.append([note(1)])).toEqual({ accepted: false });
      expect(errors).toHaveLength(1);
      expect(outbox.waiting()).toBe(1);
      hand.mode = 'works';
      await vi.advanceTimersByTimeAsync(1_000);
      expect(hand.batches).toEqual([[note(1)]]);
      expect(outbox.waiting()).toBe(0);
    },
  );

  test('promise 7: a log that hangs is answered for in bounded time', async () => {
    hand.mode = 'by hand';
    const answer = outbox.append([note(1)]);
    await vi.advanceTimersByTimeAsync(TIMEOUT);
    expect(await answer).toEqual({ accepted: false });
    expect(String(errors[0])).toMatch('did not acknowledge within 2000 ms');
  });

  test('what comes later stands behind what waits', async () => {
    hand.mode = 'fails';
    await outbox.append([note(1)]);
    hand.mode = 'works';
    expect(await outbox.append([note(2)])).toEqual({ accepted: false });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(hand.batches.flat()).toEqual([note(1), note(2)]);
    expect(await outbox.append([note(3), note(4)])).toMatchObject({ accepted: true });
    expect(answers).toEqual([
      [1, false],
      [1, false],
      [2, true],
    ]);
  });

  test('of many that are asked in one turn, those that are not answered in time are told so, and only those', async () => {
    hand.mode = 'works';
    const answered = [outbox.append([note(1)]), outbox.append([note(2)])];
    hand.mode = 'by hand';
    const late = outbox.append([note(3)]);
    hand.mode = 'works';
    answered.push(outbox.append([note(4)]));
    expect(await Promise.all(answered)).toMatchObject([{ accepted: true }, { accepted: true }, { accepted: true }]);
    await vi.advanceTimersByTimeAsync(TIMEOUT);
    expect(await late).toEqual({ accepted: false });
    expect(errors).toHaveLength(1);
  });

  test('one try at a time: what arrives while a slow one is under way is neither lost nor overtaken', async () => {
    hand.mode = 'fails';
    await outbox.append([note('first')]);
    hand.mode = 'by hand';
    await vi.advanceTimersByTimeAsync(300);
    expect(hand.asked).toHaveLength(1);
    await outbox.append([note('second')]);
    await vi.advanceTimersByTimeAsync(1_500);
    expect(hand.asked).toHaveLength(1);
    await outbox.append([note('third')]);
    hand.asked[0]?.accept();
    await settle();
    hand.mode = 'works';
    await outbox.append([note('fourth')]);
    hand.asked[1]?.accept();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(hand.batches.flat()).toEqual([note('first'), note('second'), note('third'), note('fourth')]);
    expect(outbox.waiting()).toBe(0);
  });

  test('row 15: the buffer is bounded; what does not fit, even while a try is under way, becomes a resync', async () => {
    hand.mode = 'fails';
    await outbox.append([note('a'), note('b')]);
    hand.mode = 'by hand';
    await vi.advanceTimersByTimeAsync(300);
    await outbox.append(Array.from({ length: BUFFER_LIMIT }, (_, n) => note(n)));
    expect(outbox.waiting()).toBeLessThanOrEqual(BUFFER_LIMIT);
    hand.asked[0]?.fail();
    await settle();
    expect(outbox.waiting()).toBeLessThanOrEqual(BUFFER_LIMIT);
    hand.mode = 'works';
    await vi.advanceTimersByTimeAsync(30_000);
    expect(outbox.waiting()).toBe(0);
    const objects = told(hand);
    for (const id of ['a', 'b', '0', String(BUFFER_LIMIT - 1)]) expect(objects).toContain(id);
    expect(objects.size).toBe(BUFFER_LIMIT + 2);
    for (const batch of hand.batches) expect(batch.length).toBeLessThanOrEqual(501);
  });

  test('what is given up on while a resync is under way gets one of its own', async () => {
    hand.mode = 'fails';
    await outbox.append(Array.from({ length: BUFFER_LIMIT + 1 }, (_, n) => note(n)));
    hand.mode = 'by hand';
    await vi.advanceTimersByTimeAsync(300);
    expect(hand.asked[0]?.entries[0]).toEqual({ kind: 'resync', objects: [{ entity: 'Order', id: '0' }] });
    await outbox.append(Array.from({ length: 600 }, (_, n) => note(`late${n}`)));
    hand.mode = 'works';
    hand.asked[0]?.accept();
    await vi.advanceTimersByTimeAsync(30_000);
    expect(told(hand).size).toBe(BUFFER_LIMIT + 1 + 600);
  });

  test('after its life an entry is given up on: a resync for its object when the engine is back; revocations end by themselves', async () => {
    hand.mode = 'fails';
    await outbox.append([note(1), note(undefined), { kind: 'revoke', users: ['u'] }, note(1)]);
    await vi.advanceTimersByTimeAsync(LIFE + 20_000);
    expect(outbox.waiting()).toBe(0);
    hand.mode = 'works';
    await vi.advanceTimersByTimeAsync(20_000);
    expect(hand.batches).toEqual([[{ kind: 'resync', objects: [{ entity: 'Order', id: '1' }, { entity: 'Order' }] }]]);
  });

  test('beyond a thousand objects given up on, everybody refreshes', async () => {
    hand.mode = 'fails';
    await outbox.append(Array.from({ length: 1_001 }, (_, n) => note(n)));
    await vi.advanceTimersByTimeAsync(LIFE + 20_000);
    hand.mode = 'works';
    await vi.advanceTimersByTimeAsync(20_000);
    expect(hand.batches).toEqual([[{ kind: 'resync' }]]);
  });

  test('tries again with a growing wait of at most ten seconds, for ever', async () => {
    hand.mode = 'fails';
    await outbox.append([note(1)]);
    await vi.advanceTimersByTimeAsync(LIFE / 2);
    const tries = errors.length;
    expect(tries).toBeGreaterThan(5);
    expect(tries).toBeLessThan(15);
    await vi.advanceTimersByTimeAsync(10 * LIFE);
    expect(errors.length).toBeGreaterThan(tries + 10 * (LIFE / 10_000) - 10);
  });

  test('an entry that the log will never take does not plug the others: it is reported, and becomes a resync', async () => {
    const append = hand.log.append;
    const log: Log = {
      ...hand.log,
      append: (entries) =>
        entries.some((entry) => entry.kind === 'notification' && entry.notification.id === '2')
          ? Promise.reject(new RangeError('too large'))
          : append(entries),
    };
    const monotonic = (): number => performance.now();
    const onError = (error: unknown): unknown => errors.push(error);
    const picky = createOutbox({
      log,
      timeout: TIMEOUT,
      life: LIFE,
      monotonic,
      random: () => 0.5,
      onAnswer: () => {},
      onError,
    });
    expect(await picky.append([note(1), note(2), note(3)])).toEqual({ accepted: false });
    await picky.append([note(4)]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(picky.waiting()).toBe(0);
    expect(hand.batches.flat()).toEqual([
      note(1),
      { kind: 'resync', objects: [{ entity: 'Order', id: '2' }] },
      note(3),
      note(4),
    ]);
    expect(errors.map(String)).toContain('RangeError: too large');
    await picky.close(0);
  });

  test('close tries again and again: an engine that is restarted is back in a moment', async () => {
    hand.mode = 'fails';
    await outbox.append([note(1)]);
    const closing = outbox.close(2_000);
    await vi.advanceTimersByTimeAsync(900);
    hand.mode = 'works';
    await vi.advanceTimersByTimeAsync(300);
    await closing;
    expect(hand.batches).toEqual([[note(1)]]);
  });

  test('close brings out what waits, and says what it could not', async () => {
    hand.mode = 'fails';
    await outbox.append([note(1)]);
    hand.mode = 'works';
    await outbox.close(500);
    expect(hand.batches).toEqual([[note(1)]]);
    expect(errors).toHaveLength(1);

    const other = engine();
    const second = createOutbox({
      log: other.log,
      timeout: TIMEOUT,
      life: LIFE,
      monotonic: () => performance.now(),
      random: () => 0.5,
      onAnswer: () => {},
      onError: (error) => errors.push(error),
    });
    other.mode = 'fails';
    await second.append([note(1)]);
    other.mode = 'by hand';
    errors.length = 0;
    const closing = second.close(500);
    await vi.advanceTimersByTimeAsync(500);
    await closing;
    expect(errors.map(String)).toEqual([
      'Error: 1 notifications could not be brought into the log before it was closed.',
    ]);
    expect(vi.getTimerCount()).toBeLessThanOrEqual(1); // the limit of the append that hangs
  });

  test('close waits for a try that is under way, and for what came behind it', async () => {
    hand.mode = 'fails';
    await outbox.append([note(1)]);
    hand.mode = 'by hand';
    await vi.advanceTimersByTimeAsync(300);
    await outbox.append([note(2)]);
    const closing = outbox.close(5_000);
    hand.mode = 'works';
    hand.asked[0]?.accept();
    await closing;
    expect(hand.batches.flat()).toEqual([note(1), note(2)]);
  });

  test('promise 7: after close a notification is reported, not thrown at the business call', async () => {
    await outbox.close(500);
    expect(await outbox.append([note(1)])).toEqual({ accepted: false });
    expect(String(errors[0])).toMatch('close()');
  });
});
