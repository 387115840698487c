/** The NATS log without a server: its URL, its places, its messages, and how it is made. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { comparePositions, isPosition, type Position } from '../../../adapters/position.js';
import { segmentsOf } from '../../../server/log/nats/append.js';
import { placeOfDelivery } from '../../../server/log/nats/bulk.js';
import { createHints } from '../../../server/log/nats/hints.js';
import type { Session } from '../../../server/log/nats/link.js';
import { namesOf } from '../../../server/log/nats/names.js';
import { endOf, MOST_IN_A_MESSAGE, nextAfter, placeOf } from '../../../server/log/nats/places.js';
import { read } from '../../../server/log/nats/read.js';
import { readNatsUrl } from '../../../server/log/nats/url.js';
import { createNatsLog, mistakesInNatsUrl } from '../../../server/log/nats.js';
import { note } from '../../kit/entries.js';

describe('the URL', () => {
  test('names servers, login and settings', () => {
    expect(readNatsUrl('nats://localhost')).toEqual({
      servers: [{ host: 'localhost', port: 4222 }],
      tls: false,
      durable: false,
    });
    expect(readNatsUrl('tls://app:p%40ss%3Aw@a:1,[::1]:2,10.0.0.1/?replicas=3&durable=true&creds=/c&ca=/a')).toEqual({
      servers: [
        { host: 'a', port: 1 },
        { host: '::1', port: 2 },
        { host: '10.0.0.1', port: 4222 },
      ],
      tls: true,
      user: 'app',
      password: 'p@ss:w',
      replicas: 3,
      durable: true,
      creds: '/c',
      ca: '/a',
    });
    expect(readNatsUrl('NATS://t0ken@a:4222?durable=false')).toMatchObject({ token: 't0ken', durable: false });
  });

  test.each([
    ['redis://a', /nats:\/\/ or tls/],
    ['nats:a', /nats:\/\/ or tls/],
    ['nats://', /host/],
    ['nats://a,,b', /host/],
    ['nats://a:0', /host/],
    ['nats://a:70000', /host/],
    ['nats://a:b:c', /host/],
    ['nats://a/path', /path/],
    ['nats://a?replicas=0', /replicas/],
    ['nats://a?replicas=1.5', /replicas/],
    ['nats://a?replicas=', /replicas/],
    ['nats://a?durable=yes', /durable/],
    ['nats://a?durable=true&durable=false', /twice/],
    ['nats://a?repicas=3', /unknown.*replicas/],
    ['nats://user:50%@a', /percent/],
  ])('%s is refused', (url, sentence) => {
    expect(mistakesInNatsUrl(url)).toEqual([expect.stringMatching(sentence)]);
    expect(() => readNatsUrl(url)).toThrow(sentence);
  });

  test('no mistake tells what may be secret; all are told', () => {
    const mistakes = mistakesInNatsUrl('nats://user:s3cret%@a:0/s3cret?s3cret=1&durable=s3cret&replicas=s3cret');
    expect(mistakes).toHaveLength(6);
    expect(mistakes.join()).not.toContain('s3cret');
    expect(mistakesInNatsUrl('nats://a,b?replicas=3')).toEqual([]);
  });
});

describe('places', () => {
  test('rise within a message and from one to the next, and lead back to what comes after them', () => {
    const messages = [
      [1, 1],
      [2, 3],
      [3, MOST_IN_A_MESSAGE],
      [4, 1],
    ] as const;
    const all = messages.flatMap(([seq, count]) =>
      Array.from({ length: count }, (_, index) => placeOf('e', seq, index, count)),
    );
    for (const [index, position] of all.entries()) {
      const before = all[index - 1];
      if (!isPosition(position)) expect.fail(`${position} is none`);
      if (before && (comparePositions(position, before) ?? 0) <= 0) expect.fail(`${position} is not after ${before}`);
    }
    expect(endOf('e', 0)).toBe('e:0');
    expect(endOf('e', 7)).toBe('e:70000');
    expect(placeOf('e', 7, 2, 3)).toBe(endOf('e', 7));
    expect(nextAfter(endOf('e', 7))).toBe(8);
    expect(nextAfter(placeOf('e', 7, 1, 3))).toBe(7);
    expect(nextAfter('e:0' as Position)).toBe(1);
    // Beyond what a number holds exactly.
    expect(endOf('e', 2 ** 53 - 1)).toBe('e:90071992547409910000');
  });
});

test('keys that differ in a lone surrogate have subjects of their own', () => {
  const { key } = namesOf('shop');
  expect(new Set(['\ud800', '\ud801', '\ufffd'].map(key)).size).toBe(3);
});

test('hints: a connection that ended before its wire knows is told, and ends no process', async () => {
  const ended = new Error('closed');
  const wire = {
    over: false,
    inbox: () => {
      throw ended;
    },
  };
  const session = { wire, epoch: '', checkedAt: 0, newest: 0, perMessage: 1 } as unknown as Session;
  const refused = await new Promise((resolve) => {
    const hints = createHints(
      {
        session: async () => session,
        again: async () => {},
        drop: () => {},
        onReady: () => () => {},
      },
      'stream',
      () => {},
      resolve,
    );
    onTestFinished(hints.close);
  });
  expect(refused).toBe(ended);
});

test('a log of joined appends is read in slices that fetch little more than they give, whatever the sizes', async () => {
  const sizes = [...Array<number>(60).fill(10), ...Array<number>(60).fill(1), ...Array<number>(30).fill(30)];
  const total = sizes.reduce((sum, size) => sum + size, 0);
  let fetched = 0;
  const wire = {
    info: { max_payload: 1e6 },
    async request(_subject: string, body: string) {
      const { seq } = JSON.parse(body) as { seq: number };
      fetched += 1;
      const entries = Array.from({ length: sizes[seq - 1] ?? 0 }, (_, id) => note(`${seq}.${id}`));
      const data = Buffer.from(JSON.stringify(entries)).toString('base64');
      return { data: Buffer.from(JSON.stringify({ message: { seq, subject: 's', data, time: '2026-01-01' } })) };
    },
  };
  const session = { wire, epoch: 'e', checkedAt: 0, newest: sizes.length, perMessage: 1 } as unknown as Session;
  const options = {
    session,
    names: namesOf('shop'),
    standing: async () => ({ epoch: 'e', first: 1, last: sizes.length, whole: 0 }),
    missing: () => Promise.reject(new Error('none is missing')),
    strange: () => expect.fail('none is strange'),
  };
  const positions: Position[] = [];
  for (let more = true; more; ) {
    const slice = await read(options, positions.at(-1) ?? endOf('e', 0), 50);
    positions.push(...slice.entries.map(({ position }) => position));
    more = slice.more;
  }
  expect(positions).toEqual(
    sizes.flatMap((size, n) => Array.from({ length: size }, (_, id) => placeOf('e', n + 1, id, size))),
  );
  expect(total).toBe(1_560);
  expect(fetched).toBeLessThan(2.5 * sizes.length);
});

describe('messages', () => {
  const key = (dedupeKey: string) => note(1, 'updated', {}, { dedupeKey });
  const sizes = (...segments: Parameters<typeof segmentsOf>): number[] =>
    segmentsOf(...segments).map(({ texts }) => texts.length);

  test('are as few as keys and size allow', () => {
    expect(sizes([], 1e6)).toEqual([]);
    expect(sizes([note(1), note(2), key('a'), key('b'), note(3)], 1e6)).toEqual([2, 1, 1, 1]);
    expect(
      sizes(
        Array.from({ length: 25_000 }, (_, id) => note(id)),
        1e8,
      ),
    ).toEqual([10_000, 10_000, 5_000]);
  });

  test('stay within what the server takes, in bytes', () => {
    const entries = Array.from({ length: 100 }, () => note(1, 'ü'.repeat(100)));
    for (const { texts } of segmentsOf(entries, 4_096))
      expect(Buffer.byteLength(`[${texts.join()}]`)).toBeLessThan(4_096 - 512);
    expect(() => segmentsOf([note(1, 'x'.repeat(4_096))], 4_096)).toThrow(/max_payload/);
  });

  test('tell their number in both forms of the subject for acknowledgements', () => {
    expect(placeOfDelivery('$JS.ACK.stream.consumer.1.42.3.1700000000000000000.9')).toEqual({
      seq: 42,
      time: 1_700_000_000_000,
      left: 9,
    });
    expect(placeOfDelivery('$JS.ACK.hub.account.stream.consumer.1.42.3.1700000000000000000.9.token')).toMatchObject({
      seq: 42,
      left: 9,
    });
    expect(placeOfDelivery(undefined)).toBeUndefined();
    expect(placeOfDelivery('_INBOX.x')).toBeUndefined();
  });
});

test.each([
  [{ url: 'nats://a', namespace: 'a.b' }, /namespace/],
  [{ url: 'nats://a', namespace: 'a', retention: 99 }, /retention/],
  [{ url: 'nats://a', namespace: 'a', cap: 0 }, /cap/],
  [{ url: 'nats://a', namespace: 'a', replicas: 6 }, /replicas/],
  [{ url: 'nats://u:s3cret@', namespace: 'a' }, /^((?!s3cret).)*$/],
])('%j is refused', (options, sentence) => expect(() => createNatsLog(options)).toThrow(sentence));
