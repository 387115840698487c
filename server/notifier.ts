/** The public face of the server: wires the log, the history, the SSE hub, access and the routes into one notifier. */
import { randomBytes } from 'node:crypto';
import type { Log } from '../adapters/contract.js';
import { collectEvents, createSseServer, type SseServer } from '../adapters/sse/server.js';
import { createAccess } from './access.js';
import { type Audience, createAudience } from './audience.js';
import { createCluster } from './cluster.js';
import { readConfig } from './config.js';
import { durationOf } from './duration.js';
import { createFollower, LAG_PATIENCE } from './follower.js';
import { createHandler, type Handler } from './handler.js';
import { inTime } from './in-time.js';
import { createGate, DEFAULT_LIMITS } from './limits.js';
import { createLog } from './logs.js';
import { mistakesIn } from './options.js';
import { chooseProvider } from './providers.js';
import { createPublishing } from './publishing.js';
import { createRelay } from './relay.js';
import {
  announce,
  consoleLogger,
  faultReport,
  guarded,
  OTHER_SECRETS,
  standingReport,
  unbreakable,
} from './reporting.js';
import { createSecrets } from './secrets.js';
import { createStanding } from './standing.js';
import type { Notifier, NotifierOptions, User } from './types.js';

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

/** What belongs to a notifier beside its public face, for `notify-listen/server/express`, `/node` and `/fetch`. */
interface Inside {
  readonly handler: Handler<unknown>;
  readonly session: (request: unknown) => Promise<string | undefined>;
}

const insides = new WeakMap<Notifier, Inside>();

function insideOf(notifier: Notifier): Inside {
  const inside = insides.get(notifier);
  if (!inside) throw new TypeError('notifier: must come from createNotifier() of this copy of notify-listen');
  return inside;
}

/** The routes of a notifier that {@link createNotifier} made. */
export function handlerOf(notifier: Notifier): Handler<unknown> {
  return insideOf(notifier).handler;
}

/** The login session of a request, as the option `session` names it. */
export function sessionOf(notifier: Notifier, request: unknown): Promise<string | undefined> {
  return insideOf(notifier).session(request);
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
    ownLog: options.log?.capabilities.shared ? 'shared' : options.log !== undefined,
    ownAdapter: options.adapter?.name,
    logger,
    others: [...mistakesIn(options), ...(choice?.mistakes ?? [])],
  });
  const onError = guarded(options.onError ?? faultReport(logger, () => performance.now()), logger);
  const secrets = createSecrets(settings.secrets, settings.namespace);
  const maxDuration = options.maxDuration ?? settings.maxDuration;
  const monotonic = (): number => performance.now();
  const now = (): number => Date.now();

  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const audience = createAudience(monotonic, limits.connectionsPerUser);
  // Before anything that would have to be closed again: a log in a file may be in use.
  const log: Log = options.log ?? createLog(settings, logger);
  const adapter =
    options.adapter ?? choice?.create(settings.namespace, (message) => logger({ level: 'warn', message }));
  let refused = 0;
  const foreign = new Set<string>();
  const session = async (request: unknown): Promise<string | undefined> =>
    (await options.session?.(request as Request)) || undefined;
  const publishing = createPublishing({
    log,
    secrets,
    timeout: notifyTimeout,
    life: settings.retention,
    session,
    onRevoke(entry) {
      if (follower.loaded()) follower.history.revoke(entry);
      sse.revoke(entry);
    },
    onError,
    logger,
  });
  const tellStanding = standingReport(logger);
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
      tellStanding(position !== undefined);
    },
  });
  // With a hosted provider too: pages read the log here, and listen here where they cannot reach it.
  const sse: SseServer = createSseServer({
    history: follower.history,
    monotonic,
    elsewhere: () => audience.total() + cluster.others().connections + cluster.others().authorised,
    everywhere: (here) => cluster.everywhere(here, 'connections'),
  });
  const everyone: Audience = {
    ...audience,
    count: (channels) => cluster.everywhere(audience.count(channels), 'authorised'),
    total: () => audience.total() + cluster.others().authorised,
  };
  const relay =
    adapter &&
    createRelay({
      log,
      follower,
      adapter,
      audience: everyone,
      grantLife,
      monotonic,
      random: Math.random,
      onError,
      logger,
    });
  const cluster = createCluster({
    log,
    random: Math.random,
    totals: () => ({
      connections: sse.hub.connections(),
      authorised: audience.total(),
      stuck: relay?.metrics().stuck ?? 0,
    }),
    users: () => gate.report(),
    marks: secrets.marks(),
    onStranger: () => logger({ level: 'warn', message: OTHER_SECRETS }),
  });
  const gate = createGate(limits, monotonic, cluster);
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
        carries: () => Math.max(relay?.metrics().stuck ?? 0, cluster.others().stuck) < STUCK,
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
      refused += count;
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

  const notifier: Notifier = {
    notify: publishing.notify,
    revoke: publishing.revoke,
    transaction: publishing.transaction,
    async position() {
      let late: NodeJS.Timeout | undefined;
      const limit = new Promise<never>((_, reject) => {
        late = setTimeout(() => reject(new Error(`The log "${log.name}" has not been reached yet.`)), notifyTimeout);
      });
      // A server that renders must not hang because an engine is down.
      await Promise.race([follower.started(), limit]).finally(() => clearTimeout(late));
      return follower.history.top;
    },
    metrics: () => ({
      ...sse.hub.counts(),
      notified: publishing.notified(),
      refused,
      nodes: cluster.nodes(),
      everywhere: sse.hub.connections() + cluster.others().connections,
      history: follower.history.size(),
      waiting: publishing.waiting(),
      degraded: !follower.healthy(),
      ...(relay && { relay: relay.metrics() }),
    }),
    close({ within = GOODBYE_WITHIN, drain = false } = {}) {
      closing ??= (async () => {
        await publishing.close(Math.min(notifyTimeout, LAG_PATIENCE));
        cluster.close();
        await relay?.close();
        await sse.close(within, drain ? within + DRAIN_MARGIN : 0);
        await follower.close().catch(onError);
        if (adapter) await inTime(adapter.close(), CLOSE_PATIENCE, `close of "${adapter.name}"`).catch(onError);
        if (options.log === undefined) await log.close();
      })();
      return closing;
    },
  };
  insides.set(notifier, { handler: handler as Handler<unknown>, session });
  return notifier;
}
