/** The public face of the server: wires the log, the history, the SSE hub, access and the routes into one notifier. */
import { randomBytes } from 'node:crypto';
import type { Log, LogEntry, RevokeEntry } from '../adapters/contract.js';
import { CAUSE_HEADER } from '../adapters/protocol.js';
import { collectEvents, createSseServer, type SseServer } from '../adapters/sse/server.js';
import { createAccess } from './access.js';
import { createAudience } from './audience.js';
import { readConfig } from './config.js';
import { createTransactions, currentCause, type Held } from './context.js';
import { durationOf } from './duration.js';
import { mergeHeld, notificationEntry, revokeEntry } from './entries.js';
import { createFollower, LAG_PATIENCE } from './follower.js';
import { createHandler, type Handler } from './handler.js';
import { inTime } from './in-time.js';
import { createGate, DEFAULT_LIMITS } from './limits.js';
import { createLog } from './logs.js';
import { mistakesIn } from './options.js';
import { createOutbox } from './outbox.js';
import { chooseProvider } from './providers.js';
import { createRelay } from './relay.js';
import { announce, consoleLogger, guarded, unbreakable } from './reporting.js';
import { causeOf, createSecrets } from './secrets.js';
import { createStanding } from './standing.js';
import type { ChangedObject, Notifier, NotifierOptions, NotifyOptions, User } from './types.js';

/** A revocation must outlive every grant that it cancels, so grants are short; renewing one costs one request. */
const GRANT_LIFE = 5 * 60_000;
/** Shorter than the idle time after which common proxies cut (60 s), with room for one that is lost. */
const HEARTBEAT = 15_000;
const ACCESS_TIMEOUT = 5_000;
const HISTORY_CAP = 100_000;
const NOTIFY_TIMEOUT = 2_000;
/** A provider that has taken nothing for so long, in milliseconds, is not where pages should listen: above a few retries. */
const STUCK = 20_000;
/** Foreign origins that are told about, once each: anybody can send any number of them. */
const MOST_FOREIGN = 20;
/** How long the adapter of a provider may take to close, in milliseconds. */
const CLOSE_PATIENCE = 2_000;
/** Over how long clients spread their return after `close`, in milliseconds. */
const GOODBYE_WITHIN = 3_000;

/** For so long after that window streams are still served, in milliseconds, so that the last page can open its next one. */
const DRAIN_MARGIN = 2_000;

/** The handler of each notifier's routes, for `notify-listen/server/express`, `/node` and `/fetch`. */
const handlers = new WeakMap<Notifier, Handler<unknown>>();

/** The routes of a notifier that {@link createNotifier} made. */
export function handlerOf(notifier: Notifier): Handler<unknown> {
  const handler = handlers.get(notifier);
  if (!handler) throw new TypeError('notifier: must come from createNotifier() of this copy of notify-listen');
  return handler;
}

/**
 * Makes the notifier of one application. It starts to follow its log at once, and lives until `close()`.
 *
 * @throws Error that names every mistake in the options and in the environment constants.
 */
