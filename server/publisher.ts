/** For a process that changes objects and serves no pages: a worker, a script, a scheduled job. */
import type { Log } from '../adapters/contract.js';
import { meetsStranger } from './cluster.js';
import { readConfig } from './config.js';
import { createLog, isShared } from './logs.js';
import { createPublishing } from './publishing.js';
import { consoleLogger, faultReport, guarded, OTHER_SECRETS, unbreakable } from './reporting.js';
import { createSecrets } from './secrets.js';
import type { Publisher, PublisherOptions } from './types.js';

const NOTIFY_TIMEOUT = 2_000;

/**
 * Makes a publisher: `notify`, `revoke` and `transaction` as a notifier has them, on the log that the web servers share. It
 * follows nothing and keeps no history, so it costs one connection to the engine.
 *
 * @throws Error that names every mistake in the environment constants; also when the log is one that no other process hears.
 */
export function createPublisher(options: PublisherOptions = {}): Publisher {
  const { env = process.env, notifyTimeout = NOTIFY_TIMEOUT } = options;
  const logger = unbreakable(options.logger ?? consoleLogger);
  const settings = readConfig(env, {
    grantLife: 0,
    ownLog: options.log?.capabilities.shared ? 'shared' : options.log !== undefined,
    logger,
    others:
      options.log !== undefined || isShared(env.NOTIFY_LISTEN_LOG || 'memory:')
        ? []
        : [
            'NOTIFY_LISTEN_LOG must name a log that the web servers share: redis://…, postgres://… or nats://…; nobody would hear this process otherwise',
          ],
  });
  const onError = guarded(options.onError ?? faultReport(logger, () => performance.now()), logger);
  const log: Log = options.log ?? createLog(settings, logger);
  const secrets = createSecrets(settings.secrets, settings.namespace);
  void meetsStranger(log, secrets.marks()).then((met) => met && logger({ level: 'warn', message: OTHER_SECRETS }));
  const publishing = createPublishing({
    log,
    secrets,
    timeout: notifyTimeout,
    life: settings.retention,
    onError,
    logger,
  });
  let closing: Promise<void> | undefined;
  return {
    notify: publishing.notify,
    revoke: publishing.revoke,
    transaction: publishing.transaction,
    close() {
      closing ??= (async () => {
        await publishing.close(notifyTimeout);
        if (options.log === undefined) await log.close();
      })();
      return closing;
    },
  };
}
