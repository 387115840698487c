/** The URLs of Redis: what each form means, and what is said of a wrong one, which never holds the password. */
import { describe, expect, test } from 'vitest';
import { isRedisUrl, mistakesInRedisUrl, parseRedisUrl } from '../../../server/log/redis/url.js';
import { createRedisLog } from '../../../server/log/redis.js';

describe('the URL of a Redis', () => {
  const local = { host: 'localhost', port: 6379 };
  test.each([
    ['redis://localhost', { kind: 'single', tls: false, db: 0, hosts: [local] }],
    ['redis://localhost/', { kind: 'single', tls: false, db: 0, hosts: [local] }],
    ['rediss://localhost:7000/3', { kind: 'single', tls: true, db: 3, hosts: [{ host: 'localhost', port: 7000 }] }],
    ['redis://[::1]:7000', { kind: 'single', tls: false, db: 0, hosts: [{ host: '::1', port: 7000 }] }],
    ['redis://:p%40%2F%3A%23%25@localhost', { kind: 'single', tls: false, db: 0, hosts: [local], password: 'p@/:#%' }],
    ['redis://me@localhost', { kind: 'single', tls: false, db: 0, hosts: [local], username: 'me' }],
    [
      'redis://me:a:b@c@localhost',
      { kind: 'single', tls: false, db: 0, hosts: [local], username: 'me', password: 'a:b@c' },
    ],
    [
      'rediss+cluster://me:x@a,b:7000',
      {
        kind: 'cluster',
        tls: true,
        db: 0,
        hosts: [
          { host: 'a', port: 6379 },
          { host: 'b', port: 7000 },
        ],
        username: 'me',
        password: 'x',
      },
    ],
    [
      'redis+sentinel://:x@a,b:7000/my%20main/2?sentinelUsername=s&sentinelPassword=y%26',
      {
        kind: 'sentinel',
        tls: false,
        db: 2,
        hosts: [
          { host: 'a', port: 26379 },
          { host: 'b', port: 7000 },
        ],
        master: 'my main',
        password: 'x',
        sentinelUsername: 's',
        sentinelPassword: 'y&',
      },
    ],
  ])('%s', (url, address) => {
    expect(mistakesInRedisUrl(url)).toEqual([]);
    expect(parseRedisUrl(url)).toEqual(address);
  });

  test.each([
    ['', /none of the known forms/],
    ['redis:localhost', /none of the known forms/],
    ['redis+other://localhost', /none of the known forms/],
    ['redis://', /has no host/],
    ['redis://:secret@', /has no host/],
    ['redis://localhost:secret', /not "name" or "name:port"/],
    ['redis://sec ret', /not "name" or "name:port"/],
    ['redis://localhost:0', /port of host that is not between/],
    ['redis://localhost:65536', /port of host that is not between/],
    ['redis+cluster://a,,b', /has no host 2/],
    ['redis://a,b', /several hosts; write redis\+cluster/],
    ['redis://:sec/ret@localhost', /before its last "@"; write them as %2F/],
    ['redis://:sec?ret@localhost', /before its last "@"/],
    ['redis://:sec#ret@localhost', /before its last "@"/],
    ['redis://localhost#secret', /has a "#"/],
    ['redis://:secret%@localhost', /"%" in its password/],
    ['redis://sec%ret:x@localhost', /"%" in its user/],
    ['redis://localhost/secret', /database that is not a number/],
    ['redis://localhost/1/2', /database that is not a number/],
    ['redis+cluster://localhost/1', /of which a cluster has none but 0/],
    ['redis+sentinel://localhost', /no name of the master/],
    ['redis://localhost?password=secret', /settings that are not known/],
    ['redis+sentinel://localhost/main?password=secret', /settings that are not known/],
    [`redis+cluster://${Array(51).fill('a')}`, /more than 50 hosts/],
  ])('%j is wrong', (url, why) => {
    const mistakes = mistakesInRedisUrl(url);
    expect(mistakes).toEqual([expect.stringMatching(why)]);
    expect(mistakes[0]).not.toMatch(/sec|ret\b/);
    expect(() => createRedisLog({ url })).toThrow(mistakes[0]);
  });

  test('all mistakes are told at once', () => {
    expect(mistakesInRedisUrl('redis://:%@a,b:0/x')).toHaveLength(4);
  });

  test('which URLs are of Redis', () => {
    for (const url of ['redis://a', 'rediss://a', 'redis+cluster://a', 'rediss+sentinel://a/b', 'redis:'])
      expect(isRedisUrl(url)).toBe(true);
    for (const url of ['', 'memory:', 'redistribute://a', 'http://redis:']) expect(isRedisUrl(url)).toBe(false);
  });
});