// biome-ignore lint/suspicious/noExplicitAny: without an annotation, `request` is the framework's, which is not known here
export function createNotifier<Request = any, U extends User = any>(options: NotifierOptions<Request, U>): Notifier {
  const { env = process.env, grantLife = GRANT_LIFE, heartbeat = HEARTBEAT, notifyTimeout = NOTIFY_TIMEOUT } = options;
  const logger = unbreakable(options.logger ?? consoleLogger);
  const choice = options.adapter ? undefined : chooseProvider(env);
  const settings = readConfig(env, {
    grantLife,
    ownLog: options.log !== undefined,
    ownAdapter: options.adapter?.name,
    logger,
    others: [...mistakesIn(options), ...(choice?.mistakes ?? [])],
  });
  const onError = guarded(
    options.onError ?? ((error) => logger({ level: 'error', message: 'notify-listen met a fault', error })),
    logger,
  );
  const secrets = createSecrets(settings.secrets, settings.namespace);
  const maxDuration = options.maxDuration ?? settings.maxDuration;
  const monotonic = (): number => performance.now();
  const now = (): number => Date.now();

  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const audience = createAudience(monotonic, limits.connectionsPerUser);
  // Before anything that would have to be closed again: a log in a file may be in use.
  const log: Log = options.log ?? createLog(settings.log, settings.retention, logger);
  const adapter =
    options.adapter ?? choice?.create(settings.namespace, (message) => logger({ level: 'warn', message }));
  const transactions = createTransactions();
  const counts = { notified: 0, refused: 0 };
  const foreign = new Set<string>();
  const outbox = createOutbox({
    log,
    timeout: notifyTimeout,
    life: settings.retention,
    monotonic,
    random: Math.random,
    onError,
  });
  const follower = createFollower({
    log,
    retention: settings.retention,
    cap: options.historyCap ?? HISTORY_CAP,
    heartbeat,
    monotonic,
    onError,
    deliver: (logged) => {
      sse.deliver(logged);
      relay?.deliver(logged);
    },
    lost: (start) => {
      logger({ level: 'warn', message: 'the log is not continuous: every listener refreshes once', epoch: start.top });
      sse.resync(start);
      relay?.lost(start);
    },
    beat: (position) => {
      gate.sweep();
      audience.sweep();
      void standing?.sweep();
      sse.beat(position);
    },
  });
  // With a hosted provider too: pages read the log here, and listen here where they cannot reach it.
  const sse: SseServer = createSseServer({ history: follower.history, monotonic, elsewhere: audience.total });
  const relay =
    adapter &&
    createRelay({ log, follower, adapter, audience, grantLife, monotonic, random: Math.random, onError, logger });
  const gate = createGate(limits, monotonic);
  const access = createAccess<Request, U>({
    ...options,
    secrets,
    // Who is asking takes two questions, and the rights a third.
    timeout: Math.min(options.accessTimeout ?? ACCESS_TIMEOUT, (maxDuration ?? Number.POSITIVE_INFINITY) / 4),
    onError,
  });
  const standing =
    adapter &&
    createStanding({
      check: access.check,
      revoke: (users, channels) => adapter.revoke(users, channels),
      life: grantLife,
      monotonic,
      onError,
    });
  let closing: Promise<void> | undefined;
  const handler = createHandler<Request>({
    access,
    secrets,
    follower,
    streams: sse.hub,
    collect: collectEvents,
    gate,
    limits,
    settings,
    hosted: adapter &&
      standing && {
        adapter,
        audience,
        standing,
        carries: () => (relay?.metrics().stuck ?? 0) < STUCK,
        reached: () => relay?.hasten(),
      },
    grantLife,
    heartbeat,
    duration: durationOf(maxDuration),
    closing: () => closing !== undefined,
    origins: options.origins ?? [],
    node: randomBytes(8).toString('base64url'),
    monotonic,
    now,
    onError,
    onRefused: (count) => {
      counts.refused += count;
    },
    onForeign(origin) {
      if (foreign.has(origin) || foreign.size >= MOST_FOREIGN) return;
      foreign.add(origin);
      logger({
        level: 'warn',
        message: 'a page of another origin was refused; name it in the option "origins"',
        origin,
      });
    },
  });
  announce(
    settings,
    {
      ...(adapter && { providerSettings: adapter.publicSettings }),
      ...(maxDuration !== undefined && { maxDuration }),
      ...{ heartbeat, grantLife, limits, historyCap: options.historyCap ?? HISTORY_CAP },
    },
    logger,
  );

  function endRight(entry: RevokeEntry): void {
    if (follower.loaded()) follower.history.revoke(entry);
    sse.revoke(entry);
  }

  async function send(entries: readonly LogEntry[], immediate: boolean): ReturnType<Notifier['notify']> {
    const held = transactions.getStore();
    if (held && !held.over && !immediate) {
      held.entries.push(...entries);
      return { accepted: true, held: true };
    }
    // On this node at once, whatever becomes of the log.
    for (const entry of entries) if (entry.kind === 'revoke') endRight(entry);
    const result = await outbox.append(entries);
    counts.notified += entries.length;
    logger({ level: 'debug', message: 'notified', entries: entries.length, accepted: result.accepted });
    return result;
  }

  const notifier: Notifier = {
    async notify(action, object, given: NotifyOptions = {}) {
      const cause = given.request === undefined ? currentCause() : causeOf(headerOf(given.request, CAUSE_HEADER));
      const objects: readonly ChangedObject[] = Array.isArray(object) ? object : [object as ChangedObject];
      const entries = objects.map((one) => notificationEntry(action, one, given, secrets, cause));
      return send(entries, given.immediate === true);
    },
    async revoke(user, object) {
      // Not before the commit: asked again until then, `canListen` would see the right as it was, and grant it anew.
      return send([revokeEntry(user, object, secrets)], false);
    },
    async position() {
      let late: NodeJS.Timeout | undefined;
      const limit = new Promise<never>((_, reject) => {
        late = setTimeout(() => reject(new Error(`The log "${log.name}" has not been reached yet.`)), notifyTimeout);
      });
      // A server that renders must not hang because an engine is down.
      await Promise.race([follower.started(), limit]).finally(() => clearTimeout(late));
      return follower.history.top;
    },
    async transaction(fn) {
      const outer = transactions.getStore();
      const held: Held = { entries: [], over: false };
      try {
        const result = await transactions.run(held, async () => fn());
        held.over = true;
        if (outer && !outer.over) outer.entries.push(...held.entries);
        else await send(mergeHeld(held.entries), true);
        return result;
      } finally {
        held.over = true;
      }
    },
    metrics: () => ({
      ...sse.hub.counts(),
      ...counts,
      history: follower.history.size(),
      waiting: outbox.waiting(),
      degraded: !follower.healthy(),
      ...(relay && { relay: relay.metrics() }),
    }),
    close({ within = GOODBYE_WITHIN, drain = false } = {}) {
      closing ??= (async () => {
        await outbox.close(Math.min(notifyTimeout, LAG_PATIENCE));
        await relay?.close();
        await sse.close(within, drain ? within + DRAIN_MARGIN : 0);
        await follower.close().catch(onError);
        if (adapter) await inTime(adapter.close(), CLOSE_PATIENCE, `close of "${adapter.name}"`).catch(onError);
        if (options.log === undefined) await log.close();
      })();
      return closing;
    },
  };
  handlers.set(notifier, handler as Handler<unknown>);
  return notifier;
}

/** A header of a request of Express, Node or the web standard. */
function headerOf(request: unknown, name: string): string | undefined {
  const headers = (request as { headers?: unknown } | null)?.headers;
  if (headers instanceof Headers) return headers.get(name) ?? undefined;
  const value = (headers as Record<string, unknown> | undefined)?.[name];
  return typeof value === 'string' ? value : undefined;
}
