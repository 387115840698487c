/** What all logs on shared engines have in common, with an engine in memory: with hints, without, and read in small pieces. */
import { logContract } from 'notify-listen/testing';
import { describe, test } from 'vitest';
import { createSharedEngine } from '../kit/shared-engine.js';

const RETENTION = 60_000;

const WAYS = [
  ['with hints', { idle: 1_000 }],
  ['without hints', { idle: 2, hints: false }],
  ['in small pieces', { idle: 5, readLimit: 7 }],
] as const;

describe.each(WAYS)('a log on a shared engine, %s', (_name, way) => {
  const cases = logContract(
    () => {
      const engine = createSharedEngine({ retention: RETENTION });
      return {
        a: engine.node(way),
        b: engine.node(way),
        pass: async (ms: number) => engine.pass(ms),
        lose: async () => engine.lose(),
      };
    },
    { retention: RETENTION, rounds: 10 },
  );
  for (const { name, run } of cases) test(name, run);
});
