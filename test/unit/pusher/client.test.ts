/** What the page says where `pusher-js` is not installed: bundlers put a stand-in for an optional peer. */
import { afterEach, expect, test, vi } from 'vitest';
import type { ListenError } from '../../../adapters/errors.js';
import type { ProviderHost } from '../../../adapters/provider.js';
import { pusher } from '../../../adapters/pusher/client.js';
import { createTestWorld } from '../../kit/world.js';

afterEach(() => {
  vi.doUnmock('pusher-js');
  vi.resetModules();
});

test.each([
  ['throws when it is loaded', () => Promise.reject(new Error('Could not resolve "pusher-js"'))],
  ['is empty', () => ({ default: {} })],
  ['holds something else', () => ({ default: { default: {} } })],
  ['has no default', () => ({ default: undefined })],
])('a stand-in that %s: the page names the package', async (_how, standIn) => {
  vi.doMock('pusher-js', standIn);
  // Vitest puts it in place with the next import, anew with each that begins meanwhile: of three at once, one may miss it.
  await import('pusher-js').catch(() => {});
  const downs: ListenError[] = [];
  const world = createTestWorld(async () => {
    throw new Error('no request is made');
  });
  const connection = pusher().connect({
    config: { settings: { key: 'k', scheme: 'https' } } as unknown as ProviderHost['config'],
    world,
    authorise: async () => {
      throw new Error('nothing is asked');
    },
    attached: () => {},
    missed: () => {},
    message: () => {},
    down: (error) => downs.push(error),
  });
  await vi.waitFor(() => expect(downs).toHaveLength(1));
  connection.close();
  expect(downs[0]).toMatchObject({ code: 'unavailable' });
  expect(downs[0]?.message).toContain('"pusher-js" could not be loaded; it needs npm install pusher-js');
});
