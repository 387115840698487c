/** The NATS log keeps the contract of a log, on a real server: one for the file, with a namespace for each case. */
import { setTimeout as wait } from 'node:timers/promises';
import { logContract } from 'notify-listen/testing';
import { afterAll, beforeAll, test } from 'vitest';
import { createNatsLog } from '../../server/log/nats.js';
import { deleteStream, type NatsServer, startNats, withNats } from '../kit/engines/nats.js';

/** Long enough for a slow case to read what it appended; the server looks for what has expired a few times a second. */
const RETENTION = 800;

withNats('the NATS log', () => {
  let server: NatsServer | undefined;
  beforeAll(async () => {
    server = await startNats();
  });
  afterAll(() => server?.stop());

  let logs = 0;
  const cases = (retention: number) =>
    logContract(
      () => {
        logs += 1;
        const options = { url: server?.url ?? '', namespace: `case-${logs}`, retention, cap: 5_000 };
        const { namespace } = options;
        return {
          a: createNatsLog(options),
          b: createNatsLog(options),
          pass: (ms) => wait(ms),
          lose: () => deleteStream(options.url, `notify-listen-log-${namespace}`),
        };
      },
      { retention, leaseTtl: 500, rounds: 20 },
    );
  const isShort = ({ name }: { name: string }): boolean => name.startsWith('retention');
  for (const { name, run } of cases(60_000).filter((one) => !isShort(one))) test(name, run, 20_000);
  for (const { name, run } of cases(RETENTION).filter(isShort)) test(name, run, 20_000);
});
