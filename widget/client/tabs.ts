/**
 * One connection for all tabs of a browser: who leads, and this tab's links to the leader. Loaded where the browser has
 * locks. States, frames and races are in docs/tabs.md.
 */
import type { LinkHost } from '../../adapters/contract.js';
import { ListenError } from '../../adapters/errors.js';
import type { Core } from './core.js';
import type { OpenLink } from './opener.js';
import { createSeen } from './seen.js';
import { createLeadership, type FollowerFrame, type LeaderFrame, type Leadership } from './tabs-leader.js';
import { createTabLink, type TabLink } from './tabs-link.js';
import { createTimer } from './timer.js';
import type { TabsChannel, TabsWorld } from './types.js';

/** How often a follower that can be seen asks for its leader, and how long the answer may take, in milliseconds. */
const ASK = 5_000;
/** The same for one that cannot be seen, whose timers run that seldom anyway. */
const ASK_HIDDEN = 60_000;
/** A timer that fires so late proves that this tab was stopped, not the leader. Milliseconds. */
const LATE = 2_000;
/** How long a visible tab waits for a leader that does not get through, in milliseconds. */
const PATIENCE = 45_000;
/** The least wait before links are opened because something of another log came; as much again by chance. Milliseconds. */
const PAUSE = 1_000;

/** Makes links over the connection that all tabs share. */
export interface Tabs {
  readonly open: OpenLink;
  /** This tab wants no link: gives lock and channel back. */
  close(): void;
}

/** A frame of a leader on its way. */
type Numbered = LeaderFrame & { readonly term: number; readonly n: number };

