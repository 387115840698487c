/**
 * Puts the client together: what the application wants (listeners), what the server says (links), and the status. Each
 * duty has a file of its own. No adapter is imported here.
 *
 * Over 300 lines, because what is left are the transitions between them (login, change of user, final errors, pause,
 * close), and each of those touches every one of the others: apart, they would be read side by side.
 */
import { type Channel, channelOf } from '../../adapters/channel.js';
import type { ClientAdapter, Interest } from '../../adapters/contract.js';
import { FINAL_CODES, ListenError } from '../../adapters/errors.js';
import type { Position } from '../../adapters/position.js';
import type { AuthAnswer, ConfigAnswer, HelloEvent } from '../../adapters/protocol.js';
import { createAccess } from './access.js';
import { createRetry, RETRY } from './backoff.js';
import { createConnection } from './connection.js';
import { createDelivery } from './delivery.js';
import { DEV } from './dev.js';
import { createEpochs } from './epochs.js';
import { createHints } from './hints.js';
import { createRequest, DEFAULT_URL, readJson } from './http.js';
import { pageLifecycle } from './lifecycle.js';
import { createListener, type Listener, type ListenerHost } from './listener.js';
import { readObject } from './object.js';
import { createOwnChanges } from './own.js';
import { createStatus } from './status.js';
import { createSubscription, forgetAll, readFrom, type Subscription } from './subscriptions.js';
import type { Actions, ListenClient, ListenClientOptions } from './types.js';
import { fullWorld, type Mark, pageStart } from './world.js';

/** How long a subscription stays after its last listener left, in milliseconds: a remount costs nothing. */
export const LINGER = 1_000;
/** How long `/config` and `/auth` may take, in milliseconds: above the server's limit on an access question. */
const ANSWER_LIMIT = 15_000;
/** Until `/config` names it: how long the log keeps a notification, in milliseconds. */
const RETENTION = 420_000;

/** Since before every load. */
const ALWAYS: Mark = { wall: Number.NEGATIVE_INFINITY, mono: Number.NEGATIVE_INFINITY };

/**
 * The client without any adapter of its own.
 *
 * @param adapters the first one is used where the server's configuration names none of them
 */
