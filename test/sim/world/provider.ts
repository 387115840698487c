/**
 * A hosted provider: both halves of its adapter and what lies between. It keeps the order of one channel only, and loses,
 * repeats, refuses or is down when a history says so. What it promises is in `adapters/provider.ts`.
 */
import type { Channel } from '../../../adapters/channel.js';
import { ListenError } from '../../../adapters/errors.js';
import type {
  Outgoing,
  ProviderAdapter,
  ProviderClientAdapter,
  ProviderHost,
  ProviderInterest,
  PublishOutcome,
} from '../../../adapters/provider.js';
import type { Clock, Owner } from '../kernel/clock.js';
import type { Client } from './network.js';

export type ProviderFault = 'works' | 'down' | 'loses' | 'repeats' | 'refuses';

export interface Provider {
  fault: ProviderFault;
  /** The server half, of one node. */
  adapter(node: Owner): ProviderAdapter;
  /** The client half, of one page. */
  client(page: Client): ProviderClientAdapter;
  /** Connections end: those of one page, or all. Silently: the page is not told, and finds out by itself. */
  cut(page: Owner | undefined, silently: boolean): void;
  /** Looks at everything that goes to a page. */
  watch: ((user: string | undefined, json: string) => void) | undefined;
  /** Connections that are open. */
  lines(): number;
}

/** What our server has signed for one connection. */
interface Details {
  readonly user: string;
  readonly channels: readonly Channel[];
  /** Milliseconds from then on. */
  readonly endsIn: number;
}

/** One connection of a page. */
interface Line {
  readonly id: string;
  readonly page: Client;
  readonly host: ProviderHost;
  readonly over: () => void;
  /** Whose it is, as our server has said, and as the application knows him. */
  hash: string | undefined;
  user: string | undefined;
  /** Until when each channel may be heard. */
  readonly channels: Map<Channel, number>;
  /** The last arrival on each channel, which keeps its order. */
  readonly arrivals: Map<Channel, number>;
  silent: boolean;
}

/** How often a page looks whether its connection lives, in milliseconds. */
const PING = 12_000;
const LOST = 0.35;
const REPEATED = 0.4;

