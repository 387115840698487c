/**
 * The connection: one current link and at most one opening link beside it, their watchdog, waits and ends. It knows
 * nothing of listeners; what a link carries goes to its host. States and races are in docs/client.md.
 */
import type { ClientAdapter, Interest, Link, LinkHost, Via, World } from '../../adapters/contract.js';
import { ListenError } from '../../adapters/errors.js';
import type { Position } from '../../adapters/position.js';
import type { ConfigAnswer, HelloEvent, ServerEvent } from '../../adapters/protocol.js';
import { createRetry, RETRY } from './backoff.js';
import type { Subscription } from './subscriptions.js';
import { longest, type Mark, mark } from './world.js';

/** Whether a link covers all of a set. */
const isWithin = ({ channels, grants }: Interest, { covers, interest }: Live): boolean =>
  Object.keys(channels).every((channel) => covers.has(channel)) &&
  grants.every((grant) => interest.grants.includes(grant));

/** How long a link may be silent. */
const limit = ({ via, heartbeat }: Held): number => Math.max(2 * heartbeat + 5_000, via === 'poll' ? POLL_SILENCE : 0);

/** How often the watchdog looks, in milliseconds. One timer for each page that listens. */
const LOOK = 5_000;
/** A wall clock that runs ahead of the monotonic one by more than this within a look means that the machine slept. */
const JUMP = 5_000;
/** A link that was heard so lately needs no proof when the page becomes visible, in milliseconds. */
const FRESH = 2_000;
/** How long a node may stay degraded before another one is looked for; also the window of that wait. Milliseconds. */
const DEGRADED = 30_000;
/** A long poll is silent for 25 s by design, in milliseconds. */
const POLL_SILENCE = 35_000;
/** After so many failed openings the configuration may be another one: it is asked again. */
const STALE_CONFIG = 4;

/** A link and what it covers. */
export interface Live {
  readonly covers: Map<string, Subscription>;
  /** From where it reads each channel. */
  readonly interest: Interest;
  /** Resyncs that it has told. */
  readonly resynced: Set<Subscription>;
  ready: boolean;
}

export interface ConnectionHost {
  readonly world: World;
  readonly adapters: readonly ClientAdapter[];
  readonly request: LinkHost['request'];
  config(): ConfigAnswer | undefined;
  /** What should be listened to; `undefined` while there is nothing to open a link for. */
  interest(): Interest | undefined;
  covers(interest: Interest): Map<string, Subscription>;
  /** The set of a link, with the positions as they are now. */
  again(live: Live): Interest;
  /** Grants are being asked for: a set that only shrinks may wait for the answer. */
  settling(): boolean;
  /** `false`: the link belongs to another user and was dropped. */
  hello(event: HelloEvent): boolean;
  event(live: Live, event: ServerEvent, id: Position | undefined): void;
  /** An adapter that is configured but not registered. */
  missing(provider: string): void;
  /** Too many failures: the configuration must be asked again. */
  stale(): void;
  fault(error: ListenError): boolean;
  changed(): void;
}

export interface Connection {
  readonly current: Live | undefined;
  readonly opening: boolean;
  readonly via: Via | undefined;
  readonly degraded: boolean;
  readonly error: ListenError | undefined;
  readonly retryAt: number | undefined;
  /** Once connected, or failed: from then on it is `reconnecting`. */
  readonly tried: boolean;
  /** Opens a link if the wanted set is not that of the current one. */
  pursue(): void;
  /** Counts a failure that happened before a link could be opened. */
  failed(error: ListenError): void;
  /** The link may have died unnoticed: opens another beside it, and tries now what waits. */
  distrust(force: boolean): void;
  /** Closes everything and forgets what waits. */
  stop(): void;
}

/** The state of a link that only this file sees. */
interface Held extends Live {
  readonly key: string;
  link: Link | undefined;
  heard: Mark;
  heartbeat: number;
  via: Via;
  ended: boolean;
}

