/** A browser whose tabs share locks and channels: the semantics of Web Locks and BroadcastChannel, and tabs that freeze or die. */
import type { TabsChannel, TabsWorld } from '../../widget/client/types.js';

/** One tab's share of the browser. */
export interface TestTab {
  readonly tabs: TabsWorld;
  /** It runs nothing; messages wait for it. It keeps its locks. */
  freeze(): void;
  thaw(): void;
  /** The browser ends it: locks are given back, nothing more is heard or said. */
  kill(): void;
}

export interface TestBrowser {
  tab(): TestTab;
  /** How many messages were sent. */
  readonly messages: number;
  /** Whether the lock manager grants anything. Default `true`. */
  locks: boolean;
}

interface Waiting {
  readonly owner: object;
  readonly held: () => Promise<void>;
  readonly settle: (error?: Error) => void;
}

interface Member {
  readonly owner: object;
  readonly name: string;
  readonly channel: TabsChannel;
  deliver(data: unknown): void;
}

export function createTestBrowser(): TestBrowser {
  const holders = new Map<string, Waiting>();
  const queues = new Map<string, Waiting[]>();
  const members = new Set<Member>();
  const aborted = () => new DOMException('aborted', 'AbortError');

  function grant(name: string): void {
    if (holders.has(name) || !browser.locks) return;
    const next = queues.get(name)?.shift();
    if (!next) return;
    holders.set(name, next);
    // As the browser: the callback runs in a task of its own.
    queueMicrotask(() => {
      if (holders.get(name) !== next) return;
      next.held().then(
        () => give(name, next),
        () => give(name, next),
      );
    });
  }

  function give(name: string, holder: Waiting): void {
    if (holders.get(name) !== holder) return;
    holders.delete(name);
    holder.settle();
    grant(name);
  }

  const browser: TestBrowser & { messages: number } = {
    messages: 0,
    locks: true,
    tab() {
      const owner = {};
      let frozen = false;
      let dead = false;
      const held: (() => void)[] = [];
      /** Now, or when it runs again. */
      const run = (task: () => void): void => {
        if (dead) return;
        if (frozen) held.push(task);
        else task();
      };
      const tabs: TabsWorld = {
        request(name, { steal, signal }, callback) {
          if (dead) return new Promise(() => {});
          return new Promise<void>((resolve, reject) => {
            const waiting: Waiting = {
              owner,
              held: () => new Promise((done) => run(() => void callback().then(done, done))),
              settle: (error) => queueMicrotask(() => run(() => (error ? reject(error) : resolve()))),
            };
            const queue = queues.get(name) ?? [];
            queues.set(name, queue);
            signal?.addEventListener('abort', () => {
              const place = queue.indexOf(waiting);
              if (place < 0) return;
              queue.splice(place, 1);
              reject(aborted());
            });
            if (steal && browser.locks) {
              const former = holders.get(name);
              holders.delete(name);
              former?.settle(aborted());
              queue.unshift(waiting);
            } else queue.push(waiting);
            grant(name);
          });
        },
        channel(name) {
          const channel: TabsChannel = {
            onmessage: null,
            postMessage(data) {
              if (dead || !members.has(member)) return;
              browser.messages += 1;
              const copy = structuredClone(data);
              for (const other of [...members])
                if (other !== member && other.name === name) queueMicrotask(() => other.deliver(copy));
            },
            close() {
              members.delete(member);
            },
          };
          const member: Member = {
            owner,
            name,
            channel,
            deliver: (data) => run(() => members.has(member) && channel.onmessage?.({ data })),
          };
          members.add(member);
          return channel;
        },
      };
      return {
        tabs,
        freeze() {
          frozen = true;
        },
        thaw() {
          frozen = false;
          for (const task of held.splice(0)) task();
        },
        kill() {
          dead = true;
          for (const member of [...members]) if (member.owner === owner) members.delete(member);
          for (const [name, queue] of queues)
            queues.set(
              name,
              queue.filter((waiting) => waiting.owner !== owner),
            );
          for (const [name, holder] of holders) {
            if (holder.owner !== owner) continue;
            holders.delete(name);
            grant(name);
          }
        },
      };
    },
  };
  return browser;
}
