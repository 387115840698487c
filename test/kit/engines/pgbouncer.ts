/** PgBouncer in transaction mode in front of a private Postgres. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import { freePort } from '../proxies.js';
import type { PostgresServer } from './postgres.js';
import { findBouncer, identity, own } from './postgres-binaries.js';

/** How long it may take until it answers, in milliseconds. It takes some tens. */
const START_MS = 20_000;

export interface Bouncer {
  readonly port: number;
  close(): Promise<void>;
}

/** PgBouncer in transaction mode in front of a server, with so many connections to it. */
export async function startBouncer(server: PostgresServer, connections = 3): Promise<Bouncer> {
  const folder = mkdtempSync(join(tmpdir(), 'nl-pgbouncer-'));
  own(folder);
  const port = await freePort();
  writeFileSync(
    join(folder, 'pgbouncer.ini'),
    `[databases]
* = host=127.0.0.1 port=${server.port} user=admin
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = ${connections}
max_client_conn = 100
`,
  );
  const child = spawn(findBouncer() as string, [join(folder, 'pgbouncer.ini')], {
    stdio: ['ignore', 'ignore', 'pipe'],
    ...identity(),
  });
  let printed = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    printed = (printed + chunk).slice(-10_000);
  });
  const exited = once(child, 'exit');
  const abandoned = (): void => void child.kill('SIGKILL');
  process.once('exit', abandoned);
  const late = Date.now() + START_MS;
  for (;;) {
    const client = new pg.Client({ connectionString: server.at({ port }) });
    client.on('error', () => {});
    try {
      await client.connect();
      await client.query('SELECT 1');
      break;
    } catch {
      if (child.exitCode !== null || Date.now() > late) throw new Error(`PgBouncer did not start\n${printed}`);
      await wait(20);
    } finally {
      await client.end().catch(() => {});
    }
  }
  return {
    port,
    async close() {
      child.kill('SIGKILL');
      await exited;
      process.off('exit', abandoned);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
