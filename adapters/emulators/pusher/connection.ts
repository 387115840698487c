/** One connection of a client: what it says is taken apart here and handed on. */
import type { Link, LinkEvents } from '../link.js';
import { createClientEvents } from './client-events.js';
import { reasonOf } from './close-codes.js';
import { errorFrame, systemFrame } from './frames.js';
import type { House } from './house.js';
import { createLiveness } from './liveness.js';
import { type SignedIn, signIn } from './sign-in.js';
import { type Client, subscribe, unsubscribe } from './subscribe.js';
import { isRecord, parsed } from './values.js';

export interface ConnectionOptions {
  readonly house: House;
  readonly socketId: string;
  readonly protocol: number;
  /** Milliseconds. */
  readonly activityTimeout: number;
  readonly pongTimeout: number;
  /** Opens the link with its listeners. */
  link(events: LinkEvents): Link;
  /** It has ended. */
  closed(): void;
}

export interface Connection {
  /** Closes it as Pusher does. What it held is gone at once, whenever the client answers. */
  close(code: number): void;
  /** Cuts it without a word. */
  cut(): void;
}

/** From protocol 7 on the server says after how much silence the client shall ping. */
const TELLS_TIMEOUT = 7;
/** From protocol 5 on clients answer pings; before 6 they are told an error before it closes. */
const PINGS = 5;
export const CLOSES_WITH_CODE = 6;

export function openConnection(options: ConnectionOptions): Connection {
  const { house, socketId, protocol } = options;
  let user: SignedIn | undefined;
  let ended = false;

  const link = options.link({
    heard(data, binary) {
      // A client may go on talking until it has read that it was closed.
      if (ended) return;
      liveness.heard();
      const answer = binary ? errorFrame('Binary frames are not supported') : hear(data.toString());
      if (answer !== undefined) client.send(answer);
    },
    alive: () => liveness.heard(),
    closed: end,
  });
  const client: Client = {
    socketId,
    held: new Set(),
    get user() {
      return user;
    },
    send: link.send,
    message: link.message,
  };
  const connection: Connection & { send(frame: string): void } = {
    send: link.send,
    close(code) {
      if (protocol < CLOSES_WITH_CODE) link.send(errorFrame(reasonOf(code), code));
      link.close(code, reasonOf(code));
      end();
    },
    cut() {
      link.cut();
      end();
    },
  };
  const trigger = createClientEvents(house, client);
  const liveness = createLiveness({
    world: house.world,
    pings: protocol >= PINGS,
    activityTimeout: options.activityTimeout,
    pongTimeout: options.pongTimeout,
    silent: () => link.silent,
    ping: () => link.send(systemFrame('pusher:ping', {})),
    dead: (code) => connection.close(code),
  });

  /** What is answered; `undefined`: nothing, or it was answered in passing. */
  function hear(text: string): string | undefined {
    const frame = parsed(text);
    if (!isRecord(frame) || typeof frame.event !== 'string') {
      return errorFrame('A frame is a JSON object with an "event"');
    }
    // Some libraries send data as JSON in JSON, as they get it.
    const given = typeof frame.data === 'string' ? parsed(frame.data) : frame.data;
    const data = isRecord(given) ? given : {};
    if (frame.event.startsWith('client-')) return trigger(frame.event, frame.channel, frame.data);
    switch (frame.event) {
      case 'pusher:ping':
        return systemFrame('pusher:pong', {});
      case 'pusher:pong':
        return undefined;
      case 'pusher:subscribe':
        return subscribe(house, client, data);
      case 'pusher:unsubscribe':
        return unsubscribe(house, client, data);
      case 'pusher:signin':
        return enter(data);
      default:
        return errorFrame(`Unknown event ${JSON.stringify(frame.event.slice(0, 100))}`);
    }
  }

  function enter(data: Readonly<Record<string, unknown>>): string | undefined {
    const made = signIn(house.app, socketId, user, data);
    if (typeof made === 'string') return made;
    user = made;
    for (const answer of made.answers) client.send(answer);
    house.users.enter(made.id, connection, made.watchlist);
    return undefined;
  }

  function end(): void {
    if (ended) return;
    ended = true;
    liveness.stop();
    for (const channel of client.held) house.channels.leave(channel, client);
    if (user) house.users.leave(user.id, connection);
    options.closed();
  }

  const timeout = protocol >= TELLS_TIMEOUT ? { activity_timeout: Math.ceil(options.activityTimeout / 1000) } : {};
  link.send(systemFrame('pusher:connection_established', { socket_id: socketId, ...timeout }));
  return connection;
}
