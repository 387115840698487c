/** The publisher's order, requests and outcomes, against a provider that answers as it is told to. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createPace } from '../../../adapters/ably/pace.js';
import {
  type Answer,
  createPublisher,
  judge,
  type Refusal,
  type Send,
  type Spec,
} from '../../../adapters/ably/publish.js';
import type { Outgoing, PublishOutcome } from '../../../adapters/provider.js';

const item = (offset: number, channels: readonly string[], action = 'updated'): Outgoing => ({
  channels,
  position: `log:${offset}`,
  action,
  json: `{"offset":${offset}}`,
});
const accepting: Send = async (specs) =>
  specs.map(({ channels }) => new Map(channels.map((name) => [name, undefined])));
/** Records what is sent; `refuse` decides for each channel of each spec. */
function provider(refuse: (name: string, spec: Spec) => Refusal | undefined = () => undefined) {
  const requests: (readonly Spec[])[] = [];
  const send: Send = async (specs) => {
    requests.push(specs);
    return specs.map((spec): Answer => new Map(spec.channels.map((name) => [name, refuse(name, spec)])));
  };
  return { requests, send };
}
const publisherOf = (send: Send, now = () => 0) => createPublisher(send, (channel) => `ns:${channel}`, createPace(now));
const kinds = (outcomes: readonly PublishOutcome[]): string[] => outcomes.map(({ kind }) => kind);

