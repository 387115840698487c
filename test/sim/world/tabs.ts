/**
 * What the tabs of one browser share: locks as `navigator.locks` (mode exclusive, https://w3c.github.io/web-locks/) and
 * channels as `BroadcastChannel`. Everything comes as a task of the tab that it is for, in order for each pair of tabs: a
 * frozen tab gets it once it is thawed, and a dead one never; its locks go to the next in the queue.
 */
import type { TabsChannel, TabsWorld } from '../../../widget/client/types.js';
import type { Clock, Owner } from '../kernel/clock.js';

interface Request {
  readonly owner: Owner;
  readonly held: () => Promise<void>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  over: boolean;
}

interface Lock {
  holder: Request | undefined;
  queue: Request[];
  /** Who held it before. */
  former: Owner | undefined;
}

interface Channel extends TabsChannel {
  readonly owner: Owner;
  closed: boolean;
  /** The last arrival from each sender. */
  readonly arrivals: Map<Channel, number>;
}

export interface BrowserTabs {
  /** For one tab. */
  world(owner: Owner): TabsWorld;
  /** A tab has gone: what it held is free. */
  forget(owner: Owner): void;
  /** Who holds any lock. */
  leaders(): readonly Owner[];
  /** Locks that are held or waited for, and open channels. */
  size(): number;
}

/** How long a message between two tabs takes, at most, in milliseconds. */
const WAY = 4;

const aborted = (): Error => Object.assign(new Error('The lock request was aborted'), { name: 'AbortError' });

/** @param handedOver told when a lock goes from one tab to another */
export function createBrowserTabs(clock: Clock, browser: Owner, handedOver: () => void): BrowserTabs {
  const locks = new Map<string, Lock>();
  const channels = new Map<string, Set<Channel>>();
  const { random } = browser;

  function grant(name: string, lock: Lock): void {
    if (lock.holder) return;
    const request = lock.queue.shift();
    if (!request) {
      if (lock.former === undefined) locks.delete(name);
      return;
    }
    lock.holder = request;
    if (lock.former && lock.former !== request.owner) handedOver();
    lock.former = request.owner;
    clock.after(request.owner, random.int(0, WAY), () => {
      const release = (settle: () => void): void => {
        clock.after(browser, random.int(0, WAY), () => {
          if (lock.holder !== request) return;
          lock.holder = undefined;
          grant(name, lock);
        });
        if (!request.over) settle();
        request.over = true;
      };
      // Stolen before it was told that it has it: the callback runs all the same, as in browsers.
      request.held().then(
        (value) => release(() => request.resolve(value)),
        (error) => release(() => request.reject(error)),
      );
    });
  }

  function steal(lock: Lock): void {
    const { holder } = lock;
    lock.holder = undefined;
    if (!holder) return;
    clock.after(holder.owner, random.int(0, WAY), () => {
      if (holder.over) return;
      holder.over = true;
      holder.reject(aborted());
    });
  }

  return {
    world: (owner) => ({
      request(name, { steal: steals = false, signal }, held) {
        return new Promise((resolve, reject) => {
          if (signal?.aborted) {
            reject(aborted());
            return;
          }
          const request: Request = { owner, held, resolve, reject, over: false };
          signal?.addEventListener('abort', () => {
            clock.after(browser, random.int(0, WAY), () => {
              const lock = locks.get(name);
              // One that was given already is not taken back.
              if (!lock?.queue.includes(request)) return;
              lock.queue = lock.queue.filter((other) => other !== request);
              clock.after(owner, 0, () => {
                request.over = true;
                reject(aborted());
              });
            });
          });
          clock.after(browser, random.int(0, WAY), () => {
            if (owner.dead) return;
            const lock = locks.get(name) ?? { holder: undefined, queue: [], former: undefined };
            locks.set(name, lock);
            if (steals) {
              steal(lock);
              lock.queue.unshift(request);
            } else lock.queue.push(request);
            grant(name, lock);
          });
        });
      },
      channel(name) {
        const mine: Channel = {
          owner,
          closed: false,
          arrivals: new Map(),
          onmessage: null,
          postMessage(data) {
            if (mine.closed || !clock.effect(owner)) return;
            for (const other of channels.get(name) ?? []) if (other !== mine) send(mine, other, data);
          },
          close() {
            mine.closed = true;
            const open = channels.get(name);
            open?.delete(mine);
            if (open?.size === 0) channels.delete(name);
          },
        };
        const open = channels.get(name) ?? new Set();
        channels.set(name, open.add(mine));
        return mine;
      },
    }),
    forget(owner) {
      for (const [name, lock] of locks) {
        lock.queue = lock.queue.filter((request) => request.owner !== owner);
        if (lock.holder?.owner !== owner) continue;
        lock.holder = undefined;
        clock.after(browser, random.int(0, 20), () => grant(name, lock));
      }
      for (const open of channels.values()) for (const channel of open) if (channel.owner === owner) channel.close();
    },
    leaders: () => [...locks.values()].flatMap(({ holder }) => holder?.owner ?? []),
    size() {
      let size = 0;
      for (const { holder, queue } of locks.values()) size += queue.length + (holder ? 1 : 0);
      for (const open of channels.values()) size += open.size;
      return size;
    },
  };

  function send(from: Channel, to: Channel, data: unknown): void {
    if (to.owner.deaf) return;
    const now = clock.now();
    const arrival = Math.max(to.arrivals.get(from) ?? 0, now + random.int(0, WAY));
    to.arrivals.set(from, arrival);
    const copy = clone(data);
    clock.after(to.owner, arrival - now, () => {
      if (!to.closed) to.onmessage?.({ data: copy });
    });
  }
}

/** As the structured clone of what JSON can hold, with keys that hold nothing. */
function clone(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(clone);
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) copy[key] = clone((value as Record<string, unknown>)[key]);
  return copy;
}