export function createProvider(clock: Clock, self: Owner): Provider {
  const lines = new Set<Line>();
  const { random } = self;
  let serial = 0;

  const provider: Provider = { fault: 'works', watch: undefined, adapter, client, cut, lines: () => lines.size };

  function deliver({ channels, json }: Outgoing): void {
    const now = clock.now();
    for (const line of lines) {
      for (const channel of channels) {
        if ((line.channels.get(channel) ?? 0) <= now) continue;
        if (provider.fault === 'loses' && random.chance(LOST)) continue;
        send(line, channel, json);
        if (provider.fault === 'repeats' && random.chance(REPEATED)) send(line, channel, json);
      }
    }
  }

  function send(line: Line, channel: Channel, json: string): void {
    const now = clock.now();
    provider.watch?.(line.user, json);
    const arrival = Math.max(line.arrivals.get(channel) ?? 0, now + random.int(2, random.chance(0.1) ? 900 : 80));
    line.arrivals.set(channel, arrival);
    clock.after(line.page.owner, arrival - now, () => {
      if (lines.has(line) && !line.silent && line.page.line.way === 'up') line.host.message(json);
    });
  }

  function cut(page: Owner | undefined, silently: boolean): void {
    for (const line of [...lines]) {
      if (page && line.page.owner !== page) continue;
      if (silently) line.silent = true;
      else {
        lines.delete(line);
        clock.after(line.page.owner, random.int(0, 50), line.over);
      }
    }
  }

  function adapter(node: Owner): ProviderAdapter {
    /** There and back. */
    const ask = <T>(what: string, answer: () => T): Promise<T> =>
      new Promise((resolve, reject) => {
        if (!clock.effect(node)) return;
        clock.after(self, random.int(2, 40), () => {
          const down = provider.fault === 'down';
          const result = down ? undefined : answer();
          clock.after(node, random.int(2, 40), () => {
            if (down) reject(new Error(`${what}: the provider cannot be reached`));
            else resolve(result as T);
          });
        });
      });
    return {
      name: 'simulated',
      capabilities: { fansOut: 'provider' },
      publicSettings: {},
      publish: (batch) =>
        ask('publish', () => {
          const refuses = provider.fault === 'refuses';
          return batch.map((item): PublishOutcome => {
            if (refuses) return { kind: 'later', error: new Error('too many'), retryAfterMs: 500 };
            deliver(item);
            return { kind: 'accepted' };
          });
        }),
      async authorise({ user, channels, expires }) {
        const endsIn = expires - Date.now();
        const details: Details = { user, channels, endsIn };
        return { details, renewIn: Math.max(1_000, endsIn * 0.7) };
      },
      revoke: (users, channels) =>
        ask('revoke', () => {
          for (const line of lines) {
            if (line.hash === undefined || !users.includes(line.hash)) continue;
            if (channels) for (const channel of channels) line.channels.delete(channel);
            else line.channels.clear();
          }
        }),
      async close() {},
    };
  }

  function client(page: Client): ProviderClientAdapter {
    return {
      name: 'simulated',
      capabilities: { fansOut: 'provider', channels: 3 },
      connect: (host) => dial(page, host),
    };
  }

  /** The vendor's client with our half around it: it goes on trying until it is closed. */
  function dial(page: Client, host: ProviderHost): { update(interest: ProviderInterest): void; close(): void } {
    const { world } = host;
    let line: Line | undefined;
    let newest: ProviderInterest | undefined;
    let closed = false;
    let failures = 0;
    let asking = false;
    const timers = new Map<string, unknown>();
    const at = (what: string, ms: number, run: () => void): void => {
      world.clearTimeout(timers.get(what));
      timers.set(what, world.setTimeout(run, ms));
    };
    const wait = (): number => world.random() * Math.min(20_000, 500 * 2 ** failures++);

    function connect(): void {
      if (closed) return;
      if (page.line.way !== 'up' || provider.fault === 'down') {
        host.down(new ListenError('network', 'provider: it cannot be reached'));
        at('dial', wait(), connect);
        return;
      }
      const made: Line = {
        id: `line-${++serial}`,
        page,
        host,
        over: () => lost(made),
        hash: undefined,
        user: undefined,
        channels: new Map(),
        arrivals: new Map(),
        silent: false,
      };
      line = made;
      lines.add(made);
      at('ping', PING, ping);
      authorise();
    }

    function lost(which: Line): void {
      if (closed || line !== which) return;
      line = undefined;
      world.clearTimeout(timers.get('ping'));
      world.clearTimeout(timers.get('renew'));
      host.down(new ListenError('network', 'provider: the connection ended'));
      at('dial', wait(), connect);
    }

    function ping(): void {
      if (!line) return;
      if (line.silent || page.line.way !== 'up' || provider.fault === 'down') {
        lines.delete(line);
        lost(line);
      } else at('ping', PING, ping);
    }

    function authorise(): void {
      const [mine, set] = [line, newest];
      if (!mine || !set || asking) return;
      asking = true;
      const user = page.user();
      host.authorise(mine.id, set).then(
        ({ details, renewIn }) => {
          asking = false;
          if (closed) return;
          if (line !== mine || set !== newest) {
            authorise();
            return;
          }
          failures = 0;
          at('renew', renewIn, authorise);
          subscribe(mine, set, user, details as Details);
        },
        (error: ListenError) => {
          asking = false;
          if (closed || line !== mine) return;
          if (set === newest) host.down(error);
          at('renew', Math.max(wait(), error.retryAfter ?? 0), authorise);
        },
      );
    }

    function subscribe(mine: Line, set: ProviderInterest, user: string | undefined, details: Details): void {
      clock.after(self, random.int(2, 40), () => {
        if (!lines.has(mine) || mine.silent) return;
        mine.hash = details.user;
        mine.user = user;
        mine.channels.clear();
        for (const channel of details.channels) mine.channels.set(channel, clock.now() + details.endsIn);
        clock.after(page.owner, random.int(2, 40), () => {
          if (!closed && line === mine && !mine.silent && set === newest) host.attached(set);
        });
      });
    }

    at('dial', 1, connect);
    return {
      update(interest) {
        newest = interest;
        authorise();
      },
      close() {
        closed = true;
        for (const timer of timers.values()) world.clearTimeout(timer);
        if (line) lines.delete(line);
      },
    };
  }

  return provider;
}
