/** Who listens to which channel on this node. Channels that nobody listens to take no memory. */
import type { Channel } from '../channel.js';
import type { ObjectRef } from '../contract.js';
import { channelsOf, everyOf } from '../route.js';
import { type Connection, NOTHING } from './connection.js';

export interface Cover {
  /** Registers all channels of the connection, its own, and once per entity the internal `Order/*`. */
  add(connection: Connection): void;
  /** The inverse, for one that has gone. */
  leave(connection: Connection): void;
  /** Ends the cover of some channels, `Order/*` with the last object of its entity. */
  remove(connection: Connection, channels: readonly Channel[]): void;
}

export function createCover(listeners: Map<Channel, Set<Connection>>): Cover {
  function join(channel: Channel, connection: Connection): void {
    const holders = listeners.get(channel);
    if (holders) holders.add(connection);
    else listeners.set(channel, new Set([connection]));
  }

  function part(channel: Channel, connection: Connection): void {
    const holders = listeners.get(channel);
    holders?.delete(connection);
    if (holders?.size === 0) listeners.delete(channel);
  }

  /** Walks all that a connection is registered for; `Order/*` may come twice. */
  function walk(connection: Connection, step: typeof join): void {
    for (const channel of connection.own) step(channel, connection);
    let last: Channel | undefined;
    for (const channel of connection.covered.keys()) {
      step(channel, connection);
      const every = everyOf(channel);
      // Objects of one entity come one behind the other as a rule.
      if (every !== undefined && every !== last) step(every, connection);
      last = every;
    }
  }

  return {
    add(connection) {
      walk(connection, join);
    },
    leave(connection) {
      walk(connection, part);
      connection.covered = NOTHING;
    },
    remove(connection, channels) {
      const touched = new Set<Channel>();
      for (const channel of channels) {
        connection.covered.delete(channel);
        part(channel, connection);
        const every = everyOf(channel);
        if (every !== undefined) touched.add(every);
      }
      for (const channel of connection.covered.keys()) {
        const every = everyOf(channel);
        if (every !== undefined) touched.delete(every);
      }
      for (const every of touched) part(every, connection);
    },
  };
}

/** The connections that hold any of the channels. */
export function union(
  channels: readonly Channel[],
  listeners: ReadonlyMap<Channel, ReadonlySet<Connection>>,
): Set<Connection> {
  const found = new Set<Connection>();
  for (const channel of channels) for (const connection of listeners.get(channel) ?? []) found.add(connection);
  return found;
}

/** The channels of a resync entry, those of an entity's single objects that somebody holds included. */
export function held(
  objects: readonly ObjectRef[],
  listeners: ReadonlyMap<Channel, ReadonlySet<Connection>>,
): readonly Channel[] {
  return objects.flatMap((object) => {
    const [first, second] = channelsOf(object) as [Channel, Channel];
    if (object.id !== undefined) return [first, second];
    return [first, ...[...listeners.keys()].filter((channel) => channel !== second && everyOf(channel) === second)];
  });
}
