/** How items become calls, and answers outcomes; against a scripted API, since the real SDK runs in the integration test. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Outgoing } from '../../../adapters/provider.js';
import { judge, type PusherApi, publish } from '../../../adapters/pusher/publish.js';

type Call = { kind: 'trigger' | 'batch'; events: { channel: string; name: string; data: string }[] };

/** Keeps the calls; `answer` says what each gets: a body, or a status as the SDK throws it. */
function scripted(answer: (call: Call, index: number) => string | number = () => '{}'): {
  api: PusherApi;
  calls: Call[];
} {
  const calls: Call[] = [];
  const respond = async (call: Call) => {
    calls.push(call);
    const what = answer(call, calls.length - 1);
    if (typeof what === 'number') throw what === 0 ? new Error('socket hang up') : { status: what, body: 'no' };
    return { text: async () => what };
  };
  return {
    calls,
    api: {
      trigger: (channels, name, data) =>
        respond({ kind: 'trigger', events: channels.map((channel) => ({ channel, name, data })) }),
      triggerBatch: (events) => respond({ kind: 'batch', events }),
    },
  };
}

let serial = 0;
function item(channels: readonly string[], json = `{"n":${++serial}}`): Outgoing {
  const position = 'e:1' as const;
  return { channels, action: 'shipped', json, position };
}
const many = (count: number): string[] => Array.from({ length: count }, (_, index) => `c${index}`);
const names = ({ channels }: Outgoing): readonly string[] => channels;
const kinds = async (api: PusherApi, items: readonly Outgoing[]) =>
  (await publish(api, items, names)).map(({ kind }) => kind);

describe('calls', () => {
  test('one item is one call, whatever the number of its channels up to 100', async () => {
    const { api, calls } = scripted();
    expect(await kinds(api, [item(many(100))])).toEqual(['accepted']);
    expect(calls).toMatchObject([{ kind: 'trigger' }]);
  });

  test('more channels are more calls', async () => {
    const { api, calls } = scripted();
    expect(await kinds(api, [item(many(250))])).toEqual(['accepted']);
    expect(calls.map(({ events }) => events.length)).toEqual([100, 100, 50]);
  });

  test('ten small items are one call', async () => {
    const { api, calls } = scripted();
    await publish(
      api,
      many(10).map((channel) => item([channel])),
      names,
    );
    expect(calls.map(({ kind, events }) => [kind, events.length])).toEqual([['batch', 10]]);
  });

  test('nothing is no call', async () => {
    const { api, calls } = scripted();
    expect(await publish(api, [], names)).toEqual([]);
    expect(calls).toEqual([]);
  });

  const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 5, max: 230 })), { maxLength: 30 });

  test('within the limits, in order, and each item on each of its channels once', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, async (list) => {
        const { api, calls } = scripted();
        const items = list.map((size) => item(many(size)));
        expect(await kinds(api, items)).toEqual(items.map(() => 'accepted'));
        for (const { kind, events } of calls) expect(events.length).toBeLessThanOrEqual(kind === 'batch' ? 10 : 100);
        const sent = calls.flatMap(({ events }) => events.map(({ channel, data }) => `${data} ${channel}`));
        expect(sent).toEqual(items.flatMap(({ channels, json }) => channels.map((channel) => `${json} ${channel}`)));
      }),
      { numRuns: 100 },
    );
  });

  test('whatever the answers: nothing is accepted after what must wait, and nothing is accepted that was not', async () => {
    const answers = fc.array(fc.constantFrom('{}', '{"error":"x"}', '<html>', 0, 400, 401, 403, 413, 429, 500), {
      minLength: 1,
      maxLength: 12,
    });
    await fc.assert(
      fc.asyncProperty(sizes, answers, async (list, script) => {
        const { api, calls } = scripted((_call, index) => script[index % script.length] ?? '{}');
        const items = list.map((size) => item(many(size)));
        const outcomes = await kinds(api, items);
        const first = outcomes.indexOf('later');
        if (first >= 0) expect(outcomes.slice(first)).not.toContain('accepted');
        const taken = new Set(
          calls.flatMap(({ events }, index) =>
            script[index % script.length] === '{}' ? events.map(({ channel, data }) => `${data} ${channel}`) : [],
          ),
        );
        items.forEach(({ channels, json }, index) => {
          if (outcomes[index] === 'accepted')
            for (const channel of channels) expect(taken).toContain(`${json} ${channel}`);
        });
      }),
      { numRuns: 200 },
    );
  });
});

