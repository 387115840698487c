/** The log that `NOTIFY_LISTEN_LOG` names. The engines' own packages are loaded by their drivers, with the first use. */
import type { Log } from '../adapters/contract.js';
import type { Settings } from './config.js';
import { isInstalled } from './installed.js';
import { isFileAddress, pathOf } from './log/file/address.js';
import { createFileLog } from './log/file.js';
import { createMemoryLog } from './log/memory.js';
import { readNatsUrl } from './log/nats/url.js';
import { createNatsLog } from './log/nats.js';
import { readPostgresAddress } from './log/postgres/address.js';
import { createPostgresLog } from './log/postgres.js';
import { parseRedisUrl } from './log/redis/url.js';
import { createRedisLog } from './log/redis.js';
import type { LogLine } from './types.js';

interface LogOptions {
  readonly url: string;
  readonly namespace: string;
  readonly retention: number;
  readonly logger: (line: LogLine) => void;
}

/** An engine that several processes share. */
interface Engine {
  readonly schemes: RegExp;
  /** The package that the application installs. */
  readonly package: string;
  /** @throws Error that says what is wrong with the address, without its password. */
  readonly read: (address: string) => unknown;
  readonly create: (options: LogOptions) => Log;
}

const ENGINES: readonly Engine[] = [
  { schemes: /^rediss?(\+\w+)?:/i, package: 'ioredis', read: parseRedisUrl, create: createRedisLog },
  { schemes: /^postgres(ql)?:/i, package: 'pg', read: readPostgresAddress, create: createPostgresLog },
  { schemes: /^(nats|tls):/i, package: 'nats', read: readNatsUrl, create: createNatsLog },
];

/** What this version knows, as it is told. */
const LOGS = 'memory:, file:./path, redis://…, postgres://… and nats://…';

const engineOf = (address: string): Engine | undefined => ENGINES.find(({ schemes }) => schemes.test(address));

/**
 * What is wrong with the address of a log, one sentence for each mistake.
 *
 * @param installed tells whether a package can be loaded. Default: looks for it as this package would.
 */
export function mistakesInLog(address: string, installed: (name: string) => boolean = isInstalled): string[] {
  if (address === 'memory:') return [];
  const file = isFileAddress(address);
  const engine = engineOf(address);
  if (!file && !engine) {
    // A host and a port without a scheme are easily typed, and hold no password.
    if (/^[\w.-]+:\d+$/.test(address))
      return [`NOTIFY_LISTEN_LOG is "${address}", without a scheme; write redis://${address}, say`];
    // An engine's URL may hold a password: only its scheme is told.
    const [scheme = 'no scheme'] = /^[a-z][a-z0-9+.-]*:/i.exec(address) ?? [];
    return [`NOTIFY_LISTEN_LOG names "${scheme}"; this version knows: ${LOGS}`];
  }
  try {
    if (file) pathOf(address);
    else engine?.read(address);
  } catch (error) {
    const { message } = error as Error;
    return [`NOTIFY_LISTEN_LOG: ${file ? `"${address}" ${message}; write file:./path or file:/path` : message}`];
  }
  // Found out at the start, and not at the first notification.
  if (engine && !installed(engine.package))
    return [`NOTIFY_LISTEN_LOG needs the package "${engine.package}"; run: npm install ${engine.package}`];
  return [];
}

/** Whether other processes may be on it, so that its contents need the name of an environment. */
export function isShared(address: string): boolean {
  return engineOf(address) !== undefined;
}

/** @throws Error when the log cannot be had: another process has its file, say. */
export function createLog(
  { log: address, retention, namespace }: Pick<Settings, 'log' | 'retention' | 'namespace'>,
  logger: (line: LogLine) => void,
): Log {
  const engine = engineOf(address);
  if (engine) return engine.create({ url: address, namespace, retention, logger });
  return isFileAddress(address)
    ? createFileLog({ path: pathOf(address), retention, logger })
    : createMemoryLog({ retention });
}
