/** `notify` outside the web server, on behalf of a login session, and inside the application's own database transaction. */
import { describe, expect, test } from 'vitest';
import type { Log, LogEntry } from '../../../adapters/contract.js';
import { createNotifier, createPublisher, currentSession, type Publisher, withSession } from '../../../server/index.js';
import { createMemoryEngine, createMemoryLog, type MemoryEngine } from '../../../server/log/memory.js';
import { createSecrets } from '../../../server/secrets.js';
import { rememberRequest } from '../../../server/use/express.js';

const SECRET = 'a-secret-that-is-long-enough';
const env = { NOTIFY_LISTEN_SECRET: SECRET };
const order = { entity: 'Order', id: 42 } as const;
const hashOf = (session: string): string => createSecrets([SECRET], 'default').hashes('session', session)[0];

/** A log of another process, and what it was given. */
function worker(more: Partial<Log> = {}): {
  publisher: Publisher;
  engine: MemoryEngine;
  entries: () => Promise<LogEntry[]>;
} {
  const engine = createMemoryEngine();
  const publisher = createPublisher({ log: { ...createMemoryLog({ engine }), ...more }, env, logger: () => {} });
  const entries = async (): Promise<LogEntry[]> => {
    const seen: LogEntry[] = [];
    const sink = { reset: () => {}, failed: () => {} };
    await createMemoryLog({ engine }).tail({
      ...sink,
      entries: (batch) => seen.push(...batch.map(({ entry }) => entry)),
    });
    return seen;
  };
  return { publisher, engine, entries };
}

describe('a publisher', () => {
  test('appends what the web servers tail', async () => {
    const { publisher, entries } = worker();
    const { accepted, positions } = await publisher.notify('shipped', order, { notifier: 'nightly job' });
    await publisher.revoke('ann', order);
    expect({ accepted, positions: positions?.length }).toEqual({ accepted: true, positions: 1 });
    expect(await entries()).toMatchObject([
      { kind: 'notification', notification: { entity: 'Order', id: '42', action: 'shipped', notifier: 'nightly job' } },
      { kind: 'revoke', object: { entity: 'Order', id: '42' } },
    ]);
    await publisher.close();
  });

  test('holds what a transaction notifies, and drops it when that fails', async () => {
    const { publisher, entries } = worker();
    await publisher.transaction(() => void publisher.notify('a', order));
    await publisher
      .transaction(() => {
        void publisher.notify('b', order);
        throw new Error('rolled back');
      })
      .catch(() => {});
    expect(await entries()).toMatchObject([{ notification: { action: 'a' } }]);
    await publisher.close();
  });

  test('a log that nobody else hears is a mistake in the configuration', () => {
    expect(() => createPublisher({ env })).toThrow('NOTIFY_LISTEN_LOG must name a log that the web servers share');
    expect(() => createPublisher({ env: { ...env, NOTIFY_LISTEN_LOG: 'file:./here' } })).toThrow(
      'NOTIFY_LISTEN_LOG must name',
    );
  });
});

describe('row 8: a background job addresses the session that started it', () => {
  test('the id travels with the job to another process', async () => {
    const { publisher, entries } = worker();
    await withSession('s-1', async () => {
      await Promise.resolve();
      await publisher.notify('done', order, { to: 'caller' });
    });
    expect(await entries()).toMatchObject([{ to: { users: [], sessions: [hashOf('s-1')] } }]);
    await publisher.close();
  });

  test('a job of the same process inherits it, also after its request ended', async () => {
    const { log, seen } = recording();
    const notifier = createNotifier({
      user: () => 'ann',
      session: async (request: { session?: string }) => request.session,
      canListen: {},
      log,
      env,
      logger: () => {},
    });
    let finished: Promise<unknown> = Promise.resolve();
    let given: string | undefined;
    const request = { headers: {}, session: 's-2' };
    rememberRequest(notifier)(request as never, {} as never, () => {
      finished = new Promise(setImmediate).then(async () => {
        given = await currentSession();
        await notifier.notify('done', order, { to: 'caller' });
      });
    });
    await finished;
    await notifier.notify('done', order, { to: 'caller', request: { headers: {}, session: 's-3' } });
    expect(given).toBe('s-2');
    expect(seen).toMatchObject([{ to: { sessions: [hashOf('s-2')] } }, { to: { sessions: [hashOf('s-3')] } }]);
    await notifier.close({ within: 0 });
  });

  test('without a caller it is an error, and nobody is told instead', async () => {
    const { publisher, entries } = worker();
    expect(await currentSession()).toBeUndefined();
    await expect(publisher.notify('done', order, { to: 'caller' })).rejects.toThrow(
      'to: "caller" needs the login session',
    );
    await expect(withSession(undefined, () => publisher.notify('done', order, { to: 'caller' }))).rejects.toThrow(
      TypeError,
    );
    expect(await entries()).toEqual([]);
    await publisher.close();
  });
});

describe('a transaction of the application’s own database', () => {
  test('the log writes with it; nothing is appended beside it', async () => {
    const calls: { transaction: unknown; entries: readonly LogEntry[] }[] = [];
    const { publisher, entries } = worker({
      appendWithin: async (transaction, given) => void calls.push({ transaction, entries: given }),
    });
    const client = { query: () => {} };
    expect(await publisher.notify('a', order, { transaction: client })).toEqual({ accepted: true, held: true });
    await publisher.revoke('ann', order, { transaction: client });
    expect(calls).toMatchObject([
      { transaction: client, entries: [{ notification: { action: 'a' } }] },
      { transaction: client, entries: [{ kind: 'revoke' }] },
    ]);
    expect(await entries()).toEqual([]);
    await publisher.close();
  });

  test('what the database refuses reaches the caller, whose transaction has failed', async () => {
    const { publisher } = worker({ appendWithin: () => Promise.reject(new Error('current transaction is aborted')) });
    await expect(publisher.notify('a', order, { transaction: {} })).rejects.toThrow('aborted');
    await publisher.close();
  });

  test('on a log that is not in that database it is an error that names the ways out', async () => {
    const { publisher } = worker();
    await expect(publisher.notify('a', order, { transaction: {} })).rejects.toThrow(
      'NOTIFY_LISTEN_LOG=postgres://…, or wrap the transaction: notifier.transaction',
    );
    await publisher.close();
  });
});

function recording(): { log: Log; seen: LogEntry[] } {
  const log = createMemoryLog();
  const seen: LogEntry[] = [];
  return {
    seen,
    log: {
      ...log,
      append(entries) {
        seen.push(...entries);
        return log.append(entries);
      },
    },
  };
}
