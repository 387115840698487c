/** Hands what a link carries to the subscriptions that it covers: notifications, resyncs, `ready`, and positions. */
import { type Channel, channelOf } from '../../adapters/channel.js';
import type { World } from '../../adapters/contract.js';
import { parseNotification } from '../../adapters/notification.js';
import type { Position } from '../../adapters/position.js';
import type { ServerEvent } from '../../adapters/protocol.js';
import type { Live } from './connection.js';
import type { Hints } from './hints.js';
import { moveTo, otherEpoch, reduce, remember, rememberLatest, type Subscription, see } from './subscriptions.js';
import { mark } from './world.js';

export interface DeliveryHost {
  readonly world: World;
  readonly subs: ReadonlyMap<Channel, Subscription>;
  readonly hints: Hints;
  refuse(sub: Subscription): void;
  reauthorise(subs: readonly Subscription[]): void;
  /** A link became ready, and its listeners know. */
  ready(): void;
  changed(): void;
}

export interface Delivery {
  /** Up to where the user's and the session's own channels were read. */
  readonly own: Position | undefined;
  event(live: Live, event: ServerEvent, id: Position | undefined): void;
  /** The window for refreshes after a resync, in milliseconds. */
  spreadOver(window: number): void;
  /** Nobody listens, or another user does: the own channels are read from now on. */
  forgetOwn(): void;
}

export function createDelivery(host: DeliveryHost): Delivery {
  const { world, subs, hints } = host;
  let ownPosition: Position | undefined;
  let ownSeen: Position | undefined;
  let spread = 0;

  function spreadOver(window: number): void {
    spread = window > 0 ? window : 0;
  }

  function event(live: Live, event: ServerEvent, id: Position | undefined): void {
    const named = (channels: readonly Channel[]) => channels.flatMap((channel) => live.covers.get(channel) ?? []);
    switch (event.type) {
      case 'notification':
        receive(live, event.notification);
        break;
      case 'resync':
        if (event.channels) for (const sub of named(event.channels)) resync(sub, live);
        else for (const sub of subs.values()) resyncAny(sub, live);
        break;
      case 'refused':
      case 'reauthorise': {
        const subs = named(event.channels);
        // In this turn: no id that follows may move their positions.
        for (const { channel } of subs) live.covers.delete(channel);
        if (event.type === 'reauthorise') host.reauthorise(subs);
        else for (const sub of subs) host.refuse(sub);
        host.changed();
        break;
      }
      case 'ready':
        ready(live, event);
        break;
      case 'heartbeat':
        spreadOver(event.spread);
    }
    const position = event.type === 'heartbeat' ? event.position : id;
    if (live.ready && position) move(live, position);
  }

  function move(live: Live, position: Position): void {
    for (const sub of live.covers.values()) sub.position = moveTo(position, sub.position);
    ownPosition = moveTo(position, ownPosition);
  }

  function ready(live: Live, { position, known, latest }: Extract<ServerEvent, { type: 'ready' }>): void {
    for (const [channel, sub] of live.covers) {
      // A server that changed its log must say so; if it did not, nobody may go on as if nothing had been missed.
      if ((sub.lost || otherEpoch(position, sub.position)) && !live.resynced.has(sub)) resync(sub, live);
      sub.lost = false;
      sub.known ??= mark(world, known > 0 ? known : 0);
      // What was asked for was replayed, unless the server could not.
      sub.since ??= (!live.resynced.has(sub) && live.interest.channels[channel]) || position;
      if (latest?.[channel]) rememberLatest(world, sub, latest[channel]);
      for (const listener of sub.listeners) if (listener.pending) listener.settle(sub);
    }
    move(live, position);
    host.ready();
  }

  /** A channel that is to be covered again is told then, once; a refused one is told now, for what is addressed. */
  function resyncAny(sub: Subscription, live: Live): void {
    if (sub.refused || live.covers.get(sub.channel) === sub) resync(sub, live);
    else sub.lost = sub.position !== undefined;
  }

  function resync(sub: Subscription, live: Live): void {
    live.resynced.add(sub);
    // What happened before is no longer known: a listener that loaded before now refreshes when it attaches.
    sub.known = mark(world);
    sub.since = undefined;
    for (const listener of [...sub.listeners]) listener.resync(spread);
  }

  /** Hands a notification to whom it concerns: see "Channels of an entry" in the protocol. */
  function receive(live: Live, wire: unknown): void {
    const full = parseNotification(wire);
    if (!full) return;
    const { entity, id, position, to, changedDate } = full;
    if (to) {
      if (ownSeen && moveTo(position, ownSeen) === ownSeen) return;
      ownSeen = position;
      hints.add(full);
    }
    const reduced = reduce(full);
    const list = channelOf({ entity });
    const everyObject = id === undefined && changedDate !== undefined;
    const concerned = everyObject
      ? [...subs.values()].filter((sub) => sub.entity === entity)
      : [subs.get(list), subs.get(channelOf(full))];
    for (const sub of new Set(concerned)) {
      // An addressed one comes on the user's channel; any other counts only where the carrying link covers the channel.
      if (!sub || (!to && (live.covers.get(sub.channel) !== sub || !see(sub, position)))) continue;
      const form = sub.id === undefined ? reduced : full;
      remember(world, sub, form);
      // Those that still wait for the load race find it there.
      for (const listener of [...sub.listeners]) if (to || !listener.pending) listener.receive(form);
    }
  }

  return {
    get own() {
      return ownPosition;
    },
    event,
    spreadOver,
    forgetOwn() {
      ownPosition = ownSeen = undefined;
    },
  };
}
