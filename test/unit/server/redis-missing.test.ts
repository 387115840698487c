/** The Redis log where its client is not installed. */
import { afterEach, expect, test, vi } from 'vitest';
import { createRedisLog } from '../../../server/log/redis.js';

afterEach(() => vi.doUnmock('ioredis'));

test('without the package ioredis, calls reject and name it', async () => {
  vi.doMock('ioredis', () => {
    throw new Error("Cannot find package 'ioredis'");
  });
  const log = createRedisLog({ url: 'redis://127.0.0.1:1', logger: () => {} });
  await expect(log.append([{ kind: 'resync' }])).rejects.toThrow(/needs the package "ioredis": npm install ioredis/);
  await log.close();
});
