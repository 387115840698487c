/** The client's one interest in each channel, shared by its listeners: where it has got to and what it knows. */

import type { Channel } from '../../adapters/channel.js';
import type { World } from '../../adapters/contract.js';
import type { ListenError } from '../../adapters/errors.js';
import { comparePositions, epochOf, isAfter, type Position } from '../../adapters/position.js';
import type { LatestByAction, WireNotification } from '../../adapters/protocol.js';
import type { Listener } from './listener.js';
import type { Knowledge, News } from './load-race.js';
import { type Mark, mark, shortest } from './world.js';

/** Actions of one object that are remembered for listeners to come; applications name a handful. */
const MAX_ACTIONS = 200;

/** The signed proof of `/auth`, for all objects that were granted in one answer. */
export interface Grant {
  readonly token: string;
  readonly born: Mark;
  /** Milliseconds from `born`. */
  readonly life: number;
}

export interface Subscription extends Knowledge {
  readonly channel: Channel;
  readonly entity: string;
  readonly id: string | undefined;
  readonly listeners: Set<Listener>;
  readonly latest: Map<string, News>;
  known: Mark | undefined;
  since: Position | undefined;
  /** Everything up to it was received; `undefined` before its first `ready`. */
  position: Position | undefined;
  /** The newest notification that was handed on. */
  seen: Position | undefined;
  /** It must be refreshed when it is covered again. */
  lost: boolean;
  grant: Grant | undefined;
  refused: ListenError | undefined;
  /** In an `/auth` request. */
  asking: boolean;
  /** The timer of its linger. */
  linger: unknown;
}

export function createSubscription(channel: Channel, object: { entity: string; id?: string }): Subscription {
  return {
    channel,
    entity: object.entity,
    id: object.id,
    listeners: new Set(),
    latest: new Map(),
    linger: undefined,
    ...blank(),
  };
}

/** What a subscription is before it has heard anything, and again after a change of user. */
function blank() {
  return {
    known: undefined,
    since: undefined,
    position: undefined,
    seen: undefined,
    lost: false,
    grant: undefined,
    refused: undefined,
    asking: false,
  } satisfies Partial<Subscription>;
}

/** Another user: nothing of the former one's may stay. */
export function forgetAll(sub: Subscription): void {
  Object.assign(sub, blank());
  sub.latest.clear();
  for (const listener of sub.listeners) listener.pending = true;
}

/** Where to read from: its own position, else the least that a waiting listener named, else from now on. */
export function readFrom(sub: Subscription): Position | null {
  if (sub.position) return sub.position;
  let least: Position | null = null;
  for (const { start } of sub.listeners) {
    const { position } = start;
    if (position && (!least || (comparePositions(position, least) ?? 0) < 0)) least = position;
  }
  return least;
}

/** Takes a notification that the carrying link covers; `false` when it was seen before. */
export function see(sub: Subscription, position: Position): boolean {
  if (sub.seen && (comparePositions(position, sub.seen) ?? 1) <= 0) return false;
  sub.seen = position;
  return true;
}

/** Moves the position forward; one of another epoch replaces it. */
export function moveTo(position: Position, former: Position | undefined): Position {
  return former && isAfter(former, position) ? former : position;
}

/** Whether a position is of another log than the one before. */
export function otherEpoch(position: Position, former: Position | undefined): boolean {
  return former !== undefined && epochOf(former) !== epochOf(position);
}

/** Keeps news for listeners that attach later: the newest of each action. */
export function remember(world: World, sub: Subscription, notification: WireNotification, age = 0): void {
  const { action, position } = notification;
  const { latest } = sub;
  const former = latest.get(action);
  if (former && (comparePositions(position, former.notification.position) ?? 1) <= 0) return;
  latest.set(action, { notification, at: mark(world, age) });
  if (latest.size <= MAX_ACTIONS) return;
  // What is dropped is no longer known: who loaded before now refreshes.
  for (const oldest of latest.keys()) {
    latest.delete(oldest);
    break;
  }
  sub.known = mark(world);
  sub.since = position;
}

/** Takes what `ready` tells about the channel. */
export function rememberLatest(world: World, sub: Subscription, news: LatestByAction): void {
  for (const [action, { age, ...rest }] of Object.entries(news)) {
    const former = sub.latest.get(action);
    let learned = age >= 0 ? age : 0;
    let notification: WireNotification = {
      entity: sub.entity,
      ...(sub.id !== undefined && { id: sub.id }),
      action,
      ...rest,
    };
    if (former?.notification.position === rest.position) {
      // A node that has just started knows no ages, and a replay came without: the greater one is nearer to the truth.
      learned = Math.max(learned, shortest(world, former.at));
      notification = former.notification;
      sub.latest.delete(action);
    }
    remember(world, sub, notification, learned);
  }
}

/** The form that an entity's listeners get of a notification of one of its objects. */
export function reduce({ entity, action, position, cause, except, spread }: WireNotification): WireNotification {
  return {
    entity,
    action,
    position,
    ...(cause !== undefined && { cause }),
    ...(except && { except }),
    ...(spread !== undefined && { spread }),
  };
}