export function createConnection(host: ConnectionHost): Connection {
  const { world } = host;
  const retry = createRetry(
    world,
    () => host.config()?.retry ?? RETRY,
    () => host.changed(),
  );
  let current: Held | undefined;
  let opening: Held | undefined;
  let distrusted = false;
  let degradedSince: Mark | undefined;
  let error: ListenError | undefined;
  let tried = false;
  let looking: unknown;
  /** Looks for another node after a random wait. */
  let elsewhere: unknown;
  let looked = mark(world);

  function pursue(): void {
    const config = host.config();
    if (!config || opening || retry.at !== undefined) return;
    const interest = host.interest();
    if (!interest) return;
    const key = JSON.stringify([interest.grants, Object.keys(interest.channels)]);
    if (current && !distrusted && (current.key === key || (host.settling() && isWithin(interest, current)))) return;
    open(config, interest, key);
  }

  function open(config: ConfigAnswer, interest: Interest, key: string): void {
    const named = host.adapters.find(({ name }) => name === config.provider);
    if (!named) host.missing(config.provider);
    const adapter = named ?? (host.adapters[0] as ClientAdapter);
    const held: Held = {
      covers: host.covers(interest),
      interest,
      resynced: new Set(),
      ready: false,
      key,
      link: undefined,
      heard: mark(world),
      heartbeat: config.heartbeat,
      via: adapter.name,
      ended: false,
    };
    opening = held;
    look();
    const link = adapter.open(interest, {
      config,
      world,
      request: host.request,
      alive: () => {
        held.heard = mark(world);
      },
      interest: () => host.again(held),
      event: (event, id) => heard(held, event, id),
      via(via) {
        held.via = via;
        host.changed();
      },
      down: (cause) => down(held, cause),
    });
    // An adapter may have ended it, or the host everything, from inside `open`.
    if (held.ended) link.close();
    else held.link = link;
  }

  function heard(held: Held, event: ServerEvent, id: Position | undefined): void {
    if (held.ended) return;
    held.heard = mark(world);
    if (event.type === 'hello') {
      if (event.heartbeat > 0) held.heartbeat = event.heartbeat;
      if (!host.hello(event)) return;
    }
    if (event.type === 'heartbeat') degrade(held, event.degraded === true);
    if (event.type === 'ready') {
      held.ready = true;
      if (held === opening) {
        // In one turn: both at once could only repeat, none at all could miss.
        if (current) end(current);
        current = held;
        opening = undefined;
        distrusted = false;
        degradedSince = undefined;
      }
      error = undefined;
      tried = true;
      // Not at opening or `hello`: a server that greets and hangs up would be asked again without a pause.
      retry.stop();
      retry.reset();
    }
    host.event(held, event, id);
    if (event.type === 'goodbye') {
      end(held);
      tried = true;
      retry.after(world.random() * Math.max(0, event.within || 0));
    }
    if (event.type === 'ready' || event.type === 'heartbeat' || event.type === 'goodbye') host.changed();
  }

  function degrade(held: Held, degraded: boolean): void {
    if (held !== current) return;
    if (degraded) degradedSince ??= mark(world);
    else {
      // It speaks and proves its tail: whatever made us doubt is over.
      degradedSince = undefined;
      distrusted = false;
    }
  }

  function end(held: Held): void {
    if (held === current) current = undefined;
    if (held === opening) opening = undefined;
    held.ended = true;
    held.link?.close();
  }

  function down(held: Held, cause: ListenError): void {
    if (held.ended) return;
    end(held);
    failed(cause);
  }

  function failed(cause: ListenError): void {
    tried = true;
    if (host.fault(cause)) {
      error = cause;
      retry.later(cause);
      if (retry.failures % STALE_CONFIG === 0) host.stale();
    }
    host.changed();
  }

  function distrust(): void {
    distrusted = true;
    // One that was opening may be as dead as the current one.
    if (opening) end(opening);
    retry.stop();
    host.changed();
  }

  /** The watchdog. Timers may come late or never (a sleeping machine), so each look compares clocks. */
  function look(): void {
    world.clearTimeout(looking);
    looking = world.setTimeout(look, LOOK);
    const jumped = world.now() - looked.wall - (world.monotonic() - looked.mono) > JUMP;
    looked = mark(world);
    for (const held of [current, opening]) {
      if (held && longest(world, held.heard) > limit(held)) down(held, new ListenError('network', 'nothing was heard'));
    }
    if (jumped && (current || opening || retry.at !== undefined)) distrust();
    if (degradedSince && longest(world, degradedSince) > DEGRADED) {
      degradedSince = mark(world);
      world.clearTimeout(elsewhere);
      elsewhere = world.setTimeout(() => {
        distrusted = degradedSince !== undefined;
        host.changed();
      }, world.random() * DEGRADED);
    }
  }

  return {
    get current() {
      return current;
    },
    get opening() {
      return opening !== undefined;
    },
    get via() {
      return current?.via;
    },
    get degraded() {
      return degradedSince !== undefined;
    },
    get error() {
      return error;
    },
    get retryAt() {
      return retry.at;
    },
    get tried() {
      return tried;
    },
    pursue,
    failed,
    distrust(force) {
      if (force || !current || opening || longest(world, current.heard) >= FRESH) distrust();
    },
    stop() {
      retry.stop();
      retry.reset();
      world.clearTimeout(looking);
      world.clearTimeout(elsewhere);
      if (opening) end(opening);
      if (current) end(current);
      degradedSince = error = undefined;
      distrusted = tried = false;
    },
  };
}
