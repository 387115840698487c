/**
 * The connection: one current link and at most one opening link beside it, their watchdog, waits and ends. It knows
 * nothing of listeners; what a link carries goes to `deliver`. States and races are in docs/client.md.
 *
 * About 300 lines long, because opening, taking over, doubt and end are steps of one life, over the same two links.
 */
import type { Interest, Link, LinkHost, Via } from '../../adapters/contract.js';
import { ListenError } from '../../adapters/errors.js';
import type { Position } from '../../adapters/position.js';
import type { ConfigAnswer, HelloEvent, ServerEvent } from '../../adapters/protocol.js';
import { createRetry, type Retry } from './backoff.js';
import { type Core, isSettling } from './core.js';
import { deliver } from './delivery.js';
import { DEV } from './dev.js';
import { type Adapters, createOpener } from './opener.js';
import { readFrom, type Subscription } from './subscriptions.js';
import { createTimer } from './timer.js';

/** How often the watchdog looks, in milliseconds. One timer for each page that listens. */
const LOOK = 5_000;
/** A wall clock that runs ahead of the monotonic one by more than this within a look means that the machine slept. */
const JUMP = 5_000;
/** A link that was heard, or begun, so lately needs no proof when the page becomes visible, in milliseconds. */
const FRESH = 2_000;
/** How long a node may stay degraded before another one is looked for; also the window of that wait. Milliseconds. */
const DEGRADED = 30_000;
/** A long poll is silent for 25 s by design, in milliseconds. */
const POLL_SILENCE = 35_000;
/** How long an opening that shows signs of life may take until `ready`, in milliseconds: a replay over a slow network. */
const OPENING = 60_000;
/** After so many failed openings the configuration may be another one: it is asked again. */
const STALE_CONFIG = 4;

/** A link and what it covers. */
export interface Live {
  readonly covers: Map<string, Subscription>;
  /** From where it reads each channel. */
  readonly interest: Interest;
  /** Resyncs that it has told. */
  readonly resynced: Set<Subscription>;
  readonly key: string;
  link?: Link;
  /** When it was opened, on the clock of the world. */
  readonly began: number;
  /** When anything came last; once ready, any event. */
  heard: number;
  heartbeat: number;
  /** How it says that events come; until then, the adapter that the server is configured for. */
  via: Via;
  ready?: true;
  /** It said goodbye, and carries until the next one is ready. */
  leaving?: boolean;
  ended?: true;
}

export interface Connection {
  current(): Live | undefined;
  degraded(): boolean;
  /** Once connected, or failed: from then on it is `reconnecting`. */
  tried(): boolean;
  readonly retry: Retry;
  /** Opens a link if the wanted set is not that of the current one. */
  pursue(): void;
  /** Counts a failure, also one that happened before a link could be opened. */
  failed(error: ListenError): void;
  /** The link may have died unnoticed: opens another beside it, and tries now what waits. */
  distrust(force: boolean): void;
  /** Closes everything and forgets what waits. */
  stop(): void;
}

/**
 * @param hello may end the link, when it is another user's
 * @param ready a link became ready, and its listeners know
 */
