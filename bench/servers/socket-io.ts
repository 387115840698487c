/** socket.io over WebSocket: a room for each object. */
import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { listenOn, message, objectsOf, serveBench } from './serve.js';

const server = createServer();
// The load answers no pings.
const io = new Server(server, { transports: ['websocket'], pingInterval: 3_600_000, pingTimeout: 3_600_000 });
io.on('connection', (socket) => {
  for (const object of objectsOf(socket.request.url ?? '')) socket.join(String(object));
});

serveBench({
  listen: () => listenOn(server),
  publish(object, action) {
    io.to(String(object)).emit('notification', JSON.parse(message(object, action).data));
  },
});
