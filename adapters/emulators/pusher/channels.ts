/** Who is subscribed to what, and who is present. Fans out; asks nobody for a right. */
import { channelFrame } from './frames.js';
import { isPresence } from './names.js';

export interface Subscriber {
  readonly socketId: string;
  /** A frame of the protocol. */
  send(frame: string): void;
  /** An event of a channel, which a fault may drop. Tells whether it went. */
  message(channel: string, frame: string): boolean;
}

export interface Member {
  readonly id: string;
  /** Any JSON; `undefined` for none. */
  readonly info: unknown;
}

interface Present {
  readonly info: unknown;
  /** One user may be there with several connections, and is one member. */
  readonly sockets: Set<string>;
}

interface Channel {
  readonly subscribers: Map<string, Subscriber>;
  readonly members: Map<string, Present>;
}

export interface Channels {
  /** Adds a subscriber, tells it that it is subscribed, and tells the others who came. */
  join(name: string, subscriber: Subscriber, member?: Member): void;
  leave(name: string, subscriber: Subscriber): void;
  /** Sends an event to all but one. Returns to how many. */
  publish(name: string, frame: string, except?: string): number;
  has(name: string, socketId: string): boolean;
  subscribers(name: string): number;
  /** Their user ids. */
  members(name: string): readonly string[];
  /** As whom a connection is in a presence channel. */
  memberOf(name: string, socketId: string): string | undefined;
  /** The channels with subscribers, by name. */
  occupied(): readonly string[];
  /** Of all channels together. */
  readonly subscriptions: number;
}

/** @param counted subscribers are told how many they are (not on presence channels, which say it themselves) */
export function createChannels(counted: boolean): Channels {
  const channels = new Map<string, Channel>();
  let subscriptions = 0;

  const tell = (channel: Channel, frame: string, except?: string): void => {
    for (const other of channel.subscribers.values()) if (other.socketId !== except) other.send(frame);
  };
  const tellCount = (name: string, channel: Channel): void => {
    if (!counted || isPresence(name)) return;
    const data = { subscription_count: channel.subscribers.size };
    tell(channel, channelFrame('pusher_internal:subscription_count', name, data));
  };

  function enter(name: string, channel: Channel, { socketId }: Subscriber, { id, info }: Member): void {
    const present = channel.members.get(id);
    if (present) {
      present.sockets.add(socketId);
      return;
    }
    channel.members.set(id, { info, sockets: new Set([socketId]) });
    const data = { user_id: id, user_info: info };
    tell(channel, channelFrame('pusher_internal:member_added', name, data), socketId);
  }

  function presenceOf(channel: Channel): unknown {
    const hash = Object.fromEntries([...channel.members].map(([id, { info }]) => [id, info ?? null]));
    return { presence: { ids: [...channel.members.keys()], hash, count: channel.members.size } };
  }

  function depart(name: string, channel: Channel, socketId: string): void {
    for (const [id, { sockets }] of channel.members) {
      if (!sockets.delete(socketId) || sockets.size > 0) continue;
      channel.members.delete(id);
      tell(channel, channelFrame('pusher_internal:member_removed', name, { user_id: id }));
    }
  }

  return {
    join(name, subscriber, member) {
      const channel = channels.get(name) ?? { subscribers: new Map(), members: new Map() };
      channels.set(name, channel);
      channel.subscribers.set(subscriber.socketId, subscriber);
      subscriptions++;
      if (member) enter(name, channel, subscriber, member);
      const data = member ? presenceOf(channel) : {};
      subscriber.send(channelFrame('pusher_internal:subscription_succeeded', name, data));
      tellCount(name, channel);
    },
    leave(name, { socketId }) {
      const channel = channels.get(name);
      if (!channel?.subscribers.delete(socketId)) return;
      subscriptions--;
      depart(name, channel, socketId);
      if (channel.subscribers.size === 0) channels.delete(name);
      else tellCount(name, channel);
    },
    publish(name, frame, except) {
      let sent = 0;
      for (const one of channels.get(name)?.subscribers.values() ?? []) {
        if (one.socketId !== except && one.message(name, frame)) sent++;
      }
      return sent;
    },
    has: (name, socketId) => channels.get(name)?.subscribers.has(socketId) ?? false,
    subscribers: (name) => channels.get(name)?.subscribers.size ?? 0,
    members: (name) => [...(channels.get(name)?.members.keys() ?? [])],
    memberOf(name, socketId) {
      for (const [id, { sockets }] of channels.get(name)?.members ?? []) if (sockets.has(socketId)) return id;
      return undefined;
    },
    occupied: () => [...channels.keys()],
    get subscriptions() {
      return subscriptions;
    },
  };
}
