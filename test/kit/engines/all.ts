/** The engines of shared logs alike: what every one of them must do, is tried on every one. */
import { missingNats, startNats } from './nats.js';
import { missingPostgres, startPostgres } from './postgres.js';
import { missingRedis, startRedis } from './redis.js';

/** A private server that runs. */
export interface Engine {
  /** As `NOTIFY_LISTEN_LOG` takes it. */
  readonly url: string;
  /** `kill -9`. */
  kill(): Promise<void>;
  /** Starts it again, on the same port and with the files that it left. */
  start(): Promise<void>;
  /** Ends it and removes its files. */
  close(): Promise<void>;
}

export interface EngineKind {
  readonly name: 'redis' | 'postgres' | 'nats';
  /** Why it is skipped; `''`: it is there. Throws the reason in CI, where nothing is skipped. */
  readonly missing: string;
  start(): Promise<Engine>;
}

export const ENGINES: readonly EngineKind[] = [
  {
    name: 'redis',
    missing: missingRedis(),
    async start() {
      const server = await startRedis();
      return { url: server.url, kill: server.kill, start: server.start, close: server.remove };
    },
  },
  {
    name: 'postgres',
    missing: missingPostgres(),
    async start() {
      const { url, kill, start, close } = await startPostgres();
      return { url, kill, start, close };
    },
  },
  {
    name: 'nats',
    missing: missingNats(),
    async start() {
      const { url, kill, start, stop } = await startNats();
      return { url, kill, start, close: stop };
    },
  },
];
