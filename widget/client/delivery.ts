/** Hands what a link carries to the subscriptions that it covers: notifications, resyncs, `ready`, and positions. */
import { parseNotification } from '../../adapters/notification.js';
import { comparePositions, isNews, type Position } from '../../adapters/position.js';
import type { ReadyEvent, ServerEvent, WireNotification } from '../../adapters/protocol.js';
import type { Live } from './connection.js';
import type { Core } from './core.js';
import { receive as hand, scheduler, settle } from './listener.js';
import { keepHint, moveTo, reduce, remember, rememberLatest, type Subscription, see } from './subscriptions.js';

/** Takes one event of a link. `id`: everything up to it was delivered before. */
export function deliver(core: Core, live: Live, event: ServerEvent, id: Position | undefined): void {
  const { covers } = live;
  let position = id;
  switch (event.type) {
    case 'notification':
      if (parseNotification(event.notification)) receive(core, live, event.notification);
      // Nobody knows whom it concerned.
      else for (const sub of covers.values()) resync(core, live, sub);
      break;
    case 'resync':
      for (const channel of event.channels ?? [...core.subs.keys()]) {
        const sub = core.subs.get(channel);
        if (!sub) continue;
        // One that is to be covered again is told then, once; a refused one is told now, for what is addressed.
        if (sub.refused || covers.get(channel) === sub) resync(core, live, sub);
        else sub.lost = sub.position !== undefined;
      }
      break;
    case 'refused':
    case 'reauthorise': {
      const named = event.channels.flatMap((channel) => covers.get(channel) ?? []);
      // In this turn: no id that follows may move their positions.
      for (const { channel } of named) covers.delete(channel);
      if (event.type === 'refused') named.forEach(core.refuse);
      else core.reauthorise(named);
      core.changed();
      break;
    }
    case 'ready':
      ready(core, live, event);
      position = event.position;
      break;
    case 'heartbeat':
      position = event.position;
  }
  if (live.ready && position) for (const cursor of [core.own, ...covers.values()]) moveTo(cursor, position);
}

function ready(core: Core, live: Live, { position, known, latest }: ReadyEvent): void {
  for (const [channel, sub] of live.covers) {
    // A server that changed its log must say so; if it did not, nobody may go on as if nothing had been missed.
    const changed = sub.position && comparePositions(sub.position, position) === undefined;
    if ((sub.lost || changed) && !live.resynced.has(sub)) resync(core, live, sub);
    sub.lost = false;
    sub.known ??= core.world.clock() - known;
    const from = live.interest.channels[channel];
    // What was asked for was replayed, unless the server could not, or a tab with another log asked for this one.
    sub.since ??= !from || live.resynced.has(sub) || isNews(from, position) ? position : from;
    rememberLatest(core.world, sub, latest[channel]);
    for (const listener of sub.listeners) if (listener.pending) settle(listener);
  }
  // Where a link reads more than once, each read says for itself what it could not replay.
  live.resynced.clear();
}

function resync({ world, spread }: Core, live: Live, sub: Subscription): void {
  live.resynced.add(sub);
  // What happened before is no longer known: a listener that loaded before now refreshes when it attaches.
  sub.known = world.clock();
  sub.since = undefined;
  for (const listener of [...sub.listeners]) scheduler(listener).resync(spread);
}

/** Hands a notification to whom it concerns: see "Channels of an entry" in the protocol. */
function receive(core: Core, live: Live, full: WireNotification): void {
  const { world, subs } = core;
  const { entity, id, to, changedDate } = full;
  if (to) {
    if (!see(core.own, full, live.link)) return;
    keepHint(core, full);
  }
  const everyObject = id === undefined && changedDate !== undefined;
  for (const sub of [...subs.values()]) {
    const concerned = sub.entity === entity && (everyObject || sub.id === undefined || sub.id === id);
    // An addressed one comes on the user's channel; any other counts only where the carrying link covers the channel.
    const form = sub.id === undefined ? reduce(full) : full;
    if (!concerned || !(to || (live.covers.get(sub.channel) === sub && see(sub, form, live.link)))) continue;
    remember(world, sub, form);
    // Those that still wait for the load race find it there.
    for (const listener of [...sub.listeners]) if (to || !listener.pending) hand(listener, form);
  }
}
