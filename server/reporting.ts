/** What the server tells the application beside its answers: lines of the log and faults. Neither may break what it reports of. */
import type { Settings } from './config.js';
import type { LogLine } from './types.js';

/** The effective settings, once, without secrets. */
export function announce(settings: Settings, rest: Record<string, unknown>, logger: (line: LogLine) => void): void {
  const { secrets, log, ...told } = settings;
  logger({
    level: 'info',
    message: 'notify-listen starts',
    ...told,
    log: `${log.split(':')[0]}:`,
    secrets: secrets.length,
    ...rest,
  });
}

/** The application's own `onError` must not break what reports to it. */
export function guarded(report: (error: unknown) => void, logger: (line: LogLine) => void): (error: unknown) => void {
  return (error) => {
    // An `async` one rejects instead, which nobody else would see.
    void (async () => report(error))().catch((fault) => {
      logger({ level: 'error', message: 'onError threw', error: fault });
    });
  };
}

/** Nor must its logger break what it is told of. */
export function unbreakable(logger: (line: LogLine) => void): (line: LogLine) => void {
  return (line) => {
    try {
      logger(line);
    } catch (fault) {
      consoleLogger({ level: 'error', message: 'the logger threw', error: fault });
    }
  };
}

export function consoleLogger({ level, message, ...fields }: LogLine): void {
  if (level === 'debug') return;
  const text = `[notify-listen] ${message}`;
  if (Object.keys(fields).length > 0) console[level](text, fields);
  else console[level](text);
}
