/** A link of this tab over the connection of the leading one: what the leader's frames mean to it. */
import type { Link, LinkHost, Via } from '../../adapters/contract.js';
import { ListenError } from '../../adapters/errors.js';
import type { Core } from './core.js';
import type { OpenLink } from './opener.js';
import type { Seen } from './seen.js';
import type { FollowerFrame, JoinName, LeaderFrame, Leadership } from './tabs-leader.js';

export interface TabLink extends Link {
  /** Its leader is gone, and it has not been replaced yet. */
  readonly orphaned: boolean;
  /** Takes a frame of the leader. `own`: this tab leads; then with the error itself. */
  take(frame: LeaderFrame, own: boolean, error?: ListenError): void;
  /**
   * Another one leads, or what it needs must be asked for anew: a link that waits joins, from its positions of now; one
   * that is covered goes on until a new one has taken its place.
   */
  move(orphaned: boolean): void;
  /** Something was missed: the next link asks from the positions. */
  fail(): void;
}

/** What the links of a tab share. */
export interface TabLinks {
  readonly openDirect: OpenLink;
  readonly seen: Seen;
  readonly leadership: () => Leadership | undefined;
  send(frame: FollowerFrame): void;
  ready(): void;
  failed(): void;
  closed(link: TabLink): void;
}

export function createTabLink(name: JoinName, core: Core, host: LinkHost, shared: TabLinks): TabLink {
  const [tab, join] = name;
  const isOurs = ([who, which]: JoinName): boolean => who === tab && which === join;
  /** The generations that it is part of, in the order of their beginning, and how their events come. */
  const generations = new Map<string, Via | undefined>();
  /** The one that is ready. */
  let current: string | undefined;
  /** Of the real link that brought the last event. */
  let quiet = false;
  let unordered = false;
  /** A new link is to take its place. */
  let moved = false;
  let orphaned = false;
  let closed = false;
  /** Where this tab leads, or led when it was covered. */
  let joined: Leadership | undefined;
  /** A link of its own, because there was no room. */
  let direct: Link | undefined;

  function down(error: ListenError): void {
    if (closed || direct) return;
    host.down(error);
    shared.failed();
  }

  const link: TabLink = {
    get sees() {
      return direct ? direct.sees : unordered ? shared.seen.sees : undefined;
    },
    get quiet() {
      return direct ? direct.quiet : quiet;
    },
    get orphaned() {
      return orphaned;
    },
    move(isOrphaned) {
      if (closed || direct) return;
      if (current !== undefined) {
        moved = true;
        orphaned ||= isOrphaned;
        host.again();
        return;
      }
      generations.clear();
      joined = shared.leadership();
      shared.send({ tab, join, interest: host.interest(), visible: core.visible() });
    },
    fail() {
      down(new ListenError('network', 'tabs: missed'));
    },
    take(frame, own, error) {
      if (closed || direct) return;
      if ('hidden' in frame) {
        // As long as nothing has come, this is all there is to know of it.
        if (current === undefined) host.alive();
      } else if ('began' in frame) {
        if (frame.joins.some(isOurs)) generations.set(frame.began, undefined);
      } else if ('full' in frame) {
        if (isOurs(frame.full)) {
          direct = shared.openDirect(host);
          shared.ready();
        }
      } else if (!generations.has(frame.of)) {
        // The leader took this tab for dead, and has closed what covered it.
        if ('event' in frame && frame.event.type === 'ready' && current !== undefined && !own && !moved) link.fail();
      } else if ('via' in frame) {
        generations.set(frame.of, frame.via);
        // What is being opened beside the current one is not how events come yet.
        if (current === undefined || current === frame.of) host.via(frame.via);
      } else if ('down' in frame) {
        generations.delete(frame.of);
        const { code, message, retryAfter, patient } = frame.down;
        if (current === frame.of || (current === undefined && (own || !patient)))
          down(error ?? new ListenError(code, message, { retryAfter }));
      } else {
        const { event, id, of } = frame;
        // The stream is served on, and what the leader's own tab opens next is for all.
        if (event.type === 'goodbye' && event.lasts && !own) return;
        quiet = frame.quiet;
        unordered = frame.unordered;
        if (event.type === 'ready') {
          for (const older of generations.keys()) {
            if (older === of) break;
            generations.delete(older);
          }
          current = of;
          // What says nothing is what the server is configured for.
          host.via(generations.get(of) ?? host.config.provider);
          shared.seen.settle(event.position);
          shared.ready();
        }
        // Before a generation is ready its positions say nothing to a link that is covered by another one.
        host.event(event, current === undefined || current === of ? id : undefined);
      }
    },
    close() {
      if (closed) return;
      closed = true;
      shared.closed(link);
      direct?.close();
      const leave = { tab, leave: join };
      if (joined) joined.take(leave);
      else shared.send(leave);
    },
  };
  return link;
}
