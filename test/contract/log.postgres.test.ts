/** The log in Postgres keeps the contract of a log: with LISTEN, and polled. */
import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { logContract } from '../../adapters/testing/index.js';
import { createPostgresLog } from '../../server/log/postgres.js';
import { missingPostgres, type PostgresServer, startPostgres } from '../kit/engines/postgres.js';

const RETENTION = 400;

const reason = missingPostgres();

describe.skipIf(reason)(`the log in Postgres${reason && ` (${reason})`}`, () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.close());

  const WAYS = [
    ['with LISTEN', ''],
    ['polled', 'listen=false'],
  ] as const;

  // Each case has a namespace of its own, and waits more than it computes.
  describe.concurrent.each(WAYS)('%s', (_name, query) => {
    const cases = (retention: number) =>
      logContract(
        () => {
          const namespace = randomUUID();
          const log = () => createPostgresLog({ url: server.at({ query }), namespace, retention, logger: () => {} });
          return {
            a: log(),
            b: log(),
            pass: (ms) => wait(ms),
            async lose() {
              await server.sql('DELETE FROM notify_listen.log WHERE namespace = $1', [namespace]);
            },
          };
        },
        { retention, rounds: 20, leaseTtl: 400 },
      );
    // What passes while a busy machine stands still must not expire in the others.
    const isShort = ({ name }: { name: string }): boolean => name.startsWith('retention');
    for (const { name, run } of cases(60_000).filter((one) => !isShort(one))) test(name, run, 15_000);
    for (const { name, run } of cases(RETENTION).filter(isShort)) test(name, run, 15_000);
  });
});
