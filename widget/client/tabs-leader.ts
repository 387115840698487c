/** What the leading tab does for all tabs: one real link for the links of all, opened anew when they want more. */
import type { Channel } from '../../adapters/channel.js';
import type { Interest, Link, LinkHost, Via } from '../../adapters/contract.js';
import type { ErrorCode, ListenError } from '../../adapters/errors.js';
import { isAfter, type Position } from '../../adapters/position.js';
import type { ServerEvent } from '../../adapters/protocol.js';
import type { Core } from './core.js';
import type { OpenLink } from './opener.js';
import { createTimer } from './timer.js';

/** How long joins of other tabs are gathered before a generation is opened for them, in milliseconds. */
const GATHER = 50;
/** A tab that was not heard of for so long is dead, in milliseconds: twice what a hidden one with slow timers takes. */
const EXPIRE = 150_000;
/** Channels of one connection: what a server takes by default. */
const MAX_CHANNELS = 1_000;
/** Links of all tabs: above what anybody has open. */
const MAX_JOINS = 200;

/** A link of a tab. */
export type JoinName = readonly [tab: string, join: number];

export type FollowerFrame =
  | { readonly tab: string; readonly visible: boolean }
  | { readonly tab: string; readonly visible: boolean; readonly join: number; readonly interest: Interest }
  | { readonly tab: string; readonly leave: number };

export type LeaderFrame =
  /** It leads, and whether it cannot be seen. */
  | { readonly hidden: boolean }
  /** A generation is being opened, for these links. */
  | { readonly began: string; readonly joins: readonly JoinName[] }
  /** There is no room for this link. */
  | { readonly full: JoinName }
  /** Something of a generation: an event, the way in which they come, or its end. */
  | EventFrame
  | { readonly of: string; readonly via: Via }
  | { readonly of: string; readonly down: Down };

interface EventFrame {
  readonly of: string;
  readonly event: ServerEvent;
  readonly id: Position | undefined;
  /** Of the real link: see `Link`. */
  readonly quiet: boolean;
  readonly unordered: boolean;
}

interface Down {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryAfter: number | undefined;
  /** The leader's own tab tries again, so that the others may wait for it. */
  readonly patient: boolean;
}

interface Join {
  readonly name: JoinName;
  readonly grants: readonly string[];
  readonly channels: Map<Channel, Position | null>;
  readonly own: Position | null;
  /** Up to where it was served; until then, it reads from where it said. */
  at?: Position;
}

interface Generation {
  readonly number: string;
  readonly joins: readonly Join[];
  link?: Link;
  ready?: true;
  ended?: true;
}

export interface Leadership {
  take(frame: FollowerFrame): void;
  /** Tells that it leads. */
  tell(): void;
  /** Another tab leads: serves what this tab's own links hold until they are closed, and nothing else. */
  retire(): void;
}

/**
 * @param tab this tab
 * @param host of the newest link of this tab
 * @param send takes a frame to all tabs, this one too; with an error for this one
 */
