/** `notify-listen emulate`, as a process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { emulate, UsageError } from '../../../adapters/emulators/command.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const running: ChildProcess[] = [];
afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL');
});

interface Run {
  readonly child: ChildProcess;
  readonly text: { out: string; err: string };
  readonly ended: Promise<number | null>;
}

function run(...args: string[]): Run {
  const child = spawn(process.execPath, ['--import', 'tsx', 'adapters/emulators/cli.ts', ...args], { cwd: root });
  running.push(child);
  const text = { out: '', err: '' };
  child.stdout.on('data', (chunk) => (text.out += chunk));
  child.stderr.on('data', (chunk) => (text.err += chunk));
  return { child, text, ended: new Promise((done) => child.once('close', done)) };
}

const PUSHER = {
  NOTIFY_LISTEN_PROVIDER: 'pusher',
  PUSHER_APP_ID: '1',
  PUSHER_KEY: 'shop-key',
  PUSHER_SECRET: 'local-secret',
  PUSHER_CLUSTER: 'local',
  PUSHER_HOST: '127.0.0.1',
  PUSHER_PORT: expect.stringMatching(/^\d+$/),
  PUSHER_SCHEME: 'http',
};
const ABLY = {
  NOTIFY_LISTEN_PROVIDER: 'ably',
  ABLY_API_KEY: 'shop.main:secret=with=signs',
  ABLY_HOST: '127.0.0.1',
  ABLY_PORT: expect.stringMatching(/^\d+$/),
  ABLY_TLS: 'false',
};

test.each([
  [
    ['pusher', '--key', 'shop-key', '--faults', '{"connections":4100}', '--sandbox', '--subscription-count'],
    PUSHER,
    { connections: 4100 },
  ],
  [['ably', '--key', 'shop.main:secret=with=signs', '--plan', 'free', '--faults', '{"delay":1}'], ABLY, { delay: 1 }],
])('emulate %j prints the constants and nothing else, serves, and ends by Ctrl-C', async (args, constants, faults) => {
  const { child, text, ended } = run('emulate', ...args, '--port', '0');
  await expect.poll(() => text.err).toContain('Ctrl-C');
  const lines = text.out.trim().split('\n');
  const env = Object.fromEntries(lines.map((line) => [line.replace(/=.*/, ''), line.replace(/^[^=]*=/, '')]));
  expect(env).toEqual(constants);
  const port = env.PUSHER_PORT ?? env.ABLY_PORT;
  expect(await (await fetch(`http://127.0.0.1:${port}/__faults`)).json()).toMatchObject({ faults });
  // Also while it is away: nothing may keep the process.
  await fetch(`http://127.0.0.1:${port}/__faults`, { method: 'POST', body: '{"stopFor":3600000}' });
  child.kill('SIGINT');
  expect(await ended).toBe(0);
});

test.each([
  [['serve'], 'There is no command "serve"'],
  [['emulate'], 'the provider is missing'],
  [['emulate', 'kafka'], '"kafka" is none'],
  [['emulate', 'toString'], '"toString" is none'],
  [['emulate', 'pusher', '--prot', '1'], "Unknown option '--prot'"],
  [['emulate', 'pusher', 'again'], "Unexpected argument 'again'"],
  [['emulate', 'pusher', '--port'], "Option '--port <value>' argument missing"],
  [['emulate', 'pusher', '--port', '65536'], '--port is a number from 0 to 65535'],
  [['emulate', 'pusher', '--port', ''], '--port is a number from 0 to 65535'],
  [['emulate', 'pusher', '--faults', '[]'], '--faults is a JSON object'],
  [['emulate', 'pusher', '--faults', '{'], '--faults is a JSON object'],
  [['emulate', 'pusher', '--faults', '{"dely":1}'], 'There is no fault "dely"'],
  [['emulate', 'pusher', '--port', '0', '--key', 'a b'], 'key is letters'],
  [['emulate', 'ably', '--sandbox'], "Unknown option '--sandbox'"],
  [['emulate', 'ably', '--plan', 'huge'], '--plan is free, standard or pro'],
  [['emulate', 'ably', '--port', '0', '--key', 'huge'], 'key'],
])('%j is a mistake, and is told', async (args, why) => {
  const error = await emulate(args).catch((mistake: unknown) => mistake);
  expect(error).toBeInstanceOf(UsageError);
  expect((error as UsageError).message).toContain(why);
});

test('a mistake ends the process with 2 and the usage', async () => {
  const { text, ended } = run('emulate', 'kafka');
  expect(await ended).toBe(2);
  expect(text.err).toContain('"kafka" is none');
  expect(text.err).toContain('Usage:');
  expect(text.out).toBe('');
});

test('help is asked for, and is no mistake; a port that is taken is one of another kind', async () => {
  expect(await emulate(['emulate', 'pusher', '--help'])).toBeUndefined();
  expect(await emulate([])).toBeUndefined();
  const first = await emulate(['emulate', 'pusher', '--port', '0', '--no-client-events']);
  const error = await emulate(['emulate', 'pusher', '--port', String(first?.port)]).catch(
    (mistake: unknown) => mistake,
  );
  expect(error).toMatchObject({ code: 'EADDRINUSE' });
  expect(error).not.toBeInstanceOf(UsageError);
  await first?.close();
});
