/** The file log keeps the contract of a log, and keeps it over a restart between any two of its steps. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'vitest';
import type { Log } from '../../adapters/contract.js';
import { type LogNodes, logContract } from '../../adapters/testing/index.js';
import { type FileEngine, openFileEngine } from '../../server/log/file/engine.js';
import { nodeDisk } from '../../server/log/file/node-disk.js';
import { createHandle } from '../../server/log/handle.js';

const RETENTION = 60_000;

function fileNodes(smallest?: number): LogNodes {
  let time = 1_000;
  const folder = mkdtempSync(join(tmpdir(), 'file-log-'));
  const engine: FileEngine = openFileEngine({
    path: join(folder, 'notify.log'),
    retention: RETENTION,
    cap: 20_000,
    logger: (line) => {
      if (line.level !== 'info') throw new Error(line.message, { cause: line.error });
    },
    disk: nodeDisk,
    now: () => time,
    wall: () => 1_700_000_000_000,
    repeat: () => () => {},
    ...(smallest !== undefined && { smallest }),
  });
  const handle = (): Log =>
    createHandle(engine, { name: 'file', capabilities: { shared: false, durable: true, dedupes: true } });
  return {
    a: handle(),
    b: handle(),
    async pass(ms) {
      time += ms;
    },
    async close() {
      await engine.close();
      rmSync(folder, { recursive: true });
    },
  };
}

describe('the file log', () => {
  for (const { name, run } of logContract(() => fileNodes(), { retention: RETENTION })) test(name, run, 15_000);
});

describe('the file log that is replaced all the time', () => {
  for (const { name, run } of logContract(() => fileNodes(1), { retention: RETENTION, rounds: 20 }))
    test(name, run, 15_000);
});
