/** The public face: what `notify`, `revoke`, `transaction`, `metrics` and `close` promise to the business code. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { isAfter, type Position, parsePosition } from '../../../adapters/position.js';
import { CAUSE_HEADER } from '../../../adapters/protocol.js';
import { createFaultyLog, type LogFaults } from '../../../adapters/testing/index.js';
import { withRequest } from '../../../server/context.js';
import { createNotifier } from '../../../server/index.js';
import { createMemoryLog } from '../../../server/log/memory.js';
import { handlerOf } from '../../../server/notifier.js';
import { causeOf } from '../../../server/secrets.js';
import type { LogLine, Notifier, NotifierOptions } from '../../../server/types.js';
import { settle } from '../../kit/entries.js';
import { type FakeSink, fakeSink } from '../../kit/fake-sink.js';

interface Server {
  readonly notifier: Notifier;
  readonly faults: LogFaults;
  readonly errors: unknown[];
  readonly lines: LogLine[];
}

const running = new Set<Notifier>();

function serve(options: Partial<NotifierOptions> = {}): Server {
  const { log, faults } = createFaultyLog(() => createMemoryLog());
  const errors: unknown[] = [];
  const lines: LogLine[] = [];
  const notifier = createNotifier({
    user: (request) => request.user,
    session: (request) => request.session,
    canListen: { Order: { one: () => true, all: () => true } },
    log,
    env: { NOTIFY_LISTEN_SECRET: 'a-secret-that-is-long-enough' },
    onError: (error) => errors.push(error),
    logger: (line) => lines.push(line),
    ...options,
  });
  running.add(notifier);
  return { notifier, faults, errors, lines };
}

/** A standard `EventSource` of this user. */
async function listen(notifier: Notifier, objects: readonly string[], user = 'ann', session = ''): Promise<FakeSink> {
  const sink = fakeSink();
  const answer = await handlerOf(notifier).handle({
    method: 'GET',
    path: '/stream',
    query: new URLSearchParams(objects.map((object) => ['object', object])),
    header: () => undefined,
    body: async () => '',
    onClose: () => {},
    raw: { user, session },
  });
  if (!answer || !('stream' in answer)) throw new Error(`no stream: ${JSON.stringify(answer)}`);
  answer.stream(sink);
  await settle();
  sink.take();
  return sink;
}

