/** What the parts of one emulator share. */
import type { EmulatorWorld } from '../emulator.js';
import type { FaultControl } from '../faults.js';
import type { PusherApp } from './app.js';
import { createEventCache, type EventCache } from './cache.js';
import { type Channels, createChannels } from './channels.js';
import { eventFrame } from './frames.js';
import { isCache } from './names.js';
import type { MessageQuota } from './quota.js';
import { createUsers, type Users } from './users.js';

export interface House {
  readonly app: PusherApp;
  readonly world: EmulatorWorld;
  readonly faults: FaultControl;
  readonly channels: Channels;
  readonly users: Users;
  readonly cache: EventCache;
  readonly quota: MessageQuota;
  readonly published: number;
  readonly delivered: number;
  /** Whether the account may publish, by its quota or a fault. */
  readonly mayPublish: boolean;
  /** One event to one channel, from a server. */
  publish(name: string, channel: string, data: string, except?: string): void;
  /** One event to one channel, from a connection: not cached, not sent back. */
  relay(name: string, channel: string, data: string, from: string, userId?: string): void;
}

export function createHouse(given: Pick<House, 'app' | 'world' | 'faults' | 'quota'>): House {
  const channels = createChannels(given.app.subscriptionCount);
  const cache = createEventCache(given.world);
  let published = 0;
  let delivered = 0;
  function fanOut(channel: string, frame: string, except?: string): void {
    const sent = channels.publish(channel, frame, except);
    published++;
    delivered += sent;
    given.quota.count(1 + sent);
  }
  return {
    ...given,
    channels,
    cache,
    users: createUsers(),
    get published() {
      return published;
    },
    get delivered() {
      return delivered;
    },
    get mayPublish() {
      return !given.faults.now.quota && !given.quota.reached;
    },
    publish(name, channel, data, except) {
      const frame = eventFrame(name, channel, data);
      if (isCache(channel)) cache.put(channel, frame, data);
      fanOut(channel, frame, except);
    },
    relay: (name, channel, data, from, userId) => fanOut(channel, eventFrame(name, channel, data, userId), from),
  };
}
