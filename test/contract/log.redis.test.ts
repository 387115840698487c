/** The Redis log keeps the contract of a log, on a server of its own; two handles stand for two nodes. */
import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { createRedisLog } from 'notify-listen/log/redis';
import { type LogNodes, logContract } from 'notify-listen/testing';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { missingRedis, type RedisServer, startRedis } from '../kit/engines/redis.js';

const reason = missingRedis();
/** Real milliseconds: the engine's clock cannot be moved. */
const RETENTION = 400;
const LEASE = 300;

describe.skipIf(reason)(`the redis log${reason && ` (${reason})`}`, () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server?.remove());

  function nodes(retention: number): LogNodes {
    const namespace = randomUUID();
    const log = () => createRedisLog({ url: server.url, namespace, retention, logger: () => {} });
    return {
      a: log(),
      b: log(),
      pass: (ms) => wait(ms),
      async lose() {
        await server.command('FLUSHALL');
      },
    };
  }

  const options = { retention: RETENTION, leaseTtl: LEASE, rounds: 15 };
  for (const { name, run } of logContract(() => nodes(60_000), options))
    if (!name.startsWith('retention:')) test(name, run);
  // What passes while a busy machine stands still must not expire in the others.
  for (const { name, run } of logContract(() => nodes(RETENTION), options))
    if (name.startsWith('retention:')) test(name, run);
});
