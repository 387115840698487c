/** Grants, and the secrets that sign them: DESIGN 6, "Grants" and "Namespaces". */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createGrants, type Grant, readGrant, writeGrant } from '../../../server/grants.js';
import { causeOf, createSecrets } from '../../../server/secrets.js';
import { at } from '../../kit/entries.js';

const first = createSecrets(['first secret of them all'], 'test');
const grant: Grant = {
  user: 'u',
  session: 's',
  channels: ['Order/1', 'Order', 'Ördnung/%C3%A9'],
  expires: 1_700_000_000_000,
  position: at(7),
};

describe('a grant', () => {
  test('round trip, as text that fits into a header', () => {
    const token = writeGrant(grant, first);
    expect(token).toMatch(/^[\w.-]+$/);
    expect(readGrant(token, first)).toEqual(grant);
  });

  test('forged: any changed character of what is signed, or of the signature, is refused', () => {
    const token = writeGrant(grant, first);
    fc.assert(
      fc.property(fc.nat(token.length - 1), fc.constantFrom(...'ABCabc019-_.'), (place, character) => {
        const forged = token.slice(0, place) + character + token.slice(place + 1);
        const read = readGrant(forged, first);
        // The last character of base64url holds bits that no byte uses; what it says is then still the same.
        if (read !== undefined) expect(read).toEqual(grant);
        if (place < token.indexOf('.') && forged !== token) expect(read).toBeUndefined();
      }),
      { numRuns: 500 },
    );
  });

  test('with what somebody would like to have in it, under the signature of another', () => {
    const [, signature] = writeGrant(grant, first).split('.');
    const wish = Buffer.from(JSON.stringify({ ...grant, channels: ['Secret/1'] })).toString('base64url');
    expect(readGrant(`${wish}.${signature}`, first)).toBeUndefined();
  });

  test('cut, empty, doubled, or no grant at all', () => {
    const token = writeGrant(grant, first);
    for (let length = 0; length < token.length; length += 3)
      expect(readGrant(token.slice(0, length), first)).toBeUndefined();
    for (const other of ['', '.', '..', `${token}.`, `${token}.${token}`, 'null', `.${token}`, '{}.{}'])
      expect(readGrant(other, first)).toBeUndefined();
    fc.assert(fc.property(fc.string(), (text) => readGrant(text, first) === undefined));
  });

  test('of another secret, or of another namespace', () => {
    const token = writeGrant(grant, first);
    expect(readGrant(token, createSecrets(['another secret, of others'], 'test'))).toBeUndefined();
    expect(readGrant(token, createSecrets(['first secret of them all'], 'production'))).toBeUndefined();
  });

  test('rotation: the first signs, all verify; a secret that was taken out verifies no more', () => {
    const both = createSecrets(['the new secret is first', 'first secret of them all'], 'test');
    const fresh = createSecrets(['the new secret is first'], 'test');
    expect(readGrant(writeGrant(grant, first), both)).toEqual(grant);
    expect(readGrant(writeGrant(grant, both), fresh)).toEqual(grant);
    expect(readGrant(writeGrant(grant, both), first)).toBeUndefined();
    expect(readGrant(writeGrant(grant, first), fresh)).toBeUndefined();
  });

  test('signed, but not as this version writes it', () => {
    for (const other of ['null', '7', '{}', '{"channels":[]}', '{"position":"x","channels":[]}', 'no JSON']) {
      const text = Buffer.from(other).toString('base64url');
      expect(readGrant(`${text}.${first.sign(text)}`, first)).toBeUndefined();
    }
  });
});

