/** A database of Redis that is not there: said, and never another one in its place. */
import { expect, onTestFinished, test } from 'vitest';
import { createRedisLog } from '../../server/log/redis.js';
import { missingRedis, startRedis } from '../kit/engines/redis.js';

const reason = missingRedis();

test.skipIf(reason)(reason || 'a database number above what the server has', async () => {
  const server = await startRedis();
  onTestFinished(() => server.remove());
  const at = (db: number) => {
    const log = createRedisLog({ url: `${server.url}/${db}`, logger: () => {} });
    onTestFinished(() => log.close());
    return log;
  };
  await expect(at(99).append([{ kind: 'resync' }])).rejects.toThrow('DB index is out of range');
  await at(3).append([{ kind: 'resync' }]);
  expect(await server.command('INFO', 'keyspace')).toMatch(/^# Keyspace\s+db3:/);
});
