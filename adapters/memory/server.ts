/**
 * The server half of the memory adapter: serves links in its own process. It says what the SSE hub says, in the same
 * order, as objects; a link here always reads, so nothing is ever held back or conflated.
 */
import { type Channel, channelOf } from '../channel.js';
import type { AdapterCapabilities, Interest, Logged, NodeAdapter, RevokeEntry } from '../contract.js';
import { ListenError } from '../errors.js';
import { renderFull, renderReduced } from '../notification.js';
import { epochOf, type Position } from '../position.js';
import {
  type LatestByAction,
  type NotificationEvent,
  PROTOCOL_VERSION,
  type ServerEvent,
  type WireNotification,
} from '../protocol.js';
import type { HistoryReader } from '../reading.js';
import { channelsOf, everyOf, routeOf } from '../route.js';
import type { MemoryLink, MemoryReceiver } from './port.js';

export type { MemoryLink, MemoryPort, MemoryReceiver } from './port.js';

const CAPABILITIES = { fansOut: 'node', replays: true } as const satisfies AdapterCapabilities;

export interface MemoryServerOptions {
  /** What the node holds of the log. It takes an entry just before `deliver` does. */
  readonly history: HistoryReader;
  /** What `hello` tells about heartbeats, in milliseconds. The server half itself sends one only on `beat`. */
  readonly heartbeat: number;
}

/** Who opens a link, and what of it may be covered: decided by whoever knows users and grants. */
export interface Admission {
  /** The keyed hashes of the user and of the login session, as told to their page. */
  readonly user: string;
  readonly session?: string | undefined;
  /** The user's and the session's own channels. */
  readonly own: readonly Channel[];
  /** Of the channels that the link asks for, those for which a grant holds. */
  readonly granted: ReadonlySet<Channel>;
}

export interface MemoryServer extends NodeAdapter {
  /** Opens a link: greets, replays, says `ready`, and goes on. */
  connect(interest: Interest, admission: Admission, receiver: MemoryReceiver): MemoryLink;
  /** A heartbeat to every link; without a position the node is degraded. */
  beat(position: Position | undefined): void;
  /** Cuts links as a broken network does: those of one user (by hash), or all. */
  cut(error: ListenError, user?: string): void;
  /** The channels that are covered by any link, each once. */
  covered(): readonly Channel[];
}

interface Connection extends Pick<Admission, 'user' | 'own'> {
  readonly covered: Set<Channel>;
  send(event: ServerEvent, id?: Position): void;
  end(error: ListenError): void;
  close(): void;
}

