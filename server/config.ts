/** Environment constants -> settings. Every mistake is found and reported together, each with its fix. */
import { randomBytes } from 'node:crypto';
import { SHORTEST_DURATION } from './duration.js';
import { isShared, mistakesInLog } from './logs.js';
import type { LogLine } from './types.js';

export interface Settings {
  /** The adapter's name. */
  readonly provider: string;
  /** The first signs, all verify. */
  readonly secrets: readonly string[];
  readonly namespace: string;
  /** `memory:`, `file:./path` or the URL of an engine. */
  readonly log: string;
  /** Milliseconds. */
  readonly retention: number;
  /** After how many milliseconds the platform cuts a request off. */
  readonly maxDuration: number | undefined;
  readonly production: boolean;
}

/** Retention that outlives every grant and a walk through a tunnel; Scout's default, and it served. */
const DEFAULT_RETENTION = '7m';
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
/** Shorter secrets can be searched for. */
const SHORTEST_SECRET = 16;

/** Which adapters this version carries. */
const PROVIDERS = ['sse', 'pusher', 'ably'];

/** Every constant of this package; those of a provider begin with its own name. */
const PREFIX = 'NOTIFY_LISTEN_';
const KNOWN = ['SECRET', 'PROVIDER', 'LOG', 'NAMESPACE', 'RETENTION', 'MAX_DURATION'].map((name) => PREFIX + name);
/** Constants that are set for a provider only. */
const KEYS: Readonly<Record<string, string>> = { PUSHER_KEY: 'pusher', ABLY_API_KEY: 'ably' };

/** A number with a unit, in milliseconds; `NaN` for anything else. */
function milliseconds(text: string): number {
  const [, amount, unit = ''] = /^(\d{1,9})(ms|s|m|h)$/.exec(text) ?? [];
  return Number(amount) * (UNITS[unit] ?? Number.NaN);
}

/** How many characters must be put in, taken out or replaced to make one text of the other. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, n) => n);
  [...from].forEach((character, n) => {
    const next = [n + 1];
    for (let k = 1; k <= to.length; k++) {
      const replaced = (row[k - 1] as number) + (character === to[k - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[k] as number) + 1, (next[k - 1] as number) + 1));
    }
    row = next;
  });
  return row[to.length] as number;
}

/** Tells of names that nobody reads: without their values, since a misspelt secret is a secret. */
function tellUnknown(env: Readonly<Record<string, string | undefined>>, logger: (line: LogLine) => void): void {
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || !name.startsWith(PREFIX) || KNOWN.includes(name)) continue;
    const [nearest] = [...KNOWN].sort((a, b) => distance(name, a) - distance(name, b));
    logger({ level: 'warn', message: `${name} is not known; did you mean ${nearest}?` });
  }
}

/** Tells of a provider's key that is set while the provider is not chosen. */
function tellUnusedKeys(env: Readonly<Record<string, string | undefined>>, logger: (line: LogLine) => void): void {
  const [key, provider] = Object.entries(KEYS).find(([name]) => env[name]) ?? [];
  if (!key || env.NOTIFY_LISTEN_PROVIDER) return;
  logger({
    level: 'info',
    message: `${key} is set, but NOTIFY_LISTEN_PROVIDER is not: the built-in SSE is used; to use the other, set NOTIFY_LISTEN_PROVIDER=${provider}`,
  });
}

/**
 * Reads the environment.
 *
 * @param grantLife milliseconds; the retention must be at least that, so that a revocation outlives what it cancels.
 * @param ownLog the application brings its own log, so `NOTIFY_LISTEN_LOG` is not asked; `shared`: other processes are on it.
 * @param ownAdapter the name of an adapter of its own, so `NOTIFY_LISTEN_PROVIDER` is not asked.
 * @param others mistakes that were found elsewhere, to be reported together with these.
 * @throws Error that lists every mistake with its fix.
 */
