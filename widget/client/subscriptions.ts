/** The client's one interest in each channel, shared by its listeners: where it has got to and what it knows. */
import { type Channel, channelOf } from '../../adapters/channel.js';
import type { Link, ObjectRef } from '../../adapters/contract.js';
import type { ListenError } from '../../adapters/errors.js';
import { isAfter, isNews, type Position } from '../../adapters/position.js';
import type { LatestByAction, WireNotification } from '../../adapters/protocol.js';
import { type Core, trim } from './core.js';
import { type Listener, scheduler } from './listener.js';
import type { News } from './load-race.js';
import type { PageWorld } from './world.js';

/**
 * Actions of one object, and addressed objects and actions, that are remembered for listeners to come: applications name
 * a handful, and a person's page is told of a handful. The oldest goes first.
 */
const MAX_NEWS = 500;
/** Until `/config` names it: how long the log keeps a notification, in milliseconds. */
const RETENTION = 420_000;

/** How far a channel was read. */
export interface Cursor {
  /** Everything up to it was received; `undefined` before its first `ready`. */
  position?: Position | undefined;
  /** The newest notification that was handed on. */
  seen?: Position | undefined;
}

/** The signed proof of `/auth`, for all objects that were granted in one answer. */
export interface Grant {
  readonly token: string;
  /** When it ends, on the clock of the world. */
  readonly end: number;
}

export interface Subscription extends Cursor {
  readonly channel: Channel;
  readonly object: ObjectRef;
  readonly entity: string;
  readonly id: string | undefined;
  readonly listeners: Set<Listener>;
  /** By action, the newest notification. */
  readonly latest: Map<string, News>;
  /** Nothing since this moment is unknown. */
  known?: number | undefined;
  /** Nothing after this position is unknown. */
  since?: Position | undefined;
  /** It must be refreshed when it is covered again. */
  lost?: boolean;
  grant?: Grant | undefined;
  refused?: ListenError | undefined;
  /** In an `/auth` request. */
  asking?: boolean;
  /** It was to be asked again since that request began: a refusal in its answer says nothing. */
  anew?: boolean;
  /** The timer of its linger. */
  linger?: unknown;
}

/** A cursor, or a subscription, that has heard nothing yet. */
export const newCursor = (): Cursor => ({});

export function createSubscription(channel: Channel, object: { entity: string; id?: string }): Subscription {
  const { entity, id } = object;
  // All listeners of the channel show it.
  return { channel, object: Object.freeze(object), entity, id, listeners: new Set(), latest: new Map() };
}

/** Another user: nothing of the former one's may stay, and what is shown is not this one's. */
export function forgetAll(sub: Subscription): void {
  sub.latest.clear();
  sub.position = sub.seen = sub.known = sub.since = sub.grant = sub.refused = undefined;
  sub.lost = false;
  for (const listener of sub.listeners) {
    listener.pending = true;
    scheduler(listener).resync(0);
  }
}

/** Where to read from: its own position, else the least that a waiting listener named, else from now on. */
export function readFrom({ position, listeners }: Subscription): Position | null {
  let from = position;
  if (!from) for (const { start } of listeners) if (start[1] && (!from || isAfter(from, start[1]))) from = start[1];
  return from ?? null;
}

/** Takes a notification that the carrying link covers; `false` when it was seen before. */
export function see(cursor: Cursor, form: WireNotification, link?: Link): boolean {
  const { position } = form;
  // Where tabs share a connection, it is read from further back than this one's position for the sake of another.
  if (!isNews(position, cursor.seen) || !isNews(position, cursor.position)) return false;
  // Without an order, the newest says nothing of those before it.
  if (link?.sees) return link.sees(cursor, form);
  cursor.seen = position;
  return true;
}

/** Moves the position forward; one of another epoch replaces it. */
export function moveTo(cursor: Cursor, position: Position): void {
  if (!cursor.position || !isAfter(cursor.position, position)) cursor.position = position;
}

/** Keeps news under a key, unless newer ones are there. Tells whether others had to go for it. */
function keep(kept: Map<string, News>, key: string, notification: WireNotification, at: number): boolean {
  const former = kept.get(key);
  // Of the same place it may be a merge, which covers more.
  if (former && isAfter(former[0].position, notification.position)) return false;
  kept.delete(key);
  kept.set(key, [notification, at]);
  return trim(kept, MAX_NEWS);
}

/** Keeps news for listeners that attach later: the newest of each action. */
export function remember(
  world: PageWorld,
  sub: Subscription,
  notification: WireNotification,
  at: number = world.clock(),
): void {
  // What is dropped is no longer known: who loaded before now refreshes.
  if (keep(sub.latest, notification.action, notification, at)) {
    sub.known = world.clock();
    sub.since = notification.position;
  }
}

/** Takes what `ready` tells about the channel. */
export function rememberLatest(world: PageWorld, sub: Subscription, latest: LatestByAction = {}): void {
  const { entity, id } = sub;
  for (const [action, { age, ...rest }] of Object.entries(latest)) {
    const former = sub.latest.get(action);
    const at = world.clock() - age;
    // A node that has just started knows no ages, and a replay came without: the greater one is nearer to the truth.
    if (former?.[0].position === rest.position) sub.latest.set(action, [former[0], Math.min(at, former[1])]);
    else remember(world, sub, { entity, ...(id !== undefined && { id }), action, ...rest }, at);
  }
}

/** Keeps a notification that was addressed to this page for listeners that attach later, by object and action. */
export function keepHint({ world, hints }: Core, notification: WireNotification): void {
  keep(hints, `${channelOf(notification)} ${notification.action}`, notification, world.clock());
}

/** The hints that concern an object, or the entity as a whole, for as long as the log keeps them. */
export function hintsFor({ world, hints, config }: Core, { entity, id }: Subscription): News[] {
  const found: News[] = [];
  for (const [key, [notification, at]] of hints) {
    if (world.clock() - at > (config?.retention ?? RETENTION)) hints.delete(key);
    else if (
      notification.entity === entity &&
      (id === undefined || notification.id === undefined || notification.id === id)
    ) {
      found.push([id === undefined ? reduce(notification) : notification, at]);
    }
  }
  return found;
}

/** The form that an entity's listeners get of a notification of one of its objects. */
export function reduce({ entity, action, position, cause, except, spread }: WireNotification): WireNotification {
  // JSON leaves out what is not there.
  return JSON.parse(JSON.stringify({ entity, action, position, cause, except, spread }));
}
