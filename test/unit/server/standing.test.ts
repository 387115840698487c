/** Rights that standard clients of a provider were given are asked about again, since nobody renews them. */
import { beforeEach, expect, test } from 'vitest';
import type { AuthResult } from '../../../adapters/protocol.js';
import type { Identity } from '../../../server/access.js';
import { ASKED_FOR, createStanding, MOST_STANDING, type Standing } from '../../../server/standing.js';

const LIFE = 100_000;
const who = (name: string): Identity => ({ user: name, users: [name], sessions: undefined, own: [`@user/${name}`] });
const ann = who('ann');

let now: number;
let asked: string[][];
let answer: (text: string) => AuthResult;
let revoked: (readonly [readonly string[], readonly string[] | undefined])[];
let deaf: unknown;
let errors: unknown[];
let standing: Standing;

beforeEach(() => {
  now = 0;
  asked = [];
  answer = () => 'granted';
  revoked = [];
  deaf = undefined;
  errors = [];
  standing = createStanding({
    async check(identity, objects) {
      const texts = objects.map(({ entity, id = 'all' }) => `${identity.users[0]} ${entity} ${id}`);
      asked.push(texts);
      return texts.map(answer);
    },
    async revoke(users, channels) {
      if (deaf) throw deaf;
      revoked.push([users, channels]);
    },
    life: LIFE,
    monotonic: () => now,
    onError: (error) => errors.push(error),
  });
});

/** As the heartbeat of a node does, for so many milliseconds. */
async function pass(ms: number): Promise<void> {
  for (const end = now + ms; now < end; ) {
    now += Math.min(15_000, end - now);
    await standing.sweep();
  }
}

test('a user’s rights are asked about together, once before a grant would have ended, and again and again', async () => {
  standing.note(ann, ['Order/1', 'Order/2', 'Order/*', '@user/ann']);
  await pass(LIFE);
  expect(asked).toEqual([['ann Order 1', 'ann Order 2', 'ann Order all']]);
  await pass(2 * LIFE);
  expect(asked.length).toBeGreaterThanOrEqual(3);
  expect(revoked).toEqual([]);
});

test('what is refused is ended at the provider within the life of a grant, and not asked about any more', async () => {
  standing.note(ann, ['Order/1', 'Order/2']);
  standing.note(who('ben'), ['Order/1']);
  answer = (text) => (text === 'ann Order 1' ? 'refused' : 'granted');
  await pass(LIFE);
  expect(revoked).toEqual([[['ann'], ['Order/1']]]);
  await pass(2 * LIFE);
  expect(revoked).toHaveLength(1);
  expect(standing.size).toBe(2);
});

test('what could not be answered, and a provider that does not hear, are tried again', async () => {
  standing.note(ann, ['Order/1']);
  answer = () => 'retry';
  await pass(LIFE);
  expect([revoked, standing.size]).toEqual([[], 1]);
  answer = () => 'refused';
  deaf = new Error('down');
  await pass(15_000);
  expect([errors, standing.size]).toEqual([[deaf], 1]);
  deaf = undefined;
  await pass(15_000);
  expect([revoked, standing.size]).toEqual([[[['ann'], ['Order/1']]], 0]);
});

test('it is given up a day after it was last given', async () => {
  standing.note(ann, ['Order/1']);
  now = ASKED_FOR / 2;
  standing.note(ann, ['Order/1']);
  now += ASKED_FOR / 2 + 1;
  await standing.sweep();
  expect(standing.size).toBe(1);
  now += ASKED_FOR / 2;
  await standing.sweep();
  expect(standing.size).toBe(0);
});

test('there is room for so many; what is there already needs none', () => {
  const channels = Array.from({ length: MOST_STANDING }, (_, id) => `Order/${id}`);
  expect(standing.note(ann, channels)).toBe(true);
  expect(standing.note(ann, ['Order/0'])).toBe(true);
  expect(standing.note(who('ben'), ['Order/0'])).toBe(false);
  expect(standing.size).toBe(MOST_STANDING);
});