export function createLeadership(
  core: Core,
  tab: string,
  openDirect: OpenLink,
  host: () => LinkHost,
  send: (frame: LeaderFrame, error?: ListenError) => void,
): Leadership {
  const { world } = core;
  const joins = new Map<string, Join>();
  /** When each tab was heard of, and whether it can be seen. */
  const tabs = new Map<string, { heard: number; visible: boolean }>();
  let current: Generation | undefined;
  let opening: Generation | undefined;
  let count = 0;
  /** A link asked for more than what is being opened. */
  let wanted = false;
  /** A server took less than what is usual. */
  let crowded = false;
  let retired = false;

  const [gatherIn, stopGathering] = createTimer(world, open);
  const isOwn = ({ name }: Join): boolean => name[0] === tab;

  function open(): void {
    stopGathering();
    wanted = true;
    // Without a link of its own this tab is waiting to try again, and the others wait with it.
    if (opening || retired || ![...joins.values()].some(isOwn)) return;
    wanted = false;
    const generation: Generation = { number: `${tab}/${++count}`, joins: seat() };
    opening = generation;
    send({ began: generation.number, joins: generation.joins.map(({ name }) => name) });
    const { config, request } = host();
    const link = openDirect({
      config,
      world,
      request,
      interest: () => unite(generation.joins),
      visible: () => core.visible() || [...tabs.values()].some(({ visible }) => visible),
      alive() {},
      event: (event, id) => heard(generation, event, id),
      via: (via) => send({ of: generation.number, via }),
      again: open,
      down: (error) => down(generation, error),
    });
    generation.link = link;
    if (generation.ended) link.close();
  }

  /** The links that fit into one connection: this tab's own first. */
  function seat(): readonly Join[] {
    const seated: Join[] = [];
    const channels = new Set<Channel>();
    const sorted = [...joins.values()].sort((a, b) => Number(isOwn(b)) - Number(isOwn(a)));
    for (const join of sorted) {
      if (!isOwn(join)) {
        if (world.monotonic() - (tabs.get(join.name[0])?.heard ?? 0) > EXPIRE) {
          forget(join);
          continue;
        }
        const more = [...join.channels.keys()].filter((channel) => !channels.has(channel)).length;
        if (crowded || channels.size + more > MAX_CHANNELS) {
          forget(join);
          send({ full: join.name });
          continue;
        }
      }
      for (const channel of join.channels.keys()) channels.add(channel);
      seated.push(join);
    }
    return seated;
  }

  function forget({ name }: Join): void {
    joins.delete(name.join());
  }

  function heard(generation: Generation, event: ServerEvent, id: Position | undefined): void {
    const { number, joins: served, link } = generation;
    if (generation.ended) return;
    if (event.type === 'refused' || event.type === 'reauthorise')
      for (const { channels } of served) for (const channel of event.channels) channels.delete(channel);
    if (event.type === 'ready') {
      generation.ready = true;
      if (generation === opening) {
        opening = undefined;
        if (current) end(current);
        current = generation;
      }
    }
    const position = id ?? (event.type === 'ready' || event.type === 'heartbeat' ? event.position : undefined);
    if (generation.ready && position) for (const join of served) join.at = position;
    send({ of: number, event, id, quiet: !!link?.quiet, unordered: !!link?.sees });
    if (wanted && !opening) open();
  }

  function down(generation: Generation, error?: ListenError): void {
    if (generation.ended) return;
    end(generation);
    const { number, joins: served } = generation;
    const { code = 'network', message = 'silent', retryAfter } = error ?? {};
    if (code === 'too-large' && !served.every(isOwn)) crowded = true;
    const patient = served.some((join) => isOwn(join) && !current?.joins.includes(join));
    send({ of: number, down: { code, message, retryAfter, patient } }, error);
    if (wanted && !opening) open();
  }

  function end(generation: Generation): void {
    generation.ended = true;
    if (generation === opening) opening = undefined;
    if (generation === current) current = undefined;
    generation.link?.close();
  }

  function leave(name: JoinName): void {
    joins.delete(name.join());
    for (const generation of [opening, current])
      if (generation && !generation.joins.some((join) => joins.get(join.name.join()) === join)) end(generation);
    if (wanted && !opening) open();
  }

  function tell(): void {
    send({ hidden: !core.visible() });
  }

  return {
    tell,
    take(frame) {
      const { tab: who } = frame;
      if ('leave' in frame) {
        leave([who, frame.leave]);
        return;
      }
      tabs.set(who, { heard: world.monotonic(), visible: frame.visible });
      if (!('join' in frame)) {
        tell();
        return;
      }
      const name = [who, frame.join] as const;
      if (joins.size >= MAX_JOINS && who !== tab) {
        send({ full: name });
        return;
      }
      const { grants, channels, own } = frame.interest;
      joins.set(name.join(), { name, grants, channels: new Map(Object.entries(channels) as [Channel, null][]), own });
      if (who === tab) open();
      else if (opening) wanted = true;
      else gatherIn(GATHER);
    },
    retire() {
      retired = true;
      stopGathering();
      if (opening) end(opening);
      for (const join of [...joins.values()]) if (!isOwn(join) || !current?.joins.includes(join)) leave(join.name);
    },
  };
}

/** What all of them want: each channel from the lowest of their positions, as they are now. */
function unite(joins: readonly Join[]): Interest {
  const grants = new Set<string>();
  const channels: Record<Channel, Position | null> = {};
  let lowest: Position | null = null;
  for (const join of joins) {
    for (const grant of join.grants) grants.add(grant);
    for (const [channel, from] of join.channels) channels[channel] = lower(channels[channel] ?? null, join.at ?? from);
    lowest = lower(lowest, join.at ?? join.own);
  }
  return { grants: [...grants], channels, own: lowest };
}

/** The earlier of two places; none reads from now on. Of two logs each client sees for itself that its own is gone. */
function lower(one: Position | null, other: Position | null): Position | null {
  return one && (!other || !isAfter(one, other)) ? one : other;
}
