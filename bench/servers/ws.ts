/** ws: `send` for each listener, or (mode `frame`) one frame that is built once and written to each socket. */
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { listenOn, message, objectsOf, Rooms, serveBench } from './serve.js';

interface Member {
  readonly client: WebSocket;
  readonly socket: Socket;
}

const rooms = new Rooms<Member>();
const server = createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
let framed = false;
sockets.on('connection', (client, request) => {
  const member = { client, socket: request.socket };
  const objects = objectsOf(request.url ?? '');
  rooms.join(objects, member);
  client.on('error', () => {});
  client.on('close', () => rooms.leave(objects, member));
});

serveBench({
  listen(mode) {
    framed = mode === 'frame';
    return listenOn(server);
  },
  publish(object, action) {
    const { data } = message(object, action);
    if (framed) {
      const frame = frameOf(data);
      for (const { socket } of rooms.of(object)) socket.write(frame);
    } else {
      for (const { client } of rooms.of(object)) client.send(data);
    }
  },
});

/** A text frame of 126 to 65,535 bytes: RFC 6455, section 5.2. */
function frameOf(text: string): Buffer {
  const head = Buffer.from([0x81, 126, 0, 0]);
  const body = Buffer.from(text);
  head.writeUInt16BE(body.length, 2);
  return Buffer.concat([head, body]);
}
