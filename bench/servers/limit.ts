/** What is possible on Node: a bare `node:net` server that writes one pre-built buffer of the same bytes to each socket. */
import { createServer, type Socket } from 'node:net';
import { listenOn, message, objectsOf, Rooms, serveBench } from './serve.js';

const HEAD =
  'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n' +
  '17\r\nevent: ready\ndata: {}\n\n\r\n';

const rooms = new Rooms<Socket>();
const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => {});
  socket.once('data', (head) => {
    const objects = objectsOf(head.toString('latin1'));
    rooms.join(objects, socket);
    socket.once('close', () => rooms.leave(objects, socket));
    socket.write(HEAD);
    socket.resume();
  });
});

serveBench({
  listen: () => listenOn(server),
  publish(object, action) {
    const { id, data } = message(object, action);
    const text = `id: ${id}\nevent: notification\ndata: ${data}\n\n`;
    const bytes = Buffer.from(`${text.length.toString(16)}\r\n${text}\r\n`);
    for (const socket of rooms.of(object)) socket.write(bytes);
  },
});
