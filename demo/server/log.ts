/** The log that the notifications go through: the one that is named, or for several processes a Redis of the desk's own. */
import { join } from 'node:path';
import { findRedis, startPrivateRedis } from './private-redis.js';

type Env = Readonly<Record<string, string | undefined>>;

export interface DeskLog {
  /** The environment of the notifier, with the log's constant. */
  readonly env: Env;
  /** One line for the terminal, where there is something to tell. */
  readonly told: string | undefined;
  close(): Promise<void>;
}

/** A mistake in how the desk was started, told without a stack. */
export class Mistake extends Error {}

const FORMS = '--log redis://host:6379, postgres://user:password@host/database or nats://host:4222';

/**
 * @param named as behind `--log`; none: what `NOTIFY_LISTEN_LOG` says
 * @param data the folder of the desk, where a Redis of its own keeps its files
 * @throws Mistake when several processes would have no log in common
 */
export async function openLog({
  named,
  env,
  processes,
  data,
}: {
  readonly named: string | undefined;
  readonly env: Env;
  readonly processes: number;
  readonly data: string;
}): Promise<DeskLog> {
  const log = named ?? env.NOTIFY_LISTEN_LOG;
  const close = async (): Promise<void> => {};
  const several = `--processes ${processes} needs a log that the processes share`;
  // What else is wrong with it, the notifier says.
  if (log && processes > 1 && /^(memory|file):/.test(log)) {
    throw new Mistake(`${several}, and ${/^\w+:/.exec(log)?.[0]} is for one process: use ${FORMS}.`);
  }
  if (log || processes === 1)
    return { env: { ...env, ...(log && { NOTIFY_LISTEN_LOG: log }) }, told: undefined, close };
  const program = findRedis(env.PATH);
  if (!program) {
    throw new Mistake(
      `${several}: install redis-server (apt-get install redis-server, or brew install redis) and the desk starts one of its own, or name yours with ${FORMS}.`,
    );
  }
  const redis = await startPrivateRedis(program, join(data, 'redis'));
  return {
    env: { ...env, NOTIFY_LISTEN_LOG: redis.url },
    told: `The processes share a Redis of the desk's own, ${redis.url}, which ends with it.`,
    close: redis.close,
  };
}