export function readConfig(
  env: Readonly<Record<string, string | undefined>>,
  {
    grantLife,
    ownLog,
    ownAdapter,
    logger,
    others = [],
  }: {
    grantLife: number;
    ownLog: boolean | 'shared';
    ownAdapter?: string | undefined;
    logger: (line: LogLine) => void;
    others?: readonly string[];
  },
): Settings {
  const mistakes = [...others];
  const production = env.NODE_ENV === 'production';
  // Before the mistakes are thrown: a misspelt name may be why a required one is missing.
  tellUnknown(env, logger);
  if (ownAdapter === undefined) tellUnusedKeys(env, logger);

  const provider = ownAdapter ?? (env.NOTIFY_LISTEN_PROVIDER || 'sse');
  if (ownAdapter === undefined && !PROVIDERS.includes(provider))
    mistakes.push(`NOTIFY_LISTEN_PROVIDER is "${provider}"; this version knows: ${PROVIDERS.join(', ')}`);

  const log = env.NOTIFY_LISTEN_LOG || 'memory:';
  if (!ownLog) mistakes.push(...mistakesInLog(log));

  const sharedLog = ownLog === 'shared' || (!ownLog && isShared(log));
  const secrets = (env.NOTIFY_LISTEN_SECRET ?? '')
    .split(',')
    .map((secret) => secret.trim())
    .filter((secret) => secret !== '');
  const short = secrets.findIndex((secret) => secret.length < SHORTEST_SECRET);
  if (short >= 0)
    mistakes.push(
      `NOTIFY_LISTEN_SECRET: secret ${short + 1} of ${secrets.length} has less than ${SHORTEST_SECRET} characters; make one with: openssl rand -base64 32`,
    );
  if (secrets.length === 0) {
    if (production)
      mistakes.push('NOTIFY_LISTEN_SECRET is required in production; make one with: openssl rand -base64 32');
    else if (sharedLog)
      mistakes.push(
        'NOTIFY_LISTEN_SECRET is required with a shared log: processes with different ones refuse each other’s grants, and reach none of each other’s users; make one with: openssl rand -base64 32',
      );
    else {
      secrets.push(randomBytes(32).toString('base64url'));
      logger({
        level: 'warn',
        message: 'NOTIFY_LISTEN_SECRET is not set: a secret was made for this process; in production it is required',
      });
    }
  }

  const shared = provider !== 'sse' || sharedLog;
  const namespace = env.NOTIFY_LISTEN_NAMESPACE || 'default';
  if (!/^[\w-]{1,40}$/.test(namespace))
    mistakes.push('NOTIFY_LISTEN_NAMESPACE must be 1 to 40 letters, digits, "_" or "-"');
  if (production && shared && !env.NOTIFY_LISTEN_NAMESPACE) {
    mistakes.push(
      'NOTIFY_LISTEN_NAMESPACE is required in production with a provider or a shared engine: environments with the same keys would hear each other',
    );
  }

  const retention = milliseconds(env.NOTIFY_LISTEN_RETENTION || DEFAULT_RETENTION);
  if (Number.isNaN(retention))
    mistakes.push(
      `NOTIFY_LISTEN_RETENTION is "${env.NOTIFY_LISTEN_RETENTION}"; write a number with a unit, such as 7m, 420s or 1h`,
    );
  else if (retention < grantLife)
    mistakes.push(
      `NOTIFY_LISTEN_RETENTION is ${retention} ms, but must be at least the life of a grant (grantLife, ${grantLife} ms)`,
    );

  const duration = env.NOTIFY_LISTEN_MAX_DURATION;
  const maxDuration = duration ? milliseconds(duration) : undefined;
  if (maxDuration !== undefined && !(maxDuration >= SHORTEST_DURATION))
    mistakes.push(
      `NOTIFY_LISTEN_MAX_DURATION is "${duration}"; write a number with a unit, such as 60s or 5m, of at least ${SHORTEST_DURATION} ms`,
    );

  if (mistakes.length > 0)
    throw new Error(`notify-listen is not configured:\n${mistakes.map((mistake) => `- ${mistake}`).join('\n')}`);
  if (production && !ownLog && log === 'memory:') {
    logger({
      level: 'warn',
      message:
        'NOTIFY_LISTEN_LOG is memory: this log is for one process only, and ends with it; several processes would never hear each other. One process keeps its log over a restart with NOTIFY_LISTEN_LOG=file:./path; several share redis://…, postgres://… or nats://…',
    });
  }
  return { provider, secrets, namespace, log, retention, maxDuration, production };
}
