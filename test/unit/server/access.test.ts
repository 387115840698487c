/** The single place where access is asked: DESIGN promise 2, rows 59, 63, 67. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Access, type AccessOptions, createAccess, type Identity } from '../../../server/access.js';
import { HttpError } from '../../../server/http-error.js';
import { createSecrets } from '../../../server/secrets.js';
import type { EntityAccess, User } from '../../../server/types.js';

const TIMEOUT = 5_000;
const secrets = createSecrets(['the first secret', 'the second secret'], 'test');

let errors: unknown[];
beforeEach(() => {
  errors = [];
});

type Rules = Readonly<Record<string, EntityAccess<User>>>;

function accessOf(canListen: Rules, more: Partial<AccessOptions<string, User>> = {}): Access<string> {
  return createAccess<string, User>({
    user: (request) => request,
    canListen,
    secrets,
    timeout: TIMEOUT,
    onError: (error) => errors.push(error),
    ...more,
  });
}

async function ask(rules: Rules, ...objects: [entity: string, id?: string][]): Promise<string[]> {
  const access = accessOf(rules);
  const identity = await access.identify('ann');
  return access.check(
    identity,
    objects.map(([entity, id]) => ({ entity, ...(id !== undefined && { id }) })),
  );
}

describe('row 59: may this user listen to this', () => {
  test('default deny: an entity, an object or a list that is not named', async () => {
    expect(await ask({}, ['Order', '1'], ['Order'])).toEqual(['refused', 'refused']);
    expect(await ask({ Order: { all: () => true } }, ['Order', '1'], ['Order'])).toEqual(['refused', 'granted']);
    expect(await ask({ Order: { one: () => true } }, ['Order', '1'], ['Order'])).toEqual(['granted', 'refused']);
  });

  test('names of every object’s prototype are entities like others', async () => {
    for (const entity of ['__proto__', 'constructor', 'toString', 'hasOwnProperty'])
      expect(await ask({ Order: { one: () => true, all: () => true } }, [entity, '1'], [entity])).toEqual([
        'refused',
        'refused',
      ]);
    expect(await ask({ constructor: { all: () => true } }, ['constructor'])).toEqual(['granted']);
  });

  test('the matrix of users and objects, with answers now or later', async () => {
    const may = (user: User, id: string): boolean => `${user}${id}` === 'ann1' || `${user}${id}` === 'ben2';
    for (const one of [may, async (user: User, id: string) => may(user, id)]) {
      const access = accessOf({ Order: { one } });
      for (const [user, results] of [
        ['ann', ['granted', 'refused']],
        ['ben', ['refused', 'granted']],
      ] as const) {
        const identity = await access.identify(user);
        const objects = ['1', '2'].map((id) => ({ entity: 'Order', id }));
        expect(await access.check(identity, objects)).toEqual(results);
      }
    }
  });

  test('`many` is asked once for all objects of a request, wins over `one`, and may answer with numbers', async () => {
    const many = vi.fn((_user: User, ids: readonly string[]) => ids.filter((id) => id !== '3').map(Number));
    const one = vi.fn(() => true);
    const objects: [string, string][] = ['1', '2', '3', '2'].map((id) => ['Order', id]);
    expect(await ask({ Order: { many, one } }, ...objects, ['Order'])).toEqual([
      'granted',
      'granted',
      'refused',
      'granted',
      'refused',
    ]);
    expect(many.mock.calls).toEqual([['ann', ['1', '2', '3']]]);
    expect(one).not.toHaveBeenCalled();
  });

  test('what `many` names beside what it was asked grants nothing', async () => {
    expect(await ask({ Order: { many: () => ['1', '2', 'undefined', ''] } }, ['Order', '1'], ['Order'])).toEqual([
      'granted',
      'refused',
    ]);
  });

  test('one answer for each object, in its order, across entities', async () => {
    const rules = { A: { one: (_: User, id: string) => id === '1' }, B: { many: () => ['2'] } };
    expect(await ask(rules, ['B', '1'], ['A', '1'], ['C', '1'], ['B', '2'], ['A', '2'])).toEqual([
      'refused',
      'granted',
      'refused',
      'granted',
      'refused',
    ]);
  });

  test('only a plain yes is a yes', async () => {
    for (const answer of [1, 'yes', {}, [], { id: 1 }, undefined, null]) {
      const rules = { Order: { one: () => answer, all: async () => answer } } as unknown as Rules;
      expect(await ask(rules, ['Order', '1'], ['Order'])).toEqual(['refused', 'refused']);
    }
  });
});

describe('promise 6: a question that cannot be answered is no refusal', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  test('throwing, now or later, is retried, reported, and harms no other object', async () => {
    const boom = new Error('the database is away');
    const rules: Rules = {
      Order: {
        one: (_, id) => {
          if (id === '1') throw boom;
          return id === '2' ? Promise.reject(boom) : true;
        },
      },
      Report: {
        many: () => {
          throw boom;
        },
        all: () => true,
      },
      Board: { many: () => 7 as unknown as string[] },
    };
    expect(
      await ask(rules, ['Order', '1'], ['Order', '2'], ['Order', '3'], ['Report', '1'], ['Report'], ['Board', '1']),
    ).toEqual(['retry', 'retry', 'granted', 'retry', 'granted', 'retry']);
    expect(errors.slice(0, 3)).toContain(boom);
  });

  test('a question for forty objects that fails is reported once', async () => {
    const rules: Rules = { Order: { many: () => Promise.reject(new Error('away')) } };
    const results = await ask(rules, ...Array.from({ length: 40 }, (_, id): [string, string] => ['Order', String(id)]));
    expect(new Set(results)).toEqual(new Set(['retry']));
    expect(errors).toHaveLength(1);
  });

  test('taking longer than accessTimeout is retried, and leaves no timer', async () => {
    vi.useFakeTimers();
    const rules: Rules = { Order: { one: () => new Promise(() => {}), all: () => new Promise(() => {}) } };
    const results = ask(rules, ['Order', '1'], ['Order']);
    await vi.advanceTimersByTimeAsync(TIMEOUT);
    expect(await results).toEqual(['retry', 'retry']);
    expect(String(errors[0])).toMatch(/canListen\.Order\.one took longer than 5000 ms/);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('a quick answer leaves no timer', async () => {
    vi.useFakeTimers();
    await ask({ Order: { one: () => true } }, ['Order', '1']);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('who is asking', () => {
  const identify = (user: unknown, more: Partial<AccessOptions<string, User>> = {}): Promise<Identity> =>
    accessOf({}, { user: () => user as User, ...more }).identify('request');
  const status = (promise: Promise<unknown>): Promise<unknown> =>
    promise.then(
      () => 200,
      (error) => (error instanceof HttpError ? `${error.status} ${error.code}` : error),
    );

  test.each([undefined, null, '', false, { id: undefined }, { id: null }, { id: '' }])('nobody: %j', async (user) => {
    expect(await status(identify(user))).toBe('401 unauthenticated');
  });

  test.each([true, { id: {} }, { id: true }, Number.NaN, { id: Number.NaN }])(
    'an id that would make strangers one user is no id: %j',
    async (user) => {
      expect(await status(identify(user))).not.toBe(200);
    },
  );

  test('an id, or an object with one; numbers and their text are the same; 0 is a user', async () => {
    const users = await Promise.all([7, '7', { id: 7 }, { id: '7', name: 'Ann' }, 0].map((user) => identify(user)));
    expect(new Set(users.slice(0, 4).map((identity) => identity.users[0])).size).toBe(1);
    expect(users[4]?.users[0]).not.toBe(users[0]?.users[0]);
  });

  test('is known by keyed hashes, one for each secret, on channels of their own', async () => {
    const { users, sessions, own } = await identify('ann', { session: () => 's1' });
    expect(users).toEqual(secrets.hashes('user', 'ann'));
    expect(sessions).toEqual(secrets.hashes('session', 's1'));
    expect(own).toEqual([
      ...users.map((hash) => `@user/${hash}`),
      ...(sessions ?? []).map((hash) => `@session/${hash}`),
    ]);
    expect(own.join()).not.toMatch(/ann|s1/);
    expect((await identify('ann', { session: () => undefined })).sessions).toBeUndefined();
  });

  test('row 63: the right to listen at all; only a plain yes is a yes', async () => {
    for (const answer of [false, 0, undefined, 'yes'])
      expect(await status(identify('ann', { mayListen: () => answer as boolean }))).toBe('403 forbidden');
    expect(await status(identify('ann', { mayListen: async () => true }))).toBe(200);
  });

  test('what cannot be told is 503 and reported; its text stays inside', async () => {
    const boom = (): never => {
      throw new Error('secret of the database');
    };
    for (const more of [{ user: boom }, { mayListen: boom }, { session: boom }]) {
      errors.length = 0;
      const error = await identify('ann', more).catch((fault) => fault);
      expect(error).toMatchObject({ status: 503, code: 'unavailable', retryAfter: 1 });
      expect(error.message).not.toMatch('secret');
      expect(errors).toHaveLength(1);
    }
  });
});