export function createTabs(core: Core, surroundings: TabsWorld, openDirect: OpenLink): Tabs {
  const { world } = core;
  // Made anew wherever this runs: a duplicated tab is another one.
  const tab = [world.now(), world.random(), world.random()].map((part) => part.toString(36)).join('');
  const links = new Set<TabLink>();
  /** Nodes that do not agree which log it is (one has not heard yet) must not make a loop of links. */
  const [moveIn, stopMoving] = createTimer(world, () => {
    doubting = false;
    moveAll(false);
  });
  const seen = createSeen(() => {
    if (!doubting) moveIn(PAUSE * (1 + world.random()));
    doubting = true;
  });
  let doubting = false;
  let name: string | undefined;
  let channel: TabsChannel | undefined;
  /** Of this tab's newest link. */
  let newest: LinkHost;
  /** While this tab leads. */
  let leadership: Leadership | undefined;
  /** The term that is followed, or this tab's own, and the number of its last frame. */
  let term = 0;
  let last = 0;
  /** Who waits for the lock leaves its queue by this; who has it gives it back. */
  let queue: AbortController | undefined;
  let release: (() => void) | undefined;
  /** When the leader was asked for what it has not answered, on the monotonic clock. */
  let asked: number | undefined;
  /** When it is looked next. */
  let due = 0;
  let stealing = false;
  /** Since when the leader cannot be seen while this tab can. */
  let unseen: number | undefined;
  /** Since when a link waits to be ready. */
  let waiting: number | undefined;
  /** Locks do not work here. */
  let alone = false;
  let joins = 0;

  const [lookIn, stopLooking] = createTimer(world, look);

  function enter(wanted: string): void {
    if (name === wanted || alone) return;
    leave();
    name = wanted;
    channel = surroundings.channel(wanted);
    channel.onmessage = ({ data }) => receive(data as Numbered | FollowerFrame);
    enqueue();
    ask();
  }

  function leave(): void {
    stopLooking();
    stopMoving();
    leadership?.retire();
    queue?.abort();
    release?.();
    channel?.close();
    name = channel = leadership = release = queue = waiting = asked = unseen = undefined;
    term = 0;
    stealing = doubting = false;
  }

  function enqueue(): void {
    queue = new AbortController();
    void request({ signal: queue.signal });
  }

  function steal(): void {
    queue?.abort();
    asked = undefined;
    stealing = true;
    lookLater();
    void request({ steal: true });
  }

  async function request(how: { steal?: boolean; signal?: AbortSignal }): Promise<void> {
    const here = channel;
    let held: (() => void) | undefined;
    try {
      await surroundings.request(
        name as string,
        how,
        () =>
          new Promise((resolve) => {
            if (channel !== here || how.signal?.aborted || leadership) return resolve();
            held = release = resolve;
            lead();
          }),
      );
    } catch (error) {
      if (!held && channel === here && !how.signal?.aborted) isolate(error);
    }
    // Stolen: somebody else leads, or is about to.
    if (held && held === release) follow();
  }

  /** Without locks every link is opened directly. */
  function isolate(error: unknown): void {
    core.report(error);
    leave();
    alone = true;
    failAll();
  }

  function lead(): void {
    stopLooking();
    stealing = false;
    asked = undefined;
    term = Math.max(term + 1, world.now());
    last = 0;
    const mine: Leadership = createLeadership(
      core,
      tab,
      openDirect,
      () => newest,
      (frame, error) => {
        // One that has retired speaks to nobody else.
        if (leadership === mine) channel?.postMessage({ ...frame, term, n: ++last } satisfies Numbered);
        for (const link of [...links]) link.take(frame, true, error);
      },
    );
    leadership = mine;
    mine.tell();
    moveAll(true);
  }

  /** Another tab leads. What this one holds goes on until its links are replaced. */
  function follow(): void {
    leadership?.retire();
    leadership = release = undefined;
    enqueue();
    ask();
    moveAll(false);
  }

  /** @param orphaned nothing comes any more to those that were covered */
  function moveAll(orphaned: boolean): void {
    for (const link of [...links]) link.move(orphaned);
  }

  function failAll(): void {
    for (const link of [...links]) link.fail();
  }

  function receive(frame: Numbered | FollowerFrame): void {
    if (!('term' in frame)) {
      leadership?.take(frame);
      return;
    }
    if (frame.term < term) return;
    asked = undefined;
    stealing = false;
    if (frame.term > term) {
      const ours = leadership && release;
      term = frame.term;
      last = frame.n;
      unseen = undefined;
      if (ours) {
        // Our lock was stolen; the news of it is still on its way.
        follow();
        ours();
      } else moveAll(true);
    } else if (frame.n !== ++last) {
      last = frame.n;
      failAll();
    }
    if ('hidden' in frame) unseen = frame.hidden && core.visible() ? (unseen ?? world.monotonic()) : undefined;
    for (const link of [...links]) link.take(frame, false);
  }

  function send(frame: FollowerFrame): void {
    if (leadership) leadership.take(frame);
    else channel?.postMessage(frame);
  }

  function ask(): void {
    asked ??= world.monotonic();
    send({ tab, visible: core.visible() });
    lookLater();
  }

  function lookLater(): void {
    const within = stealing || core.visible() ? ASK : ASK_HIDDEN;
    due = world.monotonic() + within;
    lookIn(within);
  }

  function look(): void {
    const now = world.monotonic();
    if (now - due > LATE) {
      asked = undefined;
      ask();
    } else if (stealing) isolate(new ListenError('network', 'tabs: no lock'));
    else if (
      (asked !== undefined && now - asked >= ASK) ||
      (core.visible() && (now - (unseen ?? now) >= ASK || now - (waiting ?? now) >= PATIENCE))
    )
      steal();
    else ask();
  }

  return {
    open(host) {
      newest = host;
      enter(nameOf(core, host));
      if (alone) return openDirect(host);
      waiting ??= world.monotonic();
      const link = createTabLink([tab, ++joins], core, host, {
        openDirect,
        seen,
        leadership: () => leadership,
        send,
        ready() {
          waiting = undefined;
        },
        failed() {
          for (const other of [...links]) if (other.orphaned) other.fail();
        },
        closed(link) {
          links.delete(link);
        },
      });
      links.add(link);
      // Before somebody leads nobody could take it; who begins to lead is told by its first frame.
      if (term) link.move(false);
      return link;
    },
    close: leave,
  };
}

/** Tabs with the same name share: of one system, one user, one login session, one provider. */
function nameOf({ options: { url = '/notify-listen' } }: Core, { config }: LinkHost): string {
  const base = globalThis.location ? new URL(url, location.href).href : url;
  return ['notify-listen/1', base, config.provider, config.user, config.session].join(' ');
}
