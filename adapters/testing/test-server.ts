/**
 * The test double for applications: a server in the test's own process, with hands on everything that a real one does by
 * itself. The client, the widget and the protocol between are the shipped ones; only the network and the clock-work of a
 * server (heartbeats, ends of grants) are not there. Runs in Node, under happy-dom and in a browser.
 */

import { type EntryOptions, notificationEntry, revokeEntry } from '../../server/entries.js';
import { createHistory } from '../../server/history.js';
import { createMemoryLog } from '../../server/log/memory.js';
import type { ChangedObject } from '../../server/types.js';
import type { ListenClientOptions } from '../../widget/client/types.js';
import { audienceChannel, objectOf } from '../channel.js';
import type { Log, LogEntry, ObjectRef } from '../contract.js';
import { ListenError } from '../errors.js';
import { memory } from '../memory/client.js';
import { createMemoryServer } from '../memory/server.js';
import { checkObject } from '../notification.js';
import { epochOf, makePosition, type Position } from '../position.js';
import { type AuthAnswer, type AuthRequest, CAUSE_HEADER, type ConfigAnswer, PROTOCOL_VERSION } from '../protocol.js';
import { createTestAccess, type MayListen } from './access.js';
import { type Backend, routes, type SeenRequest } from './routes.js';

export type { SeenRequest } from './routes.js';

/** As on a real server, in milliseconds. */
const RETENTION = 7 * 60_000;
/** As on a real server, in milliseconds; nothing here ends a grant but the hands. */
const GRANT_LIFE = 5 * 60_000;
/** A day, in milliseconds: there are no heartbeats here, and no watchdog may wait for them. */
const HEARTBEAT = 24 * 3_600_000;
/**
 * For how long the server has been running when it is made, in milliseconds: long before the page was loaded, so that
 * no listener refreshes only because the server is younger than its data.
 */
const UPTIME = 7 * 24 * 3_600_000;
/** More entries than a test makes. */
const HISTORY_CAP = 100_000;

export interface TestServerOptions {
  /** Who is logged in on pages that {@link TestServer.options} makes without a name. Default `tester`. */
  readonly user?: string;
  /** Where the routes are. Default `/notify-listen`. */
  readonly url?: string;
  /** Who may listen to what, beside `refuse` and `allow`. Default: everybody to everything. */
  readonly mayListen?: MayListen;
  /** How pages connect: the protocol's event stream, or the memory adapter's objects. Default `sse`. */
  readonly adapter?: 'sse' | 'memory';
}

/** A page's user. */
export interface TestPage {
  /** Default: whoever is logged in, by `user` of the server's options or by `login`. */
  readonly user?: string;
  /** Names the login session, as the server's `session` option would. Default: none. */
  readonly session?: string;
}

export interface TestServer {
  /** The options that connect a client, or `<ListenProvider>`, to this server. */
  options(page?: TestPage): ListenClientOptions & { readonly url: string };
  /**
   * Tells every listener of these objects that something happened to them, as `notifier.notify` does. Resolves with the
   * positions, once it is on its way to the pages.
   *
   * @throws TypeError or RangeError that names the field, as the server does.
   */
  notify(
    action: string,
    object: ChangedObject | readonly ChangedObject[],
    options?: EntryOptions,
  ): Promise<readonly Position[]>;
  /** Pages may have missed something about these objects (none given: anything), and refresh once (`resync`). */
  gap(objects?: ObjectRef | readonly ObjectRef[]): Promise<void>;
  /** The server is started anew: every link is cut, and what happened before is not known any more. */
  restart(): Promise<void>;
  /** From the next question on, this object may not be listened to: by one user, or by nobody. */
  refuse(object: ObjectRef, user?: string): void;
  /** Takes a `refuse` back. A page asks again on remount, or on `reconnect()`. */
  allow(object: ObjectRef, user?: string): void;
  /**
   * Ends what was allowed before, of one user or of everybody, to one object or to everything: pages ask again. As on a
   * real server, change the right first (`refuse`), then revoke.
   */
  revoke(object?: ObjectRef, user?: string): Promise<void>;
  /** Cuts every link, and answers nothing until `connect`. */
  disconnect(): void;
  connect(): void;
  /** Nobody is logged in any more: links end, and every request is answered by 401 until `login`. */
  logout(): void;
  /** Somebody is logged in again, or somebody else. Pages ask again after `reconnect()` or their `onUnauthenticated`. */
  login(user?: string): void;
  /** The place in the log that the server has reached, for a listener's `position`. */
  position(): Promise<Position>;
  /** Every request so far, in order. */
  readonly requests: readonly SeenRequest[];
  /** The objects that are listened to at the moment, each once. */
  listening(): readonly ObjectRef[];
  /** Says goodbye to every link. */
  close(): Promise<void>;
}

/** Users and sessions by names that can be read in a test; nothing here is a secret. */
const SECRETS: Parameters<typeof notificationEntry>[3] = {
  hashes: (kind, id) => [`${kind}-${encodeURIComponent(id)}`],
  marks: () => [],
  sign: (text) => text,
  verify: () => true,
};
const hashOf = (kind: 'user' | 'session', id: string): string => SECRETS.hashes(kind, id)[0];

