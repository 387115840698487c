/** socket.io over WebSocket: a room for each object. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server } from 'socket.io';
import { message, objectsOf, serveBench } from './serve.js';

const server = createServer();
// The load answers no pings.
const io = new Server(server, { transports: ['websocket'], pingInterval: 3_600_000, pingTimeout: 3_600_000 });
io.on('connection', (socket) => {
  for (const object of objectsOf(socket.request.url ?? '')) socket.join(String(object));
});

serveBench({
  listen: () =>
    new Promise((resolve) => {
      server.listen(0, '127.0.0.1', 4_096, () => resolve((server.address() as AddressInfo).port));
    }),
  publish(object, action) {
    io.to(String(object)).emit('notification', JSON.parse(message(object, action).data));
  },
});
