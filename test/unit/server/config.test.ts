/** Environment constants and options: every mistake at once, each with its fix, no secret inside a message. */
import { describe, expect, test } from 'vitest';
import { readConfig, type Settings } from '../../../server/config.js';
import { createNotifier } from '../../../server/index.js';
import { mistakesInLog } from '../../../server/logs.js';
import type { LogLine, NotifierOptions } from '../../../server/types.js';

type Env = Readonly<Record<string, string | undefined>>;

function read(
  env: Env,
  {
    ownLog = false,
    ownAdapter,
    grantLife = 300_000,
  }: { ownLog?: boolean; ownAdapter?: string; grantLife?: number } = {},
): { settings?: Settings; lines: LogLine[]; error?: Error } {
  const lines: LogLine[] = [];
  try {
    return { settings: readConfig(env, { grantLife, ownLog, ownAdapter, logger: (line) => lines.push(line) }), lines };
  } catch (error) {
    return { lines, error: error as Error };
  }
}

const SECRET = 'a-secret-that-is-long-enough';

describe('readConfig', () => {
  test('in development nothing is needed: a secret is made for the process, with a warning', () => {
    const { settings, lines } = read({});
    expect(settings).toMatchObject({
      provider: 'sse',
      namespace: 'default',
      log: 'memory:',
      retention: 420_000,
      production: false,
    });
    expect(settings?.secrets[0]?.length).toBeGreaterThan(30);
    expect(read({}).settings?.secrets).not.toEqual(settings?.secrets);
    expect(lines.map(({ level, message }) => [level, message])).toEqual([
      ['warn', expect.stringContaining('NOTIFY_LISTEN_SECRET is not set')],
    ]);
  });

  test('reads what is set; the first secret of the list signs, blanks around them do not count', () => {
    const { settings, lines } = read({
      NOTIFY_LISTEN_SECRET: ` ${SECRET}-1 , ${SECRET}-2,`,
      NOTIFY_LISTEN_NAMESPACE: 'shop-eu_1',
      NOTIFY_LISTEN_RETENTION: '1h',
      NOTIFY_LISTEN_PROVIDER: 'sse',
      NOTIFY_LISTEN_LOG: 'memory:',
    });
    expect(settings).toMatchObject({
      secrets: [`${SECRET}-1`, `${SECRET}-2`],
      namespace: 'shop-eu_1',
      retention: 3_600_000,
    });
    expect(lines).toEqual([]);
  });

  test.each([
    ['7m', 420_000],
    ['300s', 300_000],
    ['300000ms', 300_000],
    ['', 420_000],
  ])('retention %j is %i ms', (text, ms) => {
    expect(read({ NOTIFY_LISTEN_RETENTION: text }).settings?.retention).toBe(ms);
  });

  test.each(['7', 'm', '-7m', '7 m', '1.5h', '7M', '0m', '4m', '299999ms', 'NaN'])(
    'retention %j is a mistake',
    (text) => {
      expect(read({ NOTIFY_LISTEN_RETENTION: text }).error?.message).toMatch(/NOTIFY_LISTEN_RETENTION/);
    },
  );

  test('every mistake is named, each with its fix', () => {
    const { error } = read({
      NODE_ENV: 'production',
      NOTIFY_LISTEN_PROVIDER: 'pigeon',
      NOTIFY_LISTEN_LOG: 'mysql://localhost',
      NOTIFY_LISTEN_NAMESPACE: 'no spaces',
      NOTIFY_LISTEN_RETENTION: 'long',
    });
    expect(error?.message.split('\n')).toEqual([
      'notify-listen is not configured:',
      expect.stringMatching(/^- NOTIFY_LISTEN_PROVIDER is "pigeon"; this version knows: sse, pusher, ably$/),
      expect.stringMatching(/^- NOTIFY_LISTEN_LOG names "mysql:"; this version knows: memory:/),
      expect.stringMatching(/^- NOTIFY_LISTEN_SECRET is required in production; make one with: openssl/),
      expect.stringMatching(/^- NOTIFY_LISTEN_NAMESPACE must be/),
      expect.stringMatching(/^- NOTIFY_LISTEN_RETENTION is "long"; write a number with a unit/),
    ]);
  });

  test('a short secret is a mistake, told by its number only', () => {
    const { error } = read({ NOTIFY_LISTEN_SECRET: `${SECRET},hunter2` });
    expect(error?.message).toMatch('secret 2 of 2');
  });

  test('row 66: in production a shared engine needs a namespace', () => {
    const shared = { NODE_ENV: 'production', NOTIFY_LISTEN_SECRET: SECRET, NOTIFY_LISTEN_LOG: 'redis://localhost' };
    expect(read(shared).error?.message).toMatch('NOTIFY_LISTEN_NAMESPACE is required in production');
    expect(read({ ...shared, NOTIFY_LISTEN_NAMESPACE: 'shop' }).settings).toMatchObject({ log: 'redis://localhost' });
  });

  test('a shared log needs a secret everywhere: processes with different ones do not understand each other', () => {
    expect(read({ NOTIFY_LISTEN_LOG: 'nats://localhost' }).error?.message).toMatch(
      'NOTIFY_LISTEN_SECRET is required with a',
    );
  });

  test('an engine’s URL that is wrong is told without its password; a package that is missing, with the command', () => {
    for (const address of [
      'redis://ann:hunter2@',
      'postgres://ann:hunter2@db/x?migrate=perhaps',
      'nats://ann:hunter2@:x',
    ]) {
      const [mistake, ...more] = mistakesInLog(address);
      expect(mistake).toMatch(/^NOTIFY_LISTEN_LOG: the (URL|address) of the \w+ log/);
      expect(mistake).not.toMatch('hunter2');
      expect(more).toEqual([]);
    }
    expect(mistakesInLog('postgres://db/x', () => false)).toEqual([
      'NOTIFY_LISTEN_LOG needs the package "pg"; run: npm install pg',
    ]);
    for (const address of [
      'memory:',
      'file:./log',
      'rediss://cache:6380/1',
      'postgresql://db/x',
      'nats://a:4222,b:4222',
    ])
      expect(mistakesInLog(address)).toEqual([]);
  });

  test('row 66: so does a provider, whatever the log', () => {
    const env = { NODE_ENV: 'production', NOTIFY_LISTEN_SECRET: SECRET, NOTIFY_LISTEN_PROVIDER: 'ably' };
    expect(read(env).error?.message).toMatch('NOTIFY_LISTEN_NAMESPACE is required in production');
    const own = { ...env, NOTIFY_LISTEN_PROVIDER: 'sse' };
    expect(read(own, { ownAdapter: 'own' }).error?.message).toMatch('NOTIFY_LISTEN_NAMESPACE is required');
    expect(read({ ...env, NOTIFY_LISTEN_NAMESPACE: 'shop' }).settings).toMatchObject({
      provider: 'ably',
      log: 'memory:',
    });
  });

  test('an adapter of the application’s own wins over the constant', () => {
    const env = { NOTIFY_LISTEN_SECRET: SECRET, NOTIFY_LISTEN_PROVIDER: 'pigeon' };
    expect(read(env, { ownAdapter: 'own' }).settings?.provider).toBe('own');
  });

  test('a misspelt constant is told with the nearest known one, and without its value', () => {
    const misspelt = { NOTIFY_LISTEN_PROVDER: 'ably', NOTIFY_LISTEN_SECRETS: 'hunter2', NOTIFY_LISTEN_LOGS: undefined };
    const { lines } = read({ NOTIFY_LISTEN_SECRET: SECRET, ...misspelt, NOTIFY_LISTENER: 'x' });
    expect(lines).toEqual([
      { level: 'warn', message: 'NOTIFY_LISTEN_PROVDER is not known; did you mean NOTIFY_LISTEN_PROVIDER?' },
      { level: 'warn', message: 'NOTIFY_LISTEN_SECRETS is not known; did you mean NOTIFY_LISTEN_SECRET?' },
    ]);
    // It may be why a required one is missing.
    const failed = read({ NODE_ENV: 'production', NOTIFY_LISTEN_SECRT: SECRET });
    expect(failed.error?.message).toMatch('NOTIFY_LISTEN_SECRET is required');
    expect(failed.lines.map(({ message }) => message)).toEqual([expect.stringContaining('NOTIFY_LISTEN_SECRT')]);
  });

  test.each([
    ['PUSHER_KEY', 'pusher'],
    ['ABLY_API_KEY', 'ably'],
  ])('%s without a provider is told by one info line', (key, provider) => {
    const env = { NOTIFY_LISTEN_SECRET: SECRET, [key]: 'the-key' };
    const { lines } = read(env);
    expect(lines).toEqual([{ level: 'info', message: expect.stringContaining(`NOTIFY_LISTEN_PROVIDER=${provider}`) }]);
    expect(lines[0]?.message).toMatch(`${key} is set`);
    expect(JSON.stringify(lines)).not.toContain('the-key');
    expect(read({ ...env, NOTIFY_LISTEN_PROVIDER: 'sse' }).lines).toEqual([]);
    expect(read({ ...env, [key]: '' }).lines).toEqual([]);
    expect(read(env, { ownAdapter: 'own' }).lines).toEqual([]);
  });

  test('two processes on the memory log: in production it warns that it is for one', () => {
    const env = { NODE_ENV: 'production', NOTIFY_LISTEN_SECRET: SECRET };
    expect(read(env).lines.map(({ message }) => message)).toEqual([expect.stringContaining('one process only')]);
    expect(read(env, { ownLog: true }).lines).toEqual([]);
    expect(read({ ...env, NOTIFY_LISTEN_LOG: 'whatever:' }, { ownLog: true }).error).toBeUndefined();
  });

  test('row 61: no message, no warning and no line holds a secret or an engine’s password', () => {
    const secrets = ['hunter2', 'correct-horse-battery', 'p4ssw0rd'];
    for (const log of ['redis://user:p4ssw0rd@host', 'p4ssw0rd', 'p4ssw0rd@host', '//user:p4ssw0rd@host']) {
      const { error, lines } = read({
        NODE_ENV: 'production',
        NOTIFY_LISTEN_SECRET: 'hunter2,correct-horse-battery',
        NOTIFY_LISTEN_LOG: log,
      });
      expect(error).toBeDefined();
      for (const secret of secrets) expect(`${error?.stack}${JSON.stringify(lines)}`).not.toContain(secret);
    }
  });
});

describe('createNotifier', () => {
  const wrong = {
    user: 'ann',
    canListen: { Order: { one: true }, Report: {} },
    heartbeat: 0,
    grantLife: Number.NaN,
    limits: { bodyBytes: -1 },
    origins: ['app.example', 'https://app.example/'],
    logger: () => {},
    env: { NODE_ENV: 'production' },
  } as unknown as NotifierOptions;

  test('names every mistake in the options and in the environment at once', () => {
    let message = '';
    try {
      createNotifier(wrong);
    } catch (error) {
      message = (error as Error).message;
    }
    for (const field of [
      'user:',
      'canListen.Order.one:',
      'canListen.Report:',
      'heartbeat:',
      'grantLife:',
      'limits.bodyBytes:',
      'origins: "app.example"',
      'origins: "https://app.example/"',
      'NOTIFY_LISTEN_SECRET is required',
    ])
      expect(message).toContain(`- ${field}`);
  });

  test.each([undefined, null, 'Order'])('canListen that is %j is a mistake, not a crash', (canListen) => {
    expect(() =>
      createNotifier({ user: () => 'ann', canListen, logger: () => {} } as unknown as NotifierOptions),
    ).toThrow(/canListen: must name/);
  });
});
