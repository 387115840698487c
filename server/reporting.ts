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

/** For how long a fault that is told is not told again, in milliseconds: an engine that is down fails every second. */
const QUIET = 30_000;
/** Different faults that are remembered; beyond, the oldest is forgotten and told again. */
const MOST_FAULTS = 100;

/** The default `onError`: one line for a fault, which then says how often it came since. */
export function faultReport(logger: (line: LogLine) => void, now: () => number): (error: unknown) => void {
  const told = new Map<string, { readonly at: number; since: number }>();
  return (error) => {
    const text = String(error);
    const last = told.get(text);
    if (last && now() - last.at < QUIET) {
      last.since += 1;
      return;
    }
    told.delete(text);
    told.set(text, { at: now(), since: 0 });
    if (told.size > MOST_FAULTS) told.delete(told.keys().next().value as string);
    logger({
      level: 'error',
      message: 'notify-listen met a fault',
      error,
      ...(last?.since && { repeated: last.since }),
    });
  };
}

/** Tells when the log cannot be followed, and when it can again. Call it with each beat. */
export function standingReport(logger: (line: LogLine) => void): (proved: boolean) => void {
  let good = true;
  return (proved) => {
    if (proved === good) return;
    good = proved;
    logger(
      proved
        ? { level: 'info', message: 'the log is followed again' }
        : {
            level: 'warn',
            message:
              'the log cannot be followed: pages are told that they may be stale, new streams are sent elsewhere, notifications wait',
          },
    );
  };
}

/** Said once. Both sides see it. */
export const OTHER_SECRETS =
  'another process on this log has other secrets: make NOTIFY_LISTEN_SECRET the same everywhere. Until then pages are asked for their rights again and again, and what is addressed to users and sessions does not reach them';

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

export function consoleLogger(line: LogLine): void {
  if (line.level === 'debug') return;
  const { level, message, ...fields } = line;
  const text = `[notify-listen] ${message}`;
  if (Object.keys(fields).length > 0) console[level](text, fields);
  else console[level](text);
}