/** Makes the server half of one node. */
export function createMemoryServer({ history, heartbeat }: MemoryServerOptions): MemoryServer {
  const connections = new Set<Connection>();

  function accept({ user, own }: Admission, receiver: MemoryReceiver): Connection {
    // Each call in a microtask of its own: they keep their order, and one that throws harms neither us nor the next.
    const later = (run: () => void): void => queueMicrotask(() => open && run());
    let open = true;
    const connection: Connection = {
      user,
      own,
      covered: new Set(),
      send: (event, id) => later(() => receiver.event(event, id)),
      end(error) {
        connections.delete(connection);
        later(() => {
          open = false;
          receiver.ended(error);
        });
      },
      close() {
        open = false;
        connections.delete(connection);
      },
    };
    connections.add(connection);
    return connection;
  }

  function uncover(connection: Connection, entry: RevokeEntry): void {
    const { object } = entry;
    const ended = [...connection.covered].filter(
      (channel) =>
        object === undefined ||
        channel === channelOf(object) ||
        (object.id === undefined && everyOf(channel) === channelsOf(object)[1]),
    );
    for (const channel of ended) connection.covered.delete(channel);
    if (ended.length > 0) connection.send({ type: 'reauthorise', channels: ended });
  }

  /** `null` stands for all channels. With its position, the pages do not ask again for what came before it. */
  function resync(channels: readonly Channel[] | null, position?: Position): void {
    for (const connection of connections) {
      const concerned =
        channels &&
        [...connection.covered].filter((channel) => {
          const every = everyOf(channel);
          return channels.includes(channel) || (every !== undefined && channels.includes(every));
        });
      if (!concerned || concerned.length > 0) connection.send({ type: 'resync', channels: concerned }, position);
    }
  }

  function notify({ position, entry }: Logged): void {
    if (entry.kind !== 'notification') return;
    const { full, reduced } = routeOf(entry);
    for (const connection of connections) {
      const covers = (channel: Channel): boolean => full.includes(channel) || full.includes(everyOf(channel) ?? '');
      if ([...connection.own, ...connection.covered].some(covers)) {
        connection.send(event(renderFull(entry.notification, position, { to: entry.to !== undefined })), position);
      } else if (reduced !== undefined && connection.covered.has(reduced)) {
        connection.send(event(renderReduced(entry.notification, position)), position);
      }
    }
  }

  return {
    name: 'memory',
    capabilities: CAPABILITIES,

    connect(interest, admission, receiver) {
      const connection = accept(admission, receiver);
      const { user, session, own, granted } = admission;
      connection.send({
        type: 'hello',
        protocol: PROTOCOL_VERSION,
        epoch: epochOf(history.top),
        user,
        ...(session !== undefined && { session }),
        heartbeat,
        spread: 0,
      });
      const after = new Map<Channel, Position | null>(own.map((channel) => [channel, interest.own]));
      const missing: Channel[] = [];
      for (const [channel, position] of Object.entries(interest.channels)) {
        if (granted.has(channel)) {
          connection.covered.add(channel);
          after.set(channel, position);
        } else missing.push(channel);
      }
      if (missing.length > 0) connection.send({ type: 'reauthorise', channels: missing });
      const { replay, resync: lost } = history.read(after);
      for (const { kept, reduced } of replay) {
        const { notification, to } = kept.entry;
        const json = reduced
          ? renderReduced(notification, kept.position)
          : renderFull(notification, kept.position, { to: to !== undefined });
        // Before a resync that is still to come, no id may say that all is well up to here.
        connection.send(event(json), lost.length === 0 ? kept.position : undefined);
      }
      if (lost.length > 0) {
        const channels = lost.some((channel) => own.includes(channel)) ? null : lost;
        connection.send({ type: 'resync', channels });
      }
      const latest: Record<Channel, LatestByAction> = {};
      for (const channel of connection.covered) {
        const news = history.latest(channel, own);
        if (news) latest[channel] = news;
      }
      const known = Math.round(history.known());
      connection.send({ type: 'ready', position: history.top, known, latest }, history.top);
      return { close: connection.close };
    },

    deliver(logged) {
      const { entry, position } = logged;
      if (entry.kind === 'resync') resync(entry.objects ? entry.objects.flatMap(channelsOf) : null, position);
      else if (entry.kind === 'notification') notify(logged);
      else for (const connection of connections) if (entry.users.includes(connection.user)) uncover(connection, entry);
    },

    resync: () => resync(null),

    beat(position) {
      const state = position === undefined ? { degraded: true as const } : { position };
      for (const connection of connections) connection.send({ type: 'heartbeat', ...state, spread: 0 }, position);
    },

    cut(error, user) {
      for (const connection of [...connections])
        if (user === undefined || user === connection.user) connection.end(error);
    },

    covered: () => [...new Set([...connections].flatMap(({ covered }) => [...covered]))],

    async close(spreadMs) {
      for (const connection of [...connections]) {
        connection.send({ type: 'goodbye', within: spreadMs });
        connection.end(new ListenError('network', 'the server ends this link'));
      }
    },
  };
}

/** Through JSON, so that a page gets what a wire would have carried: nothing else, and nothing shared. */
function event(json: string): NotificationEvent {
  return { type: 'notification', notification: JSON.parse(json) as WireNotification };
}
