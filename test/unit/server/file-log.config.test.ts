/** `NOTIFY_LISTEN_LOG=file:…` among the environment constants. */
import { describe, expect, test } from 'vitest';
import { readConfig } from '../../../server/config.js';
import type { LogLine } from '../../../server/types.js';

const SECRET = 'a-secret-that-is-long-enough';

function read(env: Record<string, string>): { log?: string; error?: string; lines: LogLine[] } {
  const lines: LogLine[] = [];
  try {
    const options = { grantLife: 300_000, ownLog: false, logger: (line: LogLine) => lines.push(line) };
    return { log: readConfig({ NOTIFY_LISTEN_SECRET: SECRET, ...env }, options).log, lines };
  } catch (error) {
    return { error: (error as Error).message, lines };
  }
}

describe('the file log in the configuration', () => {
  test.each(['file:./notify.log', 'file:/var/lib/app/notify.log', 'file:///var/lib/app/notify.log'])(
    '%s',
    (address) => {
      expect(read({ NOTIFY_LISTEN_LOG: address })).toEqual({ log: address, lines: [] });
    },
  );

  test.each(['file:', 'file:./', 'file://host/notify.log'])('%s is a mistake, with its fix', (address) => {
    expect(read({ NOTIFY_LISTEN_LOG: address }).error).toMatch(
      `NOTIFY_LISTEN_LOG: "${address}" ${address.includes('host') ? 'is not a URL of a file' : 'names no file'}`,
    );
    expect(read({ NOTIFY_LISTEN_LOG: address }).error).toMatch('write file:./path or file:/path');
  });

  test('another scheme names what is known', () => {
    expect(read({ NOTIFY_LISTEN_LOG: 'files:./x' }).error).toMatch(
      'NOTIFY_LISTEN_LOG names "files:"; this version knows: memory:, file:./path, redis://…, postgres://… and nats://…',
    );
  });

  test('in production it needs no namespace, since nobody shares it, and no warning', () => {
    expect(read({ NODE_ENV: 'production', NOTIFY_LISTEN_LOG: 'file:./notify.log' })).toEqual({
      log: 'file:./notify.log',
      lines: [],
    });
  });

  test('the warning of the memory log in production names it', () => {
    const [line] = read({ NODE_ENV: 'production' }).lines;
    expect(line?.message).toMatch('one process only');
    expect(line?.message).toMatch('NOTIFY_LISTEN_LOG=file:./path');
  });
});
