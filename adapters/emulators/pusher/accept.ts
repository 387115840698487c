/** The WebSocket end: takes connections or refuses them, and holds those that stand. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { createLink } from '../link.js';
import { reasonOf } from './close-codes.js';
import { CLOSES_WITH_CODE, type Connection, openConnection } from './connection.js';
import { errorFrame } from './frames.js';
import { judge } from './handshake.js';
import type { House } from './house.js';
import { MAX_FRAME } from './limits.js';

export interface AcceptOptions {
  /** How many connections the account may have. */
  readonly most: number;
  /** Milliseconds. */
  readonly activityTimeout: number;
  readonly pongTimeout: number;
}

export interface Acceptor {
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** How many stand. */
  readonly open: number;
  /** How many were taken. */
  readonly taken: number;
  /** Closes all that stand with a code. Returns how many. */
  closeAll(code: number): number;
  /** Cuts all that stand; what they held is gone at once. */
  cutAll(): void;
}

/** The random part of a socket id is below it. */
const ID_LIMIT = 2 ** 31;

export function createAcceptor(house: House, options: AcceptOptions): Acceptor {
  // Compression would cost memory for each connection and bring nothing on one machine.
  const server = new WebSocketServer({
    noServer: true,
    autoPong: false,
    maxPayload: MAX_FRAME,
    perMessageDeflate: false,
  });
  const connections = new Map<string, Connection>();
  let taken = 0;

  /** Not to be guessed, and never the same twice: a signature holds for one socket id. */
  const newSocketId = (): string => `${Math.floor(house.world.random() * ID_LIMIT)}.${taken}`;

  function refuse(socket: WebSocket, protocol: number, code: number): void {
    const link = createLink(socket, house, { heard: () => {}, alive: () => {}, closed: () => {} });
    // To a client whose protocol nobody knows the error is told in a frame as well.
    if (protocol < CLOSES_WITH_CODE) link.send(errorFrame(reasonOf(code), code));
    link.close(code, reasonOf(code));
  }

  function take(socket: WebSocket, protocol: number): void {
    taken++;
    const socketId = newSocketId();
    const connection = openConnection({
      ...options,
      house,
      socketId,
      protocol,
      link: (events) => createLink(socket, house, events),
      closed: () => connections.delete(socketId),
    });
    connections.set(socketId, connection);
  }

  return {
    upgrade(request, socket, head) {
      const { connections: refusal } = house.faults.now;
      if (refusal === 'reset') socket.destroy();
      if (typeof refusal === 'string') return;
      server.handleUpgrade(request, socket, head, (webSocket) => {
        const { protocol, refused } = judge(house, request.url ?? '', connections.size, options.most);
        if (refused === undefined) take(webSocket, protocol);
        else refuse(webSocket, protocol, refused);
      });
    },
    get open() {
      return connections.size;
    },
    get taken() {
      return taken;
    },
    closeAll(code) {
      const all = [...connections.values()];
      for (const connection of all) connection.close(code);
      return all.length;
    },
    cutAll() {
      for (const connection of [...connections.values()]) connection.cut();
    },
  };
}
