/**
 * Bugs to plant in copies of the shipped sources: each is a slip that a person could make and a review could miss. The
 * simulator is to notice every one of them. `find` stands in its file exactly once; a test says so.
 *
 * Over 300 lines long, because it is one list.
 */
export type Part = 'client' | 'scheduler' | 'tabs' | 'history' | 'grants' | 'relay' | 'stream' | 'shared';

export interface Bug {
  readonly name: string;
  readonly part: Part;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export const BUGS: readonly Bug[] = [
  // The client: positions, what was seen, links.
  {
    name: 'a position moves although the link does not cover the channel any more',
    part: 'client',
    file: 'widget/client/delivery.ts',
    find: 'for (const cursor of [core.own, ...covers.values()])',
    replace: 'for (const cursor of [core.own, ...core.subs.values()])',
  },
  {
    name: 'a resync reaches the first listener only',
    part: 'client',
    file: 'widget/client/delivery.ts',
    find: 'for (const listener of [...sub.listeners]) scheduler(listener).resync(spread);',
    replace: 'for (const listener of [...sub.listeners].slice(0, 1)) scheduler(listener).resync(spread);',
  },
  {
    name: 'news of another log is taken for old',
    part: 'client',
    file: 'widget/client/subscriptions.ts',
    find: 'if (!isNews(position, cursor.seen) || ',
    replace: 'if ((cursor.seen && !isAfter(position, cursor.seen)) || ',
  },
  {
    name: 'the watchdog never ends a silent link',
    part: 'client',
    file: 'widget/client/connection.ts',
    find: 'now - held.heard > Math.max(',
    replace: 'now - held.heard > 1e9 * Math.max(',
  },
  {
    name: 'a goodbye is not followed by another opening',
    part: 'client',
    file: 'widget/client/connection.ts',
    find: 'retry.after(world.random() * event.within);',
    replace: 'retry.after(1e9 * event.within);',
  },
  {
    name: 'the load race is never checked',
    part: 'client',
    file: 'widget/client/load-race.ts',
    find: 'return [doubt || newest !== undefined, newest];',
    replace: 'return [false, newest];',
  },
  {
    name: 'a load before what the node knows is trusted',
    part: 'client',
    file: 'widget/client/load-race.ts',
    find: '!((known as number) <= began);',
    replace: 'false;',
  },
  {
    name: 'a question for grants that failed is not asked again',
    part: 'client',
    file: 'widget/client/access.ts',
    find: 'if (core.fault(error)) retry.later(error);',
    replace: 'core.fault(error);',
  },
  {
    name: 'entity-wide notifications reach no object',
    part: 'client',
    file: 'widget/client/delivery.ts',
    find: 'const everyObject = id === undefined && changedDate !== undefined;',
    replace: 'const everyObject = false;',
  },
  {
    name: 'another user keeps what the former one was told',
    part: 'client',
    file: 'widget/client/client.ts',
    find: 'for (const sub of subs.values()) forgetAll(sub);',
    replace: '',
  },
  // The refresh scheduler.
  {
    name: 'a failed run counts as a run',
    part: 'scheduler',
    file: 'widget/client/refresh.ts',
    find: 'const owed = !ok && row.retry !== false;',
    replace: 'const owed = false;',
  },
  {
    name: 'what lands during a run is forgotten',
    part: 'scheduler',
    file: 'widget/client/refresh.ts',
    find: '    if (place.pending) arm(place);\n  }\n\n  const call',
    replace: '    place.pending = undefined;\n  }\n\n  const call',
  },
  {
    name: 'no window: what comes soon after a run runs at once',
    part: 'scheduler',
    file: 'widget/client/refresh.ts',
    find: 'place.windowEnd = began + Math.min(row.window ?? WINDOW, MAX_WAIT);',
    replace: 'place.windowEnd = 0;',
  },
  {
    name: 'a run that was deferred while hidden is not made up for',
    part: 'scheduler',
    file: 'widget/client/client.ts',
    find: "if (what === 'visible') for (const listener of listeners()) listener.made?.shown();",
    replace: '',
  },
  {
    name: 'a run that failed is owed only when something else waits',
    part: 'scheduler',
    file: 'widget/client/refresh.ts',
    find: 'place.pending = place.pending ? merge(pending, place.pending) : pending;',
    replace: 'place.pending = place.pending && merge(pending, place.pending);',
  },
  // Tabs.
  {
    name: 'a missed frame is not noticed',
    part: 'tabs',
    file: 'widget/client/tabs.ts',
    find: '      last = frame.n;\n      failAll();',
    replace: '      last = frame.n;',
  },
  {
    name: 'a silent leader is never replaced',
    part: 'tabs',
    file: 'widget/client/tabs.ts',
    find: '(asked !== undefined && now - asked >= ASK) ||',
    replace: '',
  },
  {
    name: 'the next generation reads from the highest position',
    part: 'tabs',
    file: 'widget/client/tabs-leader.ts',
    find: 'return one && (!other || !isAfter(one, other)) ? one : other;',
    replace: 'return one && (!other || isAfter(one, other)) ? one : other;',
  },
  {
    name: 'positions of an opening generation are handed on',
    part: 'tabs',
    file: 'widget/client/tabs-link.ts',
    find: 'host.event(event, current === undefined || current === of ? id : undefined);',
    replace: 'host.event(event, id);',
  },
  {
    name: 'a new leader is not joined by those that were covered',
    part: 'tabs',
    file: 'widget/client/tabs-link.ts',
    find: '        host.again();\n',
    replace: '',
  },
  {
    name: 'the end of the real link is not told to followers',
    part: 'tabs',
    file: 'widget/client/tabs-link.ts',
    find: 'if (current === frame.of || (current === undefined && (own || !patient)))',
    replace: 'if (own)',
  },
  {
    name: 'a join that came during an opening is forgotten',
    part: 'tabs',
    file: 'widget/client/tabs-leader.ts',
    find: '      else if (opening) wanted = true;\n',
    replace: '      else if (opening) return;\n',
  },
  // The history of a node.
  {
    name: 'a position below the floor is replayed in part',
    part: 'history',
    file: 'server/history.ts',
    find: '          aboveFloor < 0 ||\n',
    replace: '',
  },
  {
    name: 'a position of another epoch is replayed',
    part: 'history',
    file: 'server/history.ts',
    find: '          aboveFloor === undefined ||\n          aboveFloor < 0 ||\n          belowTop === undefined ||\n          belowTop < 0 ||\n',
    replace: '',
  },
  {
    name: 'dropping an entry does not raise the floor',
    part: 'history',
    file: 'server/history.ts',
    find: '    if (isAfter(kept.position, floor)) floor = kept.position;\n',
    replace: '',
  },
  {
    name: 'replay leaves out what concerned every object',
    part: 'history',
    file: 'server/history.ts',
    find: '        if (earliest === undefined || isAfter(earliest, position)) from.set(every, position);\n',
    replace: '',
  },
  {
    name: 'a resync in the log is forgotten by the replay',
    part: 'history',
    file: 'server/history.ts',
    find: 'return mark !== undefined && isAfter(mark.position, after);',
    replace: 'return mark !== undefined && false;',
  },
  {
    name: 'of one key the oldest is kept, not the newest',
    part: 'history',
    file: 'server/history.ts',
    find: '    if (older) {\n      order.remove(older);\n',
    replace: '    if (older) {\n      return older;\n',
  },
  {
    name: 'what concerns an object is not kept for its list',
    part: 'history',
    file: 'server/history.ts',
    find: '        if (route.reduced !== undefined) keep(route.reduced, route, position, entry, since);\n',
    replace: '',
  },
  // Grants and revocation.
  {
    name: 'revocations do not cancel grants',
    part: 'grants',
    file: 'server/coverage.ts',
    find: 'if (!Object.hasOwn(asked, channel) || history.revoked(identity.users, channel, grant.position)) continue;',
    replace: 'if (!Object.hasOwn(asked, channel)) continue;',
  },
  {
    name: 'grants never end',
    part: 'grants',
    file: 'server/coverage.ts',
    find: '        if (left <= 0) continue;\n        const ends = monotonic() + left;',
    replace: '        const ends = monotonic() + grantLife * 100;',
  },
  {
    name: 'a grant of another epoch is taken',
    part: 'grants',
    file: 'server/coverage.ts',
    find: 'if (order === undefined || order > 0 || history.forgotten(grant.position)) return 0;',
    replace: '',
  },
  {
    name: 'a revocation cancels grants made after it, and none before',
    part: 'grants',
    file: 'server/history.ts',
    find: 'return mark.early ? order >= 0 : order > 0;',
    replace: 'return order < 0;',
  },
  {
    name: 'grants of somebody else are taken',
    part: 'grants',
    file: 'server/coverage.ts',
    find: '          identity.users.includes(grant.user) &&\n',
    replace: '',
  },
  // The relay and the links of a provider.
  {
    name: 'what the provider did not take is not tried again',
    part: 'relay',
    file: 'server/relay/carrier.ts',
    find: '        later.push(item);\n        return;',
    replace: '        return;',
  },
  {
    name: 'a new holder of the lease begins at the top',
    part: 'relay',
    file: 'server/relay/term.ts',
    find: "      if (later === 'lost') put([checkEverybody(top, null)]);\n      else {",
    replace: "      if (later === 'lost') put([checkEverybody(top, null)]);\n      else if (Date.now() < 0) {",
  },
  {
    name: 'a changed log does not lead to reads at the provider',
    part: 'relay',
    file: 'server/relay/term.ts',
    find: '      backlog.replace(checkEverybody(top, null));\n',
    replace: '',
  },
  {
    name: 'a page at a provider never reads but once',
    part: 'relay',
    file: 'widget/client/hosted.ts',
    find: '      if (asked || host.visible()) void read();',
    replace: '      if (!began) void read();',
  },
  {
    name: 'a page does not fall back when the provider carries nothing',
    part: 'relay',
    file: 'widget/client/hosted.ts',
    find: 'const instead = deadline <= world.monotonic();',
    replace: 'const instead = false;',
  },
  // Streams of a node.
  {
    name: 'a slow reader that overflowed is not told to refresh',
    part: 'stream',
    file: 'adapters/sse/connection.ts',
    find: '    connection.overflowed = true;\n',
    replace: '',
  },
  {
    name: 'a node without a proof of its tail says that all is well',
    part: 'stream',
    file: 'server/follower.ts',
    find: 'monotonic() - provedAt <= heartbeat * 2,',
    replace: 'monotonic() - provedAt <= heartbeat * 1e9,',
  },
  {
    name: 'what comes while a tail begins anew is taken for known',
    part: 'stream',
    file: 'server/follower.ts',
    find: "if (known && logged.entry.kind !== 'revoke') continue;",
    replace: 'if (known) continue;',
  },
  // The core of the shared logs.
  {
    name: 'a proof counts a read that began before it was asked for',
    part: 'shared',
    file: 'server/log/shared/reader.ts',
    find: 'for (const proof of asked) if (proofs.has(proof))',
    replace: 'for (const proof of [...proofs]) if (proofs.has(proof))',
  },
  {
    name: 'a slice that was cut off counts as all there is',
    part: 'shared',
    file: 'server/log/shared/reader.ts',
    find: 'return more ? (entries.at(-1)?.position ?? before) : top;',
    replace: 'return entries.length === 0 && more ? before : top;',
  },
  {
    name: 'after a reset nothing is heard of rights that ended meanwhile',
    part: 'shared',
    file: 'server/log/shared/reader.ts',
    find: '        sink.reset(start);\n        // A right that ended meanwhile must be heard of; what else is in it, the reset covers.\n        give(entries);\n',
    replace: '        sink.reset(start);\n',
  },
  {
    name: 'a node that was trimmed past reads on',
    part: 'shared',
    file: 'server/log/shared/reader.ts',
    find: 'epochOf(top) !== epochOf(position) || isBelow(position, floor) || isBelow(top, position)',
    replace: 'epochOf(top) !== epochOf(position) || isBelow(top, position)',
  },
  {
    name: 'an engine that is behind what was read of it keeps its epoch',
    part: 'shared',
    file: 'server/log/shared/reader.ts',
    find: ' || isBelow(position, floor) || isBelow(top, position)',
    replace: ' || isBelow(position, floor)',
  },
  {
    name: 'a connection on which a call hung is kept',
    part: 'shared',
    file: 'server/log/shared/log.ts',
    find: 'if (!settled && !closing) driver.drop();',
    replace: '',
  },
];
