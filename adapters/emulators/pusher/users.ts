/** The users that are signed in, with their connections, and who watches whom. */
import { systemFrame } from './frames.js';

/** One connection of a user. */
export interface UserConnection {
  send(frame: string): void;
  close(code: number): void;
}

export interface Users {
  /** A connection has signed in; told who of `watchlist` is there, and told again when that changes. */
  enter(id: string, connection: UserConnection, watchlist: readonly string[]): void;
  leave(id: string, connection: UserConnection): void;
  /** Closes all connections of a user. Returns how many. */
  terminate(id: string): number;
}

/** The code that says: not under this identity. */
const UNAUTHORIZED = 4009;

export function createUsers(): Users {
  const online = new Map<string, Map<UserConnection, ReadonlySet<string>>>();
  /** A watcher is told of both kinds in one frame. */
  const told = (events: readonly { readonly name: string; readonly user_ids: readonly string[] }[]): string =>
    systemFrame('pusher_internal:watchlist_events', { events: events.filter(({ user_ids }) => user_ids.length > 0) });

  function tellWatchers(id: string, name: 'online' | 'offline'): void {
    const frame = told([{ name, user_ids: [id] }]);
    for (const connections of online.values()) {
      for (const [watcher, watchlist] of connections) if (watchlist.has(id)) watcher.send(frame);
    }
  }

  return {
    enter(id, connection, watchlist) {
      const connections = online.get(id) ?? new Map<UserConnection, ReadonlySet<string>>();
      if (connections.size === 0) tellWatchers(id, 'online');
      connections.set(connection, new Set(watchlist));
      online.set(id, connections);
      if (watchlist.length === 0) return;
      connection.send(
        told([
          { name: 'online', user_ids: watchlist.filter((other) => online.has(other)) },
          { name: 'offline', user_ids: watchlist.filter((other) => !online.has(other)) },
        ]),
      );
    },
    leave(id, connection) {
      const connections = online.get(id);
      if (!connections?.delete(connection) || connections.size > 0) return;
      online.delete(id);
      tellWatchers(id, 'offline');
    },
    terminate(id) {
      const connections = [...(online.get(id)?.keys() ?? [])];
      for (const connection of connections) connection.close(UNAUTHORIZED);
      return connections.length;
    },
  };
}
