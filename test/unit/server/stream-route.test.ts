/** What `/stream` does while it waits for this node to catch up: DESIGN 6, "Grants", and "lag, not loss". */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Log } from '../../../adapters/contract.js';
import { epochOf, makePosition, type Position } from '../../../adapters/position.js';
import { createFaultyLog } from '../../../adapters/testing/index.js';
import { createNotifier } from '../../../server/index.js';
import { createMemoryLog } from '../../../server/log/memory.js';
import { handlerOf } from '../../../server/notifier.js';
import type { Notifier } from '../../../server/types.js';
import { settle } from '../../kit/entries.js';

const LIFE = 60_000;

let notifier: Notifier;
let faults: ReturnType<typeof createFaultyLog>['faults'];
/** Proofs that were asked for and wait to be answered, while `held`. */
let proofs: (() => void)[];
let asked: number;
let held: boolean;
let user: string;

beforeEach(async () => {
  vi.useFakeTimers();
  const made = createFaultyLog(() => createMemoryLog());
  faults = made.faults;
  proofs = [];
  asked = 0;
  held = false;
  user = 'ann';
  const log: Log = {
    ...made.log,
    tail: async (sink) => {
      const tail = await made.log.tail(sink);
      return {
        ...tail,
        async prove(ms) {
          asked += 1;
          if (held) await new Promise<void>((resolve) => proofs.push(resolve));
          return tail.prove(ms);
        },
      };
    },
  };
  notifier = createNotifier({
    user: () => user,
    canListen: { Order: { one: () => true } },
    log,
    grantLife: LIFE,
    env: { NOTIFY_LISTEN_SECRET: 'a-secret-that-is-long-enough' },
    logger: () => {},
    onError: () => {},
  });
  await notifier.position();
});
afterEach(async () => {
  await notifier.close();
  vi.useRealTimers();
});

// biome-ignore lint/suspicious/noExplicitAny: JSON of any answer; the assertions say what it must be
async function post(path: string, body: Record<string, unknown>): Promise<{ status: number; body: any }> {
  const answer = await handlerOf(notifier).handle({
    method: 'POST',
    path,
    query: new URLSearchParams(),
    header: (name) => (name === 'content-type' ? 'application/json' : undefined),
    body: async () => JSON.stringify({ protocol: 1, ...body }),
    onClose: () => {},
    raw: {},
  });
  if (!answer || !('body' in answer)) throw new Error('no answer with a body');
  return { status: answer.status, body: JSON.parse(answer.body) };
}

const grantFor = async (...ids: string[]): Promise<string> =>
  (await post('/auth', { objects: ids.map((id) => ({ entity: 'Order', id })) })).body.grant;
const once = (grant: string, channels: Record<string, Position | null>) =>
  post('/stream', { wait: 'once', grants: [grant], channels, own: null });
// biome-ignore lint/suspicious/noExplicitAny: see above
const events = ({ body }: { body: any }): string[] =>
  body.events.map(({ type, channels }: { type: string; channels?: string[] }) =>
    channels ? `${type} ${channels}` : type,
  );
const ahead = async (by: number): Promise<Position> => {
  const top = await notifier.position();
  return makePosition(epochOf(top), Number(top.split(':')[1]) + by);
};

describe('while a stream waits for this node to catch up', () => {
  test('a thousand positions ahead cost the engine one question, not a thousand', async () => {
    const ids = Array.from({ length: 500 }, (_, id) => String(id));
    const grant = await grantFor(...ids);
    const channels = Object.fromEntries(
      await Promise.all(ids.map(async (id, n) => [`Order/${id}`, await ahead(n + 1)] as const)),
    );
    asked = 0;
    const answer = await once(grant, channels);
    expect(asked).toBe(1);
    expect(answer.body.events.find(({ type }: { type: string }) => type === 'resync').channels).toHaveLength(500);
  });

  test('a position that the engine has reached is waited for, and what is only ahead of it is resynced', async () => {
    const grant = await grantFor('1', '2');
    const near = await ahead(1);
    const far = await ahead(9);
    const lag = post('/stream', {
      wait: 'once',
      grants: [grant],
      channels: { 'Order/1': near, 'Order/2': far },
      own: null,
    });
    await notifier.notify('updated', { entity: 'Order', id: 1 });
    expect(events(await lag)).toEqual(['hello', 'resync Order/2', 'ready']);
  });

  test('a grant that ends meanwhile is not taken', async () => {
    const grant = await grantFor('1');
    held = true;
    const answer = once(grant, { 'Order/1': await ahead(1) });
    await settle();
    await vi.advanceTimersByTimeAsync(LIFE);
    held = false;
    for (const proceed of proofs) proceed();
    expect(events(await answer)).toEqual(['hello', 'reauthorise Order/1', 'ready']);
  });

  test('row 35: a grant of an epoch that ends meanwhile is not taken', async () => {
    const grant = await grantFor('1');
    held = true;
    const answer = once(grant, { 'Order/1': await ahead(1) });
    await settle();
    await faults.loseEverything();
    held = false;
    for (const proceed of proofs) proceed();
    expect(events(await answer)).toEqual(['hello', 'reauthorise Order/1', 'ready']);
  });

  test('row 65: a grant that is revoked meanwhile is not taken, and a new one is, though the log is quiet', async () => {
    const grant = await grantFor('1');
    held = true;
    const answer = once(grant, { 'Order/1': await ahead(1) });
    await settle();
    await notifier.revoke('ann', { entity: 'Order', id: 1 });
    held = false;
    for (const proceed of proofs) proceed();
    expect(events(await answer)).toEqual(['hello', 'reauthorise Order/1', 'ready']);
    expect(events(await once(await grantFor('1'), { 'Order/1': null }))).toEqual(['hello', 'ready']);
  });

  test('a grant that was shown before is judged anew each time: its life, its epoch, its user, revocations', async () => {
    const shown = async (token: string): Promise<string[]> => events(await once(token, { 'Order/1': null }));
    const taken = ['hello', 'ready'];
    const refused = ['hello', 'reauthorise Order/1', 'ready'];
    const grant = await grantFor('1');
    for (let n = 0; n < 3; n++) expect(await shown(grant)).toEqual(taken);
    user = 'ben';
    expect(await shown(grant)).toEqual(refused);
    user = 'ann';
    expect(await shown(grant)).toEqual(taken);
    await notifier.revoke('ann', { entity: 'Order', id: 1 });
    expect(await shown(grant)).toEqual(refused);

    const later = await grantFor('1');
    expect(await shown(later)).toEqual(taken);
    await vi.advanceTimersByTimeAsync(LIFE);
    expect(await shown(later)).toEqual(refused);

    const last = await grantFor('1');
    expect(await shown(last)).toEqual(taken);
    await faults.loseEverything();
    expect(await shown(last)).toEqual(refused);
  });

  test('503 when it does not catch up in time, with the request to come back', async () => {
    const grant = await grantFor('1');
    faults.stall();
    await notifier.notify('updated', { entity: 'Order', id: 1 });
    expect(await once(grant, { 'Order/1': await ahead(1) })).toMatchObject({
      status: 503,
      body: { error: { code: 'unavailable' } },
    });
  });
});