describe('publishing', () => {
  test('sends the action as name, the JSON as data, and ids that say nothing but which item it is', async () => {
    const { requests, send } = provider();
    await publisherOf(send).publish([item(1, ['Order/1'], 'shipped'), item(2, ['Order/2'], 'shipped')]);
    await publisherOf(send).publish([item(1, ['Order/1'], 'shipped')]);
    const [first, second, again] = requests.flat().map(({ message }) => message);
    expect(first).toMatchObject({ name: 'shipped', data: '{"offset":1}' });
    expect(first?.id).toMatch(/^[\w-]{32}:0$/);
    expect(again).toEqual(first);
    expect(second?.id).not.toBe(first?.id);
  });

  test('puts what shares no channel into one request, of 100 channels at most', async () => {
    const { requests, send } = provider();
    const batch = Array.from({ length: 250 }, (_, offset) => item(offset, [`Order/${offset}`]));
    expect(kinds(await publisherOf(send).publish(batch))).toEqual(batch.map(() => 'accepted'));
    expect(requests.map((specs) => specs.flatMap(({ channels }) => channels).length)).toEqual([100, 100, 50]);
  });

  test('cuts one item for many users into several requests, and takes it as one', async () => {
    const users = Array.from({ length: 230 }, (_, index) => `@user/${index}`);
    const { requests, send } = provider((name) => (name === 'ns:@user/229' ? { statusCode: 500 } : undefined));
    const outcomes = await publisherOf(send).publish([item(1, users), item(2, ['Order/1'])]);
    expect(kinds(outcomes)).toEqual(['later', 'accepted']);
    expect(requests.map((specs) => specs.map(({ channels }) => channels.length))).toEqual([[100], [100], [30, 1]]);
  });

  test('keeps the order of each channel, and lets nothing overtake what is later', async () => {
    const channel = fc.constantFrom('a', 'b', 'c', 'd');
    const batches = fc.array(
      fc.record({ channels: fc.uniqueArray(channel, { minLength: 1, maxLength: 3 }), fails: fc.boolean() }),
      {
        maxLength: 9,
      },
    );
    await fc.assert(
      fc.asyncProperty(batches, async (made) => {
        const arrived: Record<string, string[]> = {};
        const batch = made.map(({ channels }, offset) => item(offset, channels));
        const failing = new Set(batch.filter((_, index) => made[index]?.fails).map(({ json }) => json));
        const { send } = provider((name, { message }) => {
          if (failing.has(message.data)) return { code: 50_000, statusCode: 500 };
          arrived[name] = [...(arrived[name] ?? []), message.data];
          return undefined;
        });
        const outcomes = await publisherOf(send).publish(batch);
        const blocked = new Set<string>();
        for (const [index, { channels, json }] of batch.entries()) {
          const isLater = failing.has(json) || channels.some((name) => blocked.has(name));
          expect(outcomes[index]?.kind).toBe(isLater ? 'later' : 'accepted');
          if (isLater) for (const name of channels) blocked.add(name);
        }
        for (const data of Object.values(arrived)) {
          const offsets = data.map((json) => (JSON.parse(json) as { offset: number }).offset);
          expect(offsets).toEqual([...offsets].sort((one, other) => one - other));
        }
      }),
    );
  });

  test('paces one hot channel: the rest is later, and says when', async () => {
    let now = 0;
    const { requests, send } = provider();
    const publisher = publisherOf(send, () => now);
    const batch = Array.from({ length: 60 }, (_, offset) => item(offset, ['Order'], `action-${offset}`));
    const outcomes = await publisher.publish([...batch, item(99, ['Order/1'])]);
    const accepted = outcomes.filter(({ kind }) => kind === 'accepted').length - 1;
    expect(accepted).toBe(10);
    expect(outcomes.at(-1)?.kind).toBe('accepted');
    const first = outcomes[accepted];
    expect(first).toMatchObject({ kind: 'later', retryAfterMs: 25 });
    now += 25;
    expect(kinds(await publisher.publish([batch[accepted] as Outgoing]))).toEqual(['accepted']);
    expect(requests.length).toBe(accepted + 1);
  });

  test('finds the one item for which a whole request is refused', async () => {
    const send: Send = async (specs) => {
      if (specs.some(({ message }) => message.data.includes('"offset":2')))
        throw { code: 40_009, statusCode: 400, message: 'too long' };
      return accepting(specs);
    };
    const outcomes = await publisherOf(send).publish([item(1, ['a']), item(2, ['b']), item(3, ['c'])]);
    expect(kinds(outcomes)).toEqual(['accepted', 'impossible', 'accepted']);
  });

  test("learns an account's own limit of channels in a request", async () => {
    const sizes: number[] = [];
    const send: Send = async (specs) => {
      const size = specs.flatMap(({ channels }) => channels).length;
      sizes.push(size);
      if (size > 30) throw { code: 90_010, statusCode: 400, message: 'too many channels' };
      return accepting(specs);
    };
    const publisher = publisherOf(send);
    let batch = Array.from({ length: 60 }, (_, offset) => item(offset, [`Order/${offset}`]));
    for (let turn = 0; turn < 4 && batch.length > 0; turn++) {
      const outcomes = await publisher.publish(batch);
      batch = batch.filter((_, index) => outcomes[index]?.kind === 'later');
    }
    expect(batch).toEqual([]);
    expect(sizes.at(-1)).toBeLessThanOrEqual(30);
  });

  test('takes an answer that leaves a channel out as later', async () => {
    const send: Send = async (specs) => specs.map(() => new Map());
    expect(kinds(await publisherOf(send).publish([item(1, ['a'])]))).toEqual(['later']);
  });
});

describe('what Ably says', () => {
  test.each<[Refusal, PublishOutcome['kind']]>([
    [{ code: 40_009, statusCode: 400 }, 'impossible'],
    [{ code: 41_300, statusCode: 413 }, 'impossible'],
    [{ code: 40_010, statusCode: 400 }, 'impossible'],
    [{ code: 40_101, statusCode: 401 }, 'later'],
    [{ code: 40_112, statusCode: 401 }, 'later'],
    [{ code: 40_300, statusCode: 403 }, 'later'],
    [{ code: 40_400, statusCode: 404 }, 'later'],
    [{ code: 42_913, statusCode: 429 }, 'later'],
    [{ code: 50_003, statusCode: 500 }, 'later'],
    [{ code: 80_003, statusCode: 400 }, 'later'],
    [{ message: 'connect ECONNREFUSED' }, 'later'],
  ])('%j is %s', (refusal, kind) => {
    expect(judge(refusal).kind).toBe(kind);
  });

  test('names the key as what to look at', () => {
    expect(judge({ code: 40_101, statusCode: 401, message: 'invalid key' })).toMatchObject({
      error: { message: expect.stringMatching(/ABLY_API_KEY/) },
    });
  });
});