/** Makes a server for one test. It needs no clean-up, but `close` ends what pages still hold open. */
export function createTestServer(options: TestServerOptions = {}): TestServer {
  const { url = '/notify-listen', adapter = 'sse' } = options;
  let age = -UPTIME;
  let log: Log = createMemoryLog();
  let loggedIn: string | undefined = options.user ?? 'tester';
  let online = true;
  const nowhere = makePosition('starting', 0);
  const history = createHistory(
    { top: nowhere, floor: nowhere },
    { retention: RETENTION, cap: HISTORY_CAP, now: () => performance.now() + age },
  );
  const server = createMemoryServer({ history, heartbeat: HEARTBEAT });
  const requests: SeenRequest[] = [];
  const access = createTestAccess(options.mayListen ?? (() => true));
  let started = follow();

  async function follow(): Promise<void> {
    const followed = log;
    const tail = await followed.tail({
      entries(batch) {
        // A log that was left is another server's.
        if (followed !== log) return;
        for (const logged of batch) {
          history.apply(logged, true);
          server.deliver(logged);
        }
      },
      // The memory log loses nothing while it lives, and its tail cannot fail.
      reset: () => {},
      failed: (error) => {
        throw error;
      },
    });
    history.reset(tail.start);
    // Only the first server has been running for long.
    age = 0;
  }

  async function append(entries: readonly LogEntry[]): Promise<readonly Position[]> {
    await started;
    return log.append(entries);
  }

  function backendOf(page: TestPage): Backend {
    const who = (): { user: string; hash: string; session: string | undefined } => {
      const user = loggedIn === undefined ? undefined : (page.user ?? loggedIn);
      if (user === undefined) throw new ListenError('unauthenticated', 'Nobody is logged in.');
      const session = page.session === undefined ? undefined : hashOf('session', page.session);
      return { user, hash: hashOf('user', user), session };
    };
    return {
      enter(seen) {
        if (!online) throw new TypeError('Failed to fetch (the test server is disconnected)');
        requests.push({ ...seen, user: who().user });
      },
      async config(): Promise<ConfigAnswer> {
        await started;
        const { hash, session } = who();
        return {
          protocol: PROTOCOL_VERSION,
          epoch: epochOf(history.top),
          provider: adapter,
          settings: {},
          user: hash,
          ...(session !== undefined && { session }),
          heartbeat: HEARTBEAT,
          retry: { min: 300, max: 30_000 },
          retention: RETENTION,
        };
      },
      async auth({ objects }: AuthRequest): Promise<AuthAnswer> {
        await started;
        // Before the right is asked, so that a revocation that comes meanwhile cancels the grant.
        const position = history.top;
        const answer = await access.ask(who(), objects, position);
        return { epoch: epochOf(position), ...answer, expiresIn: GRANT_LIFE };
      },
      connect(interest, receiver) {
        const { hash, session } = who();
        const covered = access
          .grantsOf(hash, interest.grants)
          .flatMap(({ channels, position }) =>
            channels.filter((channel) => !history.revoked([hash], channel, position)),
          );
        const own = [
          audienceChannel('user', hash),
          ...(session === undefined ? [] : [audienceChannel('session', session)]),
        ];
        return server.connect(interest, { user: hash, session, own, granted: new Set(covered) }, receiver);
      },
    };
  }

  return {
    options(page = {}) {
      const backend = backendOf(page);
      const fetch = routes(url, backend);
      if (adapter === 'sse') return { url, world: { fetch } };
      const port = memory({
        connect(interest, receiver) {
          try {
            backend.enter({ route: 'stream', channels: Object.keys(interest.channels), wait: 'stream' });
            return backend.connect(interest, receiver);
          } catch (cause) {
            const error = cause instanceof ListenError ? cause : new ListenError('network', 'no answer', { cause });
            queueMicrotask(() => receiver.ended(error));
            return { close: () => {} };
          }
        },
      });
      return { url, world: { fetch }, adapters: [port] };
    },

    async notify(action, object, given = {}) {
      const cause = await causeOf(given.request);
      const objects: readonly ChangedObject[] = Array.isArray(object) ? object : [object as ChangedObject];
      return append(objects.map((one) => notificationEntry(action, one, given, SECRETS, cause)));
    },

    async gap(objects) {
      const list = objects === undefined ? undefined : Array.isArray(objects) ? objects : [objects as ObjectRef];
      await append([{ kind: 'resync', ...(list && { objects: list.map((object) => checkObject(object)) }) }]);
    },

    async restart() {
      await started;
      const reachable = online;
      online = false;
      log = createMemoryLog();
      access.forget();
      server.cut(new ListenError('network', 'the test server was restarted'));
      started = follow();
      await started;
      online = reachable;
    },

    refuse: access.refuse,
    allow: access.allow,

    async revoke(object, user) {
      const users = user === undefined ? [...new Set(requests.map((request) => request.user))] : [user];
      await append(users.map((each) => revokeEntry(each, object, SECRETS)));
    },

    disconnect() {
      online = false;
      server.cut(new ListenError('network', 'the test server was disconnected'));
    },

    connect() {
      online = true;
    },

    logout() {
      loggedIn = undefined;
      server.cut(new ListenError('network', 'the login session of the test server ended'));
    },

    login(user = options.user ?? 'tester') {
      loggedIn = user;
    },

    async position() {
      await started;
      return history.top;
    },

    requests,
    listening: () => server.covered().flatMap((channel) => objectOf(channel) ?? []),

    async close() {
      await server.close(0);
      await log.close();
    },
  };
}

/** The mark of the request that made a change, as the server takes it from the header that `client.fetch` sends. */
async function causeOf(request: unknown): Promise<string | undefined> {
  const headers = (request as { headers?: unknown } | undefined)?.headers;
  const secret =
    headers instanceof Headers
      ? headers.get(CAUSE_HEADER)
      : (headers as Record<string, unknown> | undefined)?.[CAUSE_HEADER];
  if (typeof secret !== 'string') return undefined;
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(secret)));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
