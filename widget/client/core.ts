/** What the parts of one client share: its surroundings, what it knows, and the few things that each may ask of all. */
import type { Channel } from '../../adapters/channel.js';
import type { ListenError } from '../../adapters/errors.js';
import type { ConfigAnswer, HelloEvent } from '../../adapters/protocol.js';
import type { Report } from './guard.js';
import type { Listener } from './listener.js';
import type { LoadStart, News } from './load-race.js';
import type { Cursor, Subscription } from './subscriptions.js';
import type { ListenClientOptions } from './types.js';
import type { PageWorld } from './world.js';

export interface Core {
  readonly world: PageWorld;
  readonly options: ListenClientOptions;
  /** When the page load began, on the clock of the world. */
  readonly started: LoadStart;
  /** Whether a person can see the page. */
  readonly visible: () => boolean;
  /** The client's `onError`; never throws. */
  readonly report: Report;
  readonly subs: Map<Channel, Subscription>;
  /** Notifications addressed to this user or login session, kept for listeners to come. */
  readonly hints: Map<string, News>;
  /** Requests of this page by the hash of their secret: each tells, in a while, whether it succeeded. */
  readonly requests: Map<string, () => Promise<boolean>>;
  config?: ConfigAnswer | undefined;
  /** Whose page this is, by keyed hashes. */
  me?: Pick<HelloEvent, 'user' | 'session' | 'aliases'>;
  /** Up to where the user's and the session's own channels were read. */
  own: Cursor;
  /** The window for refreshes after a resync, in milliseconds. */
  spread: number;
  /** Which part of a window this page waits; none: a random one. */
  turn?: number | undefined;
  /** Asks a route, within a limit of its own. Rejects with a `ListenError`. */
  ask<Answer>(route: 'config' | 'auth' | 'stream', body: object | undefined, life: AbortSignal): Promise<Answer>;
  /** The status at once, the traffic at the end of the tick. */
  changed(): void;
  /** Sorts out an error: `true` when trying again by itself can help. */
  fault(error: ListenError): boolean;
  refuse(sub: Subscription): void;
  /** Why it may not be listened to, at the moment. */
  refusal(sub: Subscription): ListenError | undefined;
  /** A listener was closed. */
  left(listener: Listener): void;
  /** The server takes the grants of these no longer. */
  reauthorise(subs: readonly Subscription[]): void;
}

/** Whether grants are missing that may still come. */
export function isSettling({ subs }: Core): boolean {
  return [...subs.values()].some((sub) => !sub.grant && !sub.refused);
}

/** Drops the oldest entry of what has grown beyond its bound. Tells whether it had. */
export function trim(entries: Map<string, unknown> | Set<string>, bound: number): boolean {
  const [oldest] = entries.keys();
  return entries.size > bound && entries.delete(oldest as string);
}