describe('answers', () => {
  const trio = () => [item(['a']), item(['b'], '{"bad":true}'), item(['c'])];
  const bad = ({ events }: Call): boolean => events.some(({ data }) => data.includes('bad'));

  test.each([400, 413, 422])('%d to a batch: the culprit is found, the others arrive', async (status) => {
    const { api, calls } = scripted((call) => (bad(call) ? status : '{}'));
    expect(await kinds(api, trio())).toEqual(['accepted', 'impossible', 'accepted']);
    expect(calls.map(({ kind }) => kind)).toEqual(['batch', 'trigger', 'trigger', 'trigger']);
  });

  test('the culprit is sought, and Pusher goes away: the rest waits', async () => {
    const { api } = scripted((call, index) => (index > 1 ? 500 : bad(call) ? 400 : '{}'));
    expect(await kinds(api, trio())).toEqual(['accepted', 'later', 'later']);
  });

  test.each([
    [401, 60_000, 'PUSHER_KEY or PUSHER_SECRET is wrong'],
    [403, 60_000, 'quota'],
    [404, 60_000, 'PUSHER_APP_ID'],
    [429, undefined, 'answered 429'],
    [500, undefined, 'answered 500'],
    [503, undefined, 'answered 503'],
    [0, undefined, 'socket hang up'],
  ])('%d waits, and nothing more is tried', async (status, retryAfterMs, sentence) => {
    const { api, calls } = scripted(() => status);
    const outcomes = await publish(api, [...many(12).map((channel) => item([channel]))], names);
    expect(calls).toHaveLength(1);
    for (const outcome of outcomes) {
      expect(outcome.kind).toBe('later');
      if (outcome.kind !== 'later') continue;
      expect(outcome.retryAfterMs).toBe(retryAfterMs);
      expect(String(outcome.error)).toContain(sentence);
    }
  });

  test.each(['{"error":"over quota"}', '<html>captive</html>', '', 'null', '"ok"'])(
    '200 with %s is no success',
    async (body) => {
      expect(await kinds(scripted(() => body).api, [item(['a'])])).toEqual(['later']);
    },
  );

  test.each(['{}', '{"ok":true}', '{"channels":{}}', '{"batch":[{}]}'])('200 with %s is success', async (body) => {
    expect(await kinds(scripted(() => body).api, [item(['a'])])).toEqual(['accepted']);
  });

  test('more than 10 kB is not even tried, and holds nothing up', async () => {
    const { api, calls } = scripted();
    const large = item(['a'], JSON.stringify({ text: 'ü'.repeat(5_200) }));
    expect(await kinds(api, [item(['a']), large, item(['a'])])).toEqual(['accepted', 'impossible', 'accepted']);
    expect(calls.flatMap(({ events }) => events)).toHaveLength(2);
  });

  test('an error never shows the address of a call, which is signed', () => {
    const { error } = judge({ status: 401, body: 'x'.repeat(1_000), url: 'https://…auth_signature=abc' });
    expect(String(error)).not.toContain('signature=');
    expect(String(error).length).toBeLessThan(400);
  });

  const address = 'http://api.local/apps/1/users/5e88/terminate_connections?auth_key=k123&auth_signature=abc';
  test.each([
    [
      { error: { message: `request to ${address} failed, reason: connect ECONNREFUSED 127.0.0.1:1` } },
      'ECONNREFUSED 127',
    ],
    [{ error: { message: `request to ${address} failed, reason: `, code: 'ECONNREFUSED' } }, 'reached: ECONNREFUSED'],
    [new Error(`Invalid response body while trying to fetch ${address}: aborted`), 'reached: aborted'],
    [new Error(`maximum redirect reached at: ${address}`), 'maximum redirect'],
    [{ status: 401, body: `you should have sent "POST\n${address}"` }, 'you should have sent'],
  ])('an error shows the reason, and never the address: %#', (thrown, sentence) => {
    const { error } = judge(thrown);
    expect(String(error)).toContain(sentence);
    expect(`${error} ${error.cause}`).not.toMatch(/k123|abc|5e88/);
  });

  test('nor does the answer of a success that is none', async () => {
    const [outcome] = await publish(scripted(() => `{"error":"${address}"}`).api, [item(['a'])], names);
    expect(String(outcome?.kind === 'later' && outcome.error)).toMatch(/^(?!.*(k123|abc|5e88)).*error in its body/);
  });
});
