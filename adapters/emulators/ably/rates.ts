/** Limits: what a plan allows, and the counting of events in a second. */
import type { EmulatorWorld } from '../emulator.js';

/** `Infinity` lifts a limit. */
export interface AblyLimits {
  /** One publish, in bytes (40009). */
  readonly messageSize: number;
  /** Messages published on one channel, in a second (42913). */
  readonly channelRate: number;
  /** Messages published by one connection, in a second (42911). */
  readonly inboundRate: number;
  /** Messages sent to one connection, in a second; more is lost and told as a loss of continuity (80020). */
  readonly outboundRate: number;
  /** Messages replayed to one connection in a second; more is lost as above. The number is not published; 500 is a guess. */
  readonly backlogRate: number;
  /** Channels attached by one connection (90010). */
  readonly channelsPerConnection: number;
  /** Members present on one channel (91003). */
  readonly presenceMembers: number;
  /** Connections of an app at a time (40111). */
  readonly connections: number;
  /** New connections of an app in a second (80021). */
  readonly connectionRate: number;
  /** REST requests of an app in a second (42918). */
  readonly requestRate: number;
}

/** The packages as documented: what differs is the account's, what one channel or connection may do is the same. */
const COMMON = {
  channelRate: 50,
  inboundRate: 50,
  outboundRate: 50,
  backlogRate: 500,
  channelsPerConnection: 200,
  presenceMembers: 200,
};
export const PLANS: Readonly<Record<'free' | 'standard' | 'pro', AblyLimits>> = {
  free: { ...COMMON, messageSize: 65_536, connections: 200, connectionRate: 42, requestRate: 50 },
  standard: { ...COMMON, messageSize: 65_536, connections: 10_000, connectionRate: 250, requestRate: 362 },
  pro: { ...COMMON, messageSize: 262_144, connections: 50_000, connectionRate: 500, requestRate: 1_447 },
};

const SECOND = 1_000;

export interface Rate {
  /** Counts so many, if there is room for all of them in this second. */
  take(count?: number): boolean;
  /** How many milliseconds this second still lasts. */
  rest(): number;
}

/** A second begins with the first event after the last one ended. */
export function createRate(limit: number, { monotonic }: Pick<EmulatorWorld, 'monotonic'>): Rate {
  let since = Number.NEGATIVE_INFINITY;
  let used = 0;
  return {
    take(count = 1) {
      if (monotonic() - since >= SECOND) {
        since = monotonic();
        used = 0;
      }
      if (used + count > limit) return false;
      used += count;
      return true;
    },
    rest: () => Math.max(0, since + SECOND - monotonic()),
  };
}
