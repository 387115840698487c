/** What one writes in ten minutes: Express, a Map of Sets, `JSON.stringify` and `response.write` for each listener. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type Response } from 'express';
import { message, objectsOf, Rooms, serveBench } from './serve.js';

const rooms = new Rooms<Response>();
const app = express();
app.get('/stream', (request, response) => {
  const objects = objectsOf(request.url);
  rooms.join(objects, response);
  request.on('close', () => rooms.leave(objects, response));
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  response.write('event: ready\ndata: {}\n\n');
});

serveBench({
  listen: () =>
    new Promise((resolve) => {
      const server: Server = app.listen(0, '127.0.0.1', 4_096, () => resolve((server.address() as AddressInfo).port));
    }),
  publish(object, action) {
    const { id, data } = message(object, action);
    const notification = JSON.parse(data);
    for (const response of rooms.of(object))
      response.write(`id: ${id}\nevent: notification\ndata: ${JSON.stringify(notification)}\n\n`);
  },
});