export function createConnection(
  core: Core,
  adapters: Adapters,
  request: LinkHost['request'],
  hello: (event: HelloEvent) => void,
  ready: () => void,
): Connection {
  const { world } = core;
  const retry = createRetry(core, core.changed);
  const [openLink, warm, closeShared] = createOpener(core, adapters);
  let current: Live | undefined;
  let opening: Live | undefined;
  let distrusted = false;
  let degradedSince: number | undefined;
  let tried = false;
  /** How far the clock of the world was ahead of the monotonic one. */
  let ahead = world.clock() - world.monotonic();

  const [lookIn, stopLooking] = createTimer(world, look);
  /** Looks for another node. */
  const [leaveIn, stopLeaving] = createTimer(world, () => {
    distrusted ||= degradedSince !== undefined;
    core.config = undefined;
    core.changed();
  });

  /** What a link shall cover: everything granted. No link while nothing is, unless all there is was refused. */
  function pursue(): void {
    const { config, subs } = core;
    warm();
    if (!config || opening || retry.waits()) return;
    const covers = new Map([...subs].filter(([, sub]) => sub.grant));
    const grants = [...new Set([...covers.values()].map((sub) => sub.grant?.token as string))];
    const settling = isSettling(core);
    if (settling && grants.length === 0) return;
    const key = JSON.stringify([config.provider, grants, ...covers.keys()]);
    const held = current;
    // A set that only shrinks may wait for the grants that are being asked for.
    const enough =
      held &&
      !distrusted &&
      !held.leaving &&
      (held.key === key ||
        (settling &&
          [...covers.keys()].every((channel) => held.covers.has(channel)) &&
          grants.every((grant) => held.interest.grants.includes(grant))));
    if (!enough) open(config, covers, grants, key);
  }

  function open(config: ConfigAnswer, covers: Live['covers'], grants: readonly string[], key: string): void {
    // Before there is an opening: what it finds wrong is about what was.
    look();
    /** The set, with the positions as they are now. */
    const interest = (): Interest => ({
      grants,
      channels: Object.fromEntries([...covers].map(([channel, sub]) => [channel, readFrom(sub)])),
      own: core.own.position ?? null,
    });
    const held: Live = {
      covers,
      interest: interest(),
      resynced: new Set(),
      key,
      began: world.clock(),
      heard: world.clock(),
      heartbeat: config.heartbeat,
      via: config.provider,
    };
    opening = held;
    const host: LinkHost = {
      config,
      world,
      request,
      interest,
      visible: core.visible,
      alive() {
        // Bytes without an event may be of a proxy that keeps a connection open whose other end has gone.
        if (!held.ready) held.heard = world.clock();
      },
      event: (event, id) => heard(held, event, id),
      via(via) {
        held.via = via;
        core.changed();
      },
      again() {
        distrusted = true;
        core.changed();
      },
      down: (cause) => down(held, cause),
    };
    const link = openLink(host);
    // An adapter may have ended it, or the host everything, from inside `open`.
    if (held.ended) link.close();
    else held.link = link;
  }

  function heard(held: Live, event: ServerEvent, id: Position | undefined): void {
    const { type } = event;
    if (held.ended) return;
    held.heard = world.clock();
    if (type === 'hello') {
      held.heartbeat = event.heartbeat;
      core.turn = event.turn;
      hello(event);
      if (held.ended) return;
      // The server has another adapter than it had. Nodes that disagree for a while must not be asked in a loop.
      const { config } = core;
      if (config && event.provider && event.provider !== config.provider) leaveIn(world.random() * DEGRADED);
    }
    // In `hello` and heartbeats. A node that has just started counts only those who were faster: what was told before
    // holds until it counts again.
    if ('spread' in event) core.spread = held === opening ? Math.max(core.spread, event.spread) : event.spread;
    if (type === 'heartbeat' && held === current) {
      if (event.degraded) degradedSince ??= world.clock();
      // It speaks and proves its tail: whatever made us doubt is over.
      else trust();
    }
    if (type === 'ready') {
      held.ready = true;
      held.leaving = false;
      if (held === opening) {
        // In one turn: both at once could only repeat, none at all could miss.
        if (current) end(current);
        current = held;
        opening = undefined;
        trust();
      }
      tried = true;
      // Not at opening or `hello`: a server that greets and hangs up would be asked again without a pause.
      retry.failures = 0;
      quiet();
    }
    deliver(core, held, event, id);
    if (type === 'ready') ready();
    if (type === 'goodbye') {
      if (event.lasts && held === current) held.leaving = true;
      else end(held);
      tried = true;
      retry.after(world.random() * event.within);
    }
    if (type !== 'notification') core.changed();
  }

  function trust(): void {
    degradedSince = undefined;
    distrusted = false;
  }

  function quiet(): void {
    retry.stop();
    retry.error = undefined;
  }

  function end(held: Live): void {
    if (held === current) current = undefined;
    if (held === opening) opening = undefined;
    held.ended = true;
    held.link?.close();
  }

  function down(
    held: Live,
    cause = new ListenError('network', DEV ? 'nothing was heard for too long' : 'silent'),
  ): void {
    if (held.ended) return;
    end(held);
    // The end was announced, and the next link is on its way or waits for its time.
    if (held.leaving) core.changed();
    else failed(cause);
  }

  function failed(cause: ListenError): void {
    tried = true;
    if (core.fault(cause)) {
      retry.later(cause);
      if (retry.failures % STALE_CONFIG === 0) core.config = undefined;
    }
    core.changed();
  }

  function distrust(): void {
    distrusted = true;
    // One that was opening may be as dead as the current one.
    if (opening) end(opening);
    retry.stop();
    core.changed();
  }

  /** The watchdog. Timers may come late or never (a sleeping machine), so each look compares clocks. */
  function look(): void {
    lookIn(LOOK);
    const now = world.clock();
    const former = ahead;
    ahead = now - world.monotonic();
    for (const held of [current, opening]) {
      // At a provider silence means nothing: such a link ends itself.
      if (
        held &&
        !(held.ready && held.link?.quiet) &&
        (now - held.heard > Math.max(2 * held.heartbeat + 5_000, held.via === 'poll' ? POLL_SILENCE : 0) ||
          (!held.ready && now - held.began > OPENING))
      )
        down(held);
    }
    if (ahead - former > JUMP) distrust();
    if (degradedSince !== undefined && now - degradedSince > DEGRADED) {
      degradedSince = now;
      leaveIn(world.random() * DEGRADED);
    }
  }

  return {
    current: () => current,
    degraded: () => degradedSince !== undefined,
    tried: () => tried,
    retry,
    pursue,
    failed,
    distrust(force) {
      const newest = opening ?? current;
      if (force || !newest || world.clock() - newest.heard >= FRESH) distrust();
    },
    stop() {
      quiet();
      stopLooking();
      stopLeaving();
      if (opening) end(opening);
      if (current) end(current);
      closeShared();
      trust();
      tried = false;
    },
  };
}
