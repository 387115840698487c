import { describe, expect, test } from 'vitest';
import { readAblySettings } from '../../../adapters/ably/server.js';

const key = 'aBcD1e.fGhI2j:k3Lm-No_pQ4rS5';

describe('the constants of Ably', () => {
  test('need no more than the key', () => {
    expect(readAblySettings({ ABLY_API_KEY: ` ${key} ` })).toEqual({ settings: { key }, mistakes: [] });
  });

  test('name a local server', () => {
    expect(
      readAblySettings({ ABLY_API_KEY: key, ABLY_HOST: '127.0.0.1', ABLY_PORT: '8081', ABLY_TLS: 'false' }).settings,
    ).toEqual({ key, host: '127.0.0.1', port: 8081, tls: false });
  });

  test('tell every mistake at once, and never what they hold', () => {
    const { settings, mistakes } = readAblySettings({
      ABLY_API_KEY: 'secret-without-a-name',
      ABLY_HOST: 'https://ably.example/x',
      ABLY_PORT: '70000',
      ABLY_TLS: 'perhaps',
    });
    expect(settings).toBeUndefined();
    expect(mistakes.map((mistake) => /^ABLY_\w+/.exec(mistake)?.[0])).toEqual([
      'ABLY_API_KEY',
      'ABLY_HOST',
      'ABLY_PORT',
      'ABLY_TLS',
    ]);
    expect(mistakes.join()).not.toContain('secret-without-a-name');
  });

  test.each([
    [{}, /ABLY_API_KEY is required/],
    [{ ABLY_API_KEY: '' }, /ABLY_API_KEY is required/],
    [{ ABLY_API_KEY: 'aBcD1e.fGhI2j' }, /whole key/],
    [{ ABLY_API_KEY: 'noDot:secret' }, /whole key/],
    [{ ABLY_API_KEY: key, ABLY_PORT: '80.5', ABLY_HOST: 'h' }, /ABLY_PORT/],
    [{ ABLY_API_KEY: key, ABLY_TLS: 'false' }, /needs ABLY_HOST/],
  ])('refuse %j', (env, sentence) => {
    expect(readAblySettings(env).mistakes).toEqual([expect.stringMatching(sentence)]);
  });
});
