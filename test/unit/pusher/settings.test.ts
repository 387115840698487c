/** Environment constants of Pusher -> settings: every mistake is named with its fix. */
import { describe, expect, test } from 'vitest';
import { createPusherAdapter, readPusherSettings } from '../../../adapters/pusher/server.js';

const good = { PUSHER_APP_ID: '123', PUSHER_KEY: 'a1b2', PUSHER_SECRET: 's3cret', PUSHER_CLUSTER: 'eu' };
const settingsOf = (env: Record<string, string>) => {
  const { settings, mistakes } = readPusherSettings({ ...good, ...env });
  expect(mistakes).toEqual([]);
  if (!settings) throw new Error('no settings without a mistake');
  return settings;
};
const publicOf = (env: Record<string, string>) =>
  createPusherAdapter({ ...settingsOf(env), namespace: 'shop' }).publicSettings;

describe('settings', () => {
  test('an application at Pusher', () => {
    expect(settingsOf({})).toEqual({
      appId: '123',
      key: 'a1b2',
      secret: 's3cret',
      cluster: 'eu',
      scheme: 'https',
      fixedNames: false,
    });
  });

  test('a compatible server', () => {
    const server = { PUSHER_CLUSTER: '', PUSHER_HOST: 'soketi', PUSHER_PORT: '6001', PUSHER_SCHEME: 'http' };
    expect(settingsOf(server)).toMatchObject({ host: 'soketi', port: 6001, scheme: 'http' });
    expect(publicOf(server)).toEqual({ key: 'a1b2', host: 'soketi', port: 6001, scheme: 'http' });
  });

  test('a compatible server that browsers reach elsewhere', () => {
    const server = { PUSHER_HOST: 'soketi', PUSHER_PORT: '6001', PUSHER_SCHEME: 'http' };
    const outside = { PUSHER_PUBLIC_HOST: 'ws.example.com', PUSHER_PUBLIC_SCHEME: 'https' };
    expect(publicOf({ ...server, ...outside })).toEqual({
      key: 'a1b2',
      cluster: 'eu',
      host: 'ws.example.com',
      scheme: 'https',
    });
    expect(publicOf({ ...server, ...outside, PUSHER_PUBLIC_PORT: '8443' })).toMatchObject({ port: 8443 });
  });

  test('the secret and the application id never reach a page', () => {
    expect(JSON.stringify(publicOf({ PUSHER_HOST: 'h' }))).not.toMatch(/s3cret|123/);
  });

  test('any cluster is passed on', () =>
    expect(publicOf({ PUSHER_CLUSTER: 'new-region-7' })).toMatchObject({ cluster: 'new-region-7' }));

  test('without anything, all that is missing is named at once', () => {
    const { settings, mistakes } = readPusherSettings({});
    expect(settings).toBeUndefined();
    expect(mistakes.map((mistake) => mistake.split(' ')[0])).toEqual([
      'PUSHER_APP_ID',
      'PUSHER_KEY',
      'PUSHER_SECRET',
      'PUSHER_CLUSTER',
    ]);
  });

  test.each([
    ['PUSHER_APP_ID', 'a/b', 'copy it again'],
    ['PUSHER_KEY', 'a b', 'copy it again'],
    ['PUSHER_SECRET', 'a1b2', 'the same as PUSHER_KEY'],
    ['PUSHER_CLUSTER', 'ws-eu.pusher.com', 'the short name'],
    ['PUSHER_HOST', 'https://soketi.example.com', 'the host alone'],
    ['PUSHER_HOST', 'soketi.example.com:6001', 'the host alone'],
    ['PUSHER_PORT', '70000', 'from 1 to 65535'],
    ['PUSHER_PORT', 'https', 'from 1 to 65535'],
    ['PUSHER_SCHEME', 'wss', 'https or http'],
    ['PUSHER_PUBLIC_HOST', 'a/b', 'the host alone'],
    ['PUSHER_PUBLIC_PORT', '0', 'from 1 to 65535'],
    ['PUSHER_PUBLIC_SCHEME', 'tcp', 'https or http'],
    ['PUSHER_FIXED_NAMES', 'yes', 'true or false'],
  ])('%s=%s names its fix', (name, value, fix) => {
    const { settings, mistakes } = readPusherSettings({ ...good, PUSHER_HOST: 'soketi', [name]: value });
    expect(settings).toBeUndefined();
    expect(mistakes).toHaveLength(1);
    expect(mistakes[0]).toMatch(new RegExp(`^${name} `));
    expect(mistakes[0]).toContain(fix);
  });

  test.each(['PUSHER_PORT', 'PUSHER_PUBLIC_HOST', 'PUSHER_PUBLIC_PORT'])('%s alone asks for PUSHER_HOST', (name) => {
    expect(readPusherSettings({ ...good, [name]: '6001' }).mistakes.join()).toContain('PUSHER_HOST');
  });

  test.each(['127.0.0.1', '[::1]', 'localhost', 'a.b.example.com', 'my_service'])('%s is a host', (PUSHER_HOST) => {
    expect(settingsOf({ PUSHER_HOST }).host).toBe(PUSHER_HOST);
  });
});