export function createClientCore(options: ListenClientOptions, adapters: readonly ClientAdapter[]): ListenClient {
  const world = fullWorld(options.world);
  const lifecycle = options.lifecycle ?? pageLifecycle();
  const request = createRequest(options, world);
  const subs = new Map<Channel, Subscription>();
  const hints = createHints(world, () => config?.retention ?? RETENTION);
  const own = createOwnChanges(world, options.url ?? DEFAULT_URL);
  const epochs = createEpochs(report);
  let config: ConfigAnswer | undefined;
  /** Runs while `/config` is being asked. */
  let asking: AbortController | undefined;
  /** Whose page this is, by keyed hashes. */
  let me: Pick<HelloEvent, 'user' | 'session'> | undefined;
  let tick: unknown;
  let ticking = false;
  let paused = false;
  let closed = false;
  /** Nobody is logged in. */
  let out: ListenError | undefined;
  /** Trying again cannot help. */
  let fatal: ListenError | undefined;
  let unwatch: (() => void) | undefined;
  let warned: string | undefined;

  function report(error: unknown): void {
    try {
      if (options.onError) options.onError(error);
      else console.error(error);
    } catch (second) {
      console.error(second);
    }
  }

  const listenerHost: ListenerHost = {
    world,
    options,
    own,
    started: pageStart(world, options.world?.now !== undefined),
    visible: lifecycle.visible,
    isMe: (hashes) => hashes.some((hash) => hash === me?.user || hash === me?.session),
    report,
  };

  const listeners = (): Listener[] => [...subs.values()].flatMap((sub) => [...sub.listeners]);

  const bounds = () => config?.retry ?? RETRY;
  const login = createRetry(world, bounds, restart);

  const access = createAccess({
    world,
    bounds,
    subscriptions: () => subs.values(),
    ask: (body, signal) => ask<AuthAnswer>('auth', body, signal),
    changed(answer) {
      epochs(answer?.epoch);
      changed();
    },
    refused: refuse,
    fault,
  });

  const connection = createConnection({
    world,
    adapters,
    request,
    config: () => config,
    interest,
    again: ({ interest: { grants }, covers }) => ({
      grants,
      channels: Object.fromEntries([...covers].map(([channel, sub]) => [channel, readFrom(sub)])),
      own: delivery.own ?? null,
    }),
    covers: ({ channels }) =>
      new Map(Object.keys(channels).map((channel) => [channel, subs.get(channel) as Subscription])),
    settling,
    hello,
    event: (live, event, id) => delivery.event(live, event, id),
    missing,
    stale() {
      config = undefined;
    },
    fault,
    changed,
  });

  const delivery = createDelivery({
    world,
    subs,
    hints,
    refuse,
    reauthorise: access.reauthorise,
    ready() {
      // A channel that was given up before `ready` has a grant that is not good.
      if (!settling()) access.settled();
      login.reset();
    },
    changed,
  });

  const status = createStatus(
    () => ({
      wanted: subs.size > 0,
      stopped: paused || closed,
      out,
      fatal,
      connection,
      access,
      uncovered: [...subs.values()].some((sub) => !sub.refused && sub.listeners.size > 0 && !isCovered(sub)),
      configured: config?.provider,
    }),
    report,
  );

  /** Something changed: the status at once, the traffic at the end of the tick, so that a tick's changes go as one. */
  function changed(): void {
    status.update();
    if (ticking || closed) return;
    ticking = true;
    tick = world.setTimeout(() => {
      ticking = false;
      pursue();
    }, 0);
  }

  function pursue(): void {
    if (subs.size === 0) shut();
    if (subs.size === 0 || paused || out || fatal) return;
    unwatch ??= lifecycle.watch((what) => {
      if (what === 'hidden') return;
      if (what === 'visible') for (const listener of listeners()) listener.shown();
      connection.distrust(what === 'wake');
    });
    access.pursue();
    if (!config) void askConfig();
    connection.pursue();
    status.update();
  }

  /** Nobody listens: no link, no timer. */
  function shut(): void {
    halt();
    unwatch?.();
    delivery.forgetOwn();
    unwatch = out = fatal = undefined;
    status.update();
  }

  /** Ends links and questions; positions stay. */
  function halt(): void {
    login.stop();
    asking?.abort();
    asking = undefined;
    connection.stop();
    access.stop();
  }

  async function ask<Answer>(route: 'config' | 'auth', body: object | undefined, signal: AbortSignal): Promise<Answer> {
    const limit = new AbortController();
    const abort = () => limit.abort();
    signal.addEventListener('abort', abort);
    const timer = world.setTimeout(abort, ANSWER_LIMIT);
    try {
      return (await readJson(await request(route, body, limit.signal))) as Answer;
    } finally {
      world.clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    }
  }

  async function askConfig(): Promise<void> {
    if (asking || connection.retryAt !== undefined) return;
    asking = new AbortController();
    const { signal } = asking;
    try {
      const answer = await ask<ConfigAnswer>('config', undefined, signal);
      if (signal.aborted) return;
      if (typeof answer.user !== 'string' || !(answer.heartbeat > 0))
        throw new ListenError('protocol', 'config: not an answer of ours');
      asking = undefined;
      epochs(answer.epoch);
      if (me && me.user !== answer.user) changeUser();
      config = answer;
      me = answer;
      changed();
    } catch (error) {
      if (signal.aborted) return;
      asking = undefined;
      connection.failed(error as ListenError);
    }
  }

  /** What a link shall cover: everything granted. None while nothing is, unless all there is was refused. */
  function interest(): Interest | undefined {
    const channels: Record<Channel, Position | null> = {};
    const grants = new Set<string>();
    let open = false;
    for (const sub of subs.values()) {
      if (sub.grant) {
        grants.add(sub.grant.token);
        channels[sub.channel] = readFrom(sub);
      } else open ||= !sub.refused;
    }
    if (grants.size === 0 && open) return undefined;
    return { channels, grants: [...grants], own: delivery.own ?? null };
  }

  /** Whether grants are missing that may still come. */
  function settling(): boolean {
    return [...subs.values()].some((sub) => !sub.grant && !sub.refused);
  }

  function isCovered(sub: Subscription): boolean {
    return connection.current?.covers.get(sub.channel) === sub;
  }

  /** Sorts out an error: `true` when trying again by itself can help. */
  function fault(error: ListenError): boolean {
    if (error.code === 'unauthenticated') {
      if (!out) logout(error);
      return false;
    }
    if (!FINAL_CODES.has(error.code)) return true;
    if (!fatal) {
      fatal = error;
      halt();
      for (const listener of listeners()) listener.reject(error);
      report(error);
      status.update();
    }
    return false;
  }

  function logout(error: ListenError): void {
    out = error;
    halt();
    config = undefined;
    status.update();
    const { onUnauthenticated } = options;
    if (!onUnauthenticated) return;
    void (async () => {
      try {
        await onUnauthenticated();
        // A login that changed nothing must not be asked for in a loop: the wait grows until a link is ready.
        if (out === error) login.later();
      } catch (cause) {
        report(cause);
      }
    })();
  }

  /** Asks everything again; positions, and what listeners hold, stay. */
  function restart(): void {
    paused = false;
    out = fatal = config = undefined;
    asking?.abort();
    asking = undefined;
    login.stop();
    connection.distrust(true);
    access.again();
  }

  function hello({ user, session, epoch, spread: window }: HelloEvent): boolean {
    epochs(epoch);
    delivery.spreadOver(window);
    if (!me || me.user === user) {
      me = { user, ...(session !== undefined && { session }) };
      return true;
    }
    changeUser();
    config = undefined;
    me = { user, ...(session !== undefined && { session }) };
    changed();
    return false;
  }

  /** Nothing of the former user may stay: no grant, position, addressed hint or refusal; and what is shown is not theirs. */
  function changeUser(): void {
    halt();
    hints.clear();
    delivery.forgetOwn();
    for (const sub of subs.values()) {
      forgetAll(sub);
      for (const listener of sub.listeners) listener.resync(0);
    }
  }

  function refuse(sub: Subscription): void {
    const error = new ListenError('refused', 'this user may not listen to this object, or it does not exist');
    sub.refused = error;
    sub.grant = undefined;
    for (const listener of [...sub.listeners]) {
      listener.pending = true;
      listener.reject(error);
    }
    report(error);
  }

  function missing(provider: string): void {
    if (warned === provider) return;
    warned = provider;
    report(
      new ListenError(
        'configuration',
        DEV
          ? `the server is configured for "${provider}", which this page does not have; it uses ${adapters[0]?.name}. Add it: ` +
              `import { ${provider} } from 'notify-listen/adapters/${provider}/client', adapters: [${provider}()]`
          : `no adapter ${provider}`,
      ),
    );
  }

  return {
    listen(object, actions, given = {}) {
      const checked = readObject(object);
      const channel = channelOf(checked);
      const sub = subs.get(channel) ?? createSubscription(channel, checked);
      const listener = createListener(
        listenerHost,
        checked,
        actions as Actions,
        given,
        () => sub.refused ?? fatal,
        () => {
          sub.listeners.delete(listener);
          if (sub.listeners.size > 0 || closed) return;
          sub.linger = world.setTimeout(() => {
            subs.delete(channel);
            changed();
          }, LINGER);
        },
      );
      if (closed) {
        listener.face.close();
        return listener.face;
      }
      world.clearTimeout(sub.linger);
      subs.set(channel, sub);
      sub.listeners.add(listener);
      // Asking again is what a remount is for.
      sub.refused = undefined;
      if (fatal) restart();
      const addressed = hints.of(checked.entity, checked.id);
      if (addressed.size > 0) listener.race({ latest: addressed, known: ALWAYS, since: given.position });
      if (isCovered(sub)) listener.settle(sub);
      changed();
      return listener.face;
    },
    status: status.get,
    onStatus: status.watch,
    fetch: own.fetch,
    pause() {
      if (closed) return;
      paused = true;
      halt();
      changed();
    },
    resume() {
      if (closed || !paused) return;
      paused = false;
      changed();
    },
    reconnect() {
      if (closed) return;
      restart();
    },
    close() {
      if (closed) return;
      closed = true;
      world.clearTimeout(tick);
      for (const listener of listeners()) listener.face.close();
      for (const sub of subs.values()) world.clearTimeout(sub.linger);
      subs.clear();
      hints.clear();
      shut();
    },
  };
}