/** What reached the page since the last look: `42 shipped`, and other events by their type. */
async function heard(sink: FakeSink): Promise<string[]> {
  await settle();
  vi.advanceTimersByTime(0); // the end of the tick
  return sink.take().map(({ type, data }) => (type === 'notification' ? `${data.id ?? '*'} ${data.action}` : type));
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(async () => {
  for (const notifier of running) {
    const closing = notifier.close();
    await vi.advanceTimersByTimeAsync(5_000);
    await closing;
  }
  running.clear();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

describe('notify', () => {
  test('resolves with a position for each object once the log has it, and the page hears of it', async () => {
    const { notifier } = serve();
    const page = await listen(notifier, ['Order/1', 'Order/2']);
    const result = await notifier.notify('shipped', [
      { entity: 'Order', id: 1 },
      { entity: 'Order', id: '2' },
    ]);
    expect(result).toEqual({ accepted: true, positions: [expect.any(String), expect.any(String)] });
    const [first, second] = result.positions as [Position, Position];
    expect(parsePosition(first)).toBeDefined();
    expect(isAfter(second, first)).toBe(true);
    expect(await notifier.position()).toBe(second);
    expect(await heard(page)).toEqual(['1 shipped', '2 shipped']);
    expect(await notifier.notify('shipped', [])).toEqual({ accepted: true, positions: [] });
  });

  test('a server that renders does not hang on `position()` while the log cannot be reached', async () => {
    const { log, faults } = createFaultyLog(() => createMemoryLog());
    faults.tail = 'fails';
    const { notifier } = serve({ log, notifyTimeout: 20 });
    const asked = expect(notifier.position()).rejects.toThrow('has not been reached');
    await vi.advanceTimersByTimeAsync(20);
    await asked;
  });

  test('a programmer’s error throws, naming the field, before anything of the call is sent', async () => {
    const { notifier } = serve();
    const page = await listen(notifier, ['Order/1']);
    await expect(notifier.notify('shipped', [{ entity: 'Order', id: 1 }, { entity: '' }])).rejects.toThrow(
      /object\.entity/,
    );
    expect(await heard(page)).toEqual([]);
    expect(notifier.metrics().notified).toBe(0);
  });

  test('row 14: a dead log never breaks the business call; the fault reaches onError', async () => {
    const { notifier, faults, errors } = serve();
    const page = await listen(notifier, ['Order/1']);
    faults.append = 'fails';
    expect(await notifier.notify('shipped', { entity: 'Order', id: 1 })).toEqual({ accepted: false });
    expect(errors).toHaveLength(1);
    expect(notifier.metrics().waiting).toBe(1);
    faults.append = 'works';
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await heard(page)).toEqual(['1 shipped']);
    expect(notifier.metrics().waiting).toBe(0);
  });

  test('promise 7: a log that hangs is answered for within notifyTimeout', async () => {
    const { notifier, faults } = serve({ notifyTimeout: 700 });
    faults.append = 'hangs';
    const result = notifier.notify('shipped', { entity: 'Order', id: 1 });
    await vi.advanceTimersByTimeAsync(700);
    expect(await result).toEqual({ accepted: false });
    faults.append = 'works';
  });

  test.each([
    [
      'throws',
      () => {
        throw new Error('in onError');
      },
    ],
    ['rejects', () => Promise.reject(new Error('in onError'))],
  ])('promise 7: an onError that %s breaks nothing, and is logged', async (_, onError) => {
    const { notifier, faults, lines } = serve({ onError });
    faults.append = 'fails';
    expect(await notifier.notify('shipped', { entity: 'Order', id: 1 })).toEqual({ accepted: false });
    await settle();
    expect(lines.find(({ level }) => level === 'error')?.message).toBe('onError threw');
    faults.append = 'works';
  });

  test('promise 7: neither does a logger that throws', async () => {
    const told = vi.spyOn(console, 'error').mockImplementation(() => {});
    const { notifier } = serve({
      logger: () => {
        throw new Error('in logger');
      },
    });
    expect(await notifier.notify('shipped', { entity: 'Order', id: 1 })).toMatchObject({ accepted: true });
    expect(told).toHaveBeenCalled();
    told.mockRestore();
  });

  test('row 6: the cause is that of the request that is being handled, or of the one that is named', async () => {
    const { notifier } = serve();
    const page = await listen(notifier, ['Order/1']);
    const causes = async (): Promise<unknown[]> => {
      await heard(page);
      return page.events().flatMap(({ type, data }) => (type === 'notification' ? [data.cause] : []));
    };
    const secret = 'the-secret-of-a-request';
    const order = { entity: 'Order', id: 1 };
    await withRequest(causeOf(secret), undefined, () => notifier.notify('a', order));
    await notifier.notify('b', order, { request: { headers: { [CAUSE_HEADER]: secret } } });
    await notifier.notify('c', order, {
      request: new Request('http://localhost', { headers: { [CAUSE_HEADER]: secret } }),
    });
    await notifier.notify('d', order);
    await withRequest(causeOf(secret), undefined, () => notifier.notify('e', order, { request: { headers: {} } }));
    expect(await causes()).toEqual([causeOf(secret), causeOf(secret), causeOf(secret), undefined, undefined]);
  });
});

describe('rows 9, 10: commit first', () => {
  const order = (id: number) => ({ entity: 'Order', id });

  test('nothing is sent before the end of the transaction, then all of it, merged', async () => {
    const { notifier } = serve();
    const page = await listen(notifier, ['Order/1', 'Order/2']);
    const result = await notifier.transaction(async () => {
      for (let n = 0; n < 1_000; n++)
        expect(await notifier.notify('updated', order(1))).toEqual({ accepted: true, held: true });
      await notifier.notify('updated', order(2));
      expect(await heard(page)).toEqual([]);
      return 'committed';
    });
    expect(result).toBe('committed');
    expect(await heard(page)).toEqual(['1 updated', '2 updated']);
    expect(notifier.metrics().notified).toBe(2); // row 11
  });

  test('a rollback sends nothing; `immediate: true` arrives all the same', async () => {
    const { notifier } = serve();
    const page = await listen(notifier, ['Order/1']);
    const rollback = notifier.transaction(async () => {
      await notifier.notify('updated', order(1));
      expect(await notifier.notify('tried', order(1), { immediate: true })).toMatchObject({
        positions: [expect.any(String)],
      });
      throw new Error('rolled back');
    });
    await expect(rollback).rejects.toThrow('rolled back');
    expect(() => notifier.transaction(() => Promise.resolve())).not.toThrow();
    await expect(
      notifier.transaction(() => {
        void notifier.notify('updated', order(1));
        throw new Error('at once');
      }),
    ).rejects.toThrow('at once');
    expect(await heard(page)).toEqual(['1 tried']);
  });

  test('an inner transaction joins the outer one; when it rejects only its own is dropped', async () => {
    const { notifier } = serve();
    const page = await listen(notifier, ['Order/1', 'Order/2', 'Order/3']);
    await notifier.transaction(async () => {
      await notifier.notify('outer', order(1));
      await notifier.transaction(() => notifier.notify('inner', order(2)));
      await notifier
        .transaction(async () => {
          await notifier.notify('lost', order(3));
          throw new Error('savepoint');
        })
        .catch(() => {});
      expect(await heard(page)).toEqual([]);
    });
    expect(await heard(page)).toEqual(['1 outer', '2 inner']);
    await notifier
      .transaction(async () => {
        await notifier.transaction(() => notifier.notify('inner', order(2)));
        throw new Error('the outer one');
      })
      .catch(() => {});
    expect(await heard(page)).toEqual([]);
  });

  test('concurrent requests do not mix, and neither do two notifiers', async () => {
    const [one, other] = [serve(), serve()];
    const page = await listen(one.notifier, ['Order/1', 'Order/2', 'Order/3']);
    let finish: (() => void) | undefined;
    const slow = one.notifier.transaction(async () => {
      await one.notifier.notify('slow', order(1));
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
    });
    await one.notifier.transaction(() => one.notifier.notify('quick', order(2)));
    await one.notifier.notify('none', order(3));
    await other.notifier.transaction(() => one.notifier.notify('other', order(3)));
    expect(await heard(page)).toEqual(['2 quick', '3 none', '3 other']);
    finish?.();
    await slow;
    expect(await heard(page)).toEqual(['1 slow']);
  });

  test('what is notified after the end by work that was not awaited leaves at once', async () => {
    const { notifier } = serve();
    const page = await listen(notifier, ['Order/1']);
    let finish: () => void = () => {};
    let later: Promise<unknown> = Promise.resolve();
    await notifier.transaction(async () => {
      const work = new Promise<void>((resolve) => {
        finish = resolve;
      });
      later = work.then(() => notifier.notify('late', order(1)));
    });
    expect(await heard(page)).toEqual([]);
    finish();
    expect(await later).toMatchObject({ positions: [expect.any(String)] });
    expect(await heard(page)).toEqual(['1 late']);
  });

  test('promise 7: a log that is away at the end does not undo what was committed', async () => {
    const { notifier, faults } = serve();
    faults.append = 'fails';
    expect(
      await notifier.transaction(async () => {
        await notifier.notify('updated', order(1));
        return 'committed';
      }),
    ).toBe('committed');
    faults.append = 'works';
  });

  test('a revocation waits for the commit too: before it, the right would be granted anew', async () => {
    const { notifier } = serve();
    const page = await listen(notifier, ['Order/1']);
    await notifier.transaction(async () => {
      expect(await notifier.revoke('ann', order(1))).toEqual({ accepted: true, held: true });
      expect(await heard(page)).toEqual([]);
    });
    expect(await heard(page)).toEqual(['goodbye']);
    const again = await listen(notifier, ['Order/1']);
    await notifier
      .transaction(async () => {
        await notifier.revoke('ann', order(1));
        throw new Error('rolled back');
      })
      .catch(() => {});
    expect(await heard(again)).toEqual([]);
  });
});

describe('revoke', () => {
  test('row 65: acts on its own node at once, whatever becomes of the log', async () => {
    const { notifier, faults } = serve();
    const page = await listen(notifier, ['Order/1']);
    const other = await listen(notifier, ['Order/1'], 'ben');
    faults.append = 'hangs';
    const revoking = notifier.revoke({ id: 'ann' }, { entity: 'Order', id: 1 });
    expect(page.take().map(({ type }) => type)).toEqual(['goodbye']);
    expect(other.take()).toEqual([]);
    faults.append = 'works';
    expect(await revoking).toMatchObject({ accepted: true });
  });
});

describe('close', () => {
  test('row 58: says goodbye once, is idempotent, and answers no new stream as if it were alive', async () => {
    const { notifier } = serve();
    const page = await listen(notifier, ['Order/1']);
    const closing = [notifier.close({ within: 1_234 }), notifier.close()];
    await Promise.all(closing);
    expect(page.take().map(({ type, data }) => [type, data.within])).toEqual([['goodbye', 1_234]]);
    expect(page.ended).toBe('ended');
    await expect(listen(notifier, ['Order/1'])).rejects.toThrow(/503/);
  });

  test('what waits for the log is brought out first', async () => {
    const { notifier, faults } = serve();
    const page = await listen(notifier, ['Order/1']);
    faults.append = 'fails';
    await notifier.notify('shipped', { entity: 'Order', id: 1 });
    faults.append = 'works';
    await notifier.close();
    expect(await heard(page)).toEqual(['1 shipped', 'goodbye']);
  });

  test('promise 7: a transaction that ends after it keeps its result; the loss is reported', async () => {
    const { notifier, errors } = serve();
    const result = await notifier.transaction(async () => {
      await notifier.notify('shipped', { entity: 'Order', id: 1 });
      await notifier.close();
      return 'committed';
    });
    expect(result).toBe('committed');
    expect(String(errors[0])).toMatch('after close()');
  });

  test('a log of the application is the application’s to close', async () => {
    const log = createMemoryLog();
    const { notifier } = serve({ log });
    await notifier.position();
    await notifier.close();
    expect(await log.append([])).toEqual([]);
  });
});

describe('what an operator sees', () => {
  test('metrics count what is there', async () => {
    const { notifier, faults } = serve();
    const page = await listen(notifier, ['Order/1', 'Order'], 'ann', 's1');
    await listen(notifier, ['Order'], 'ben');
    await notifier.notify('shipped', { entity: 'Order', id: 1 });
    await heard(page);
    expect(notifier.metrics()).toEqual({
      connections: 2,
      nodes: 1,
      everywhere: 2,
      channels: 6, // Order/1, Order/*, Order, two users, a session
      users: 2,
      history: 2,
      notified: 1,
      delivered: 2,
      conflated: 0,
      stalled: 0,
      resyncs: 0,
      refused: 0,
      waiting: 0,
      degraded: false,
    });
    faults.prove = 'fails';
    faults.tail = 'fails';
    await vi.advanceTimersByTimeAsync(15_000);
    expect(notifier.metrics().degraded).toBe(true);
  });

  test('row 73: the effective settings are logged once, at the start, without a secret', async () => {
    const { notifier, lines } = serve({ heartbeat: 5_000, limits: { bodyBytes: 1_000 } });
    await listen(notifier, ['Order/1']);
    const starts = lines.filter(({ message }) => message === 'notify-listen starts');
    expect(starts).toEqual([
      {
        level: 'info',
        message: 'notify-listen starts',
        provider: 'sse',
        namespace: 'default',
        log: 'memory:',
        retention: 420_000,
        production: false,
        secrets: 1,
        heartbeat: 5_000,
        grantLife: 300_000,
        historyCap: 100_000,
        limits: expect.objectContaining({ bodyBytes: 1_000, connectionsPerUser: 200 }),
      },
    ]);
    expect(JSON.stringify(lines)).not.toContain('a-secret');
  });

  test('while secrets are changed a page is told all hashes of its user, and only then', async () => {
    const told = async (secrets: string) => {
      const { notifier } = serve({ env: { NOTIFY_LISTEN_SECRET: secrets } });
      const answer = await handlerOf(notifier).handle({
        method: 'GET',
        path: '/config',
        query: new URLSearchParams(),
        header: () => undefined,
        body: async () => '',
        onClose: () => {},
        raw: { user: 'ann' },
      });
      if (!answer || !('body' in answer)) throw new Error('no answer');
      return JSON.parse(answer.body) as { user: string; aliases?: string[] };
    };
    const [before, during, after] = [
      await told('the-old-secret-of-all'),
      await told('the-new-secret-of-all,the-old-secret-of-all'),
      await told('the-new-secret-of-all'),
    ];
    expect(before).not.toHaveProperty('aliases');
    expect(during).toMatchObject({ user: after.user, aliases: [before.user] });
  });

  test('row 74: no line of the log, at any level, carries anything personal', async () => {
    const { notifier, lines, faults } = serve();
    await listen(notifier, ['Order/secret-order'], 'ann@example.org', 'session-of-ann');
    const order = { entity: 'Order', id: 'secret-order' };
    await notifier.notify('shipped', order, {
      notifier: 'Ann Smith',
      to: { users: ['ann@example.org'], sessions: ['session-of-ann'] },
      except: { users: ['ben@example.org'] },
      detail: { text: 'private words' },
    });
    await notifier.revoke('ann@example.org', order);
    await faults.loseEverything();
    await vi.advanceTimersByTimeAsync(60_000);
    await notifier.close();
    expect(JSON.stringify(lines)).not.toMatch(/ann@|smith|ben@|session-of|private|secret-order/i);
    expect(lines.filter(({ level }) => level !== 'debug').map(({ level, message }) => `${level} ${message}`)).toEqual([
      'info notify-listen starts',
      'warn the log is not continuous: every listener refreshes once',
    ]);
  });
});