describe('grants that are remembered', () => {
  /** Counts what is verified. */
  function watched(): { secrets: typeof first; verified: () => number } {
    let verified = 0;
    const verify = (text: string, signature: string): boolean => {
      verified += 1;
      return first.verify(text, signature);
    };
    return { secrets: { ...first, verify }, verified: () => verified };
  }

  test('one that was made or read here is not verified again, and reads the same', () => {
    const { secrets, verified } = watched();
    const grants = createGrants(secrets);
    expect(grants.read(grants.write(grant))).toEqual(grant);
    expect(verified()).toBe(0);
    const elsewhere = writeGrant({ ...grant, user: 'w' }, first);
    for (let n = 0; n < 3; n++) expect(grants.read(elsewhere)).toEqual({ ...grant, user: 'w' });
    expect(verified()).toBe(1);
  });

  test('only to the letter: a changed one is refused, and so are the other secrets’', () => {
    const grants = createGrants(first);
    const token = grants.write(grant);
    for (let at = 0; at < token.length; at += 5) {
      const forged = `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`;
      expect(grants.read(forged)).toBeUndefined();
    }
    expect(createGrants(createSecrets(['another secret, of others'], 'test')).read(token)).toBeUndefined();
  });

  test('a refused one is refused each time', () => {
    const grants = createGrants(first);
    for (let n = 0; n < 3; n++) expect(grants.read(`${writeGrant(grant, first)}A`)).toBeUndefined();
  });

  test('memory is bounded: those that are used stay, others are verified again', () => {
    const { secrets, verified } = watched();
    const tokens = Array.from({ length: 20 }, (_, n) => writeGrant({ ...grant, user: `user-${n + 10}` }, first));
    const [used = ''] = tokens;
    const grants = createGrants(secrets, used.length * 4);
    for (const token of tokens) {
      grants.read(token);
      grants.read(used);
    }
    expect(verified()).toBe(tokens.length);
    expect(grants.read(tokens[1] as string)).toBeDefined();
    expect(verified()).toBe(tokens.length + 1);
  });
});

describe('keyed hashes', () => {
  test('are stable, differ by kind, id, secret and namespace, and tell nothing', () => {
    const [hash] = first.hashes('user', 'ann');
    expect(first.hashes('user', 'ann')).toEqual([hash]);
    const others = [
      first.hashes('session', 'ann')[0],
      first.hashes('user', 'ben')[0],
      createSecrets(['another secret, of others'], 'test').hashes('user', 'ann')[0],
      createSecrets(['first secret of them all'], 'other').hashes('user', 'ann')[0],
    ];
    expect(new Set([hash, ...others]).size).toBe(5);
    expect(hash).toMatch(/^[\w-]{16}$/);
    expect(createHash('sha256').update('ann').digest('base64url')).not.toContain(hash);
  });

  test('one for each secret, the first of the list told to its owner', () => {
    const both = createSecrets(['the new secret is first', 'first secret of them all'], 'test');
    expect(both.hashes('user', 'ann')).toHaveLength(2);
    expect(both.hashes('user', 'ann')[1]).toBe(first.hashes('user', 'ann')[0]);
  });

  test('never pass for a signature, nor a signature for a hash', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const [hash] = first.hashes('user', text);
        expect(first.verify(text, hash)).toBe(false);
        expect(first.sign(text).startsWith(hash)).toBe(false);
      }),
    );
  });

  test('no kind, namespace and id run into each other', () => {
    const one = createSecrets(['first secret of them all'], 'a').hashes('user', 'b\0c')[0];
    const other = createSecrets(['first secret of them all'], 'a').hashes('user', 'b')[0];
    expect(one).not.toBe(other);
  });
});

describe('causeOf: the public mark of a request', () => {
  test('is the SHA-256 of its secret', () => {
    const secret = 'abcdefghijklmnop';
    expect(causeOf(secret)).toBe(createHash('sha256').update(secret).digest('hex'));
  });

  test.each([
    undefined,
    '',
    'short',
    'a'.repeat(129),
    'with spaces in its middle',
    'line\nbreak line break',
    'ünïcödé-ünïcödé-',
  ])('is nothing for what is no such secret: %j', (secret) => {
    expect(causeOf(secret)).toBeUndefined();
  });
});
