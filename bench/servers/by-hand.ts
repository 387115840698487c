/** What one writes in ten minutes: Express, a Map of Sets, `JSON.stringify` and `response.write` for each listener. */
import { createServer } from 'node:http';
import express, { type Response } from 'express';
import { listenOn, message, objectsOf, Rooms, serveBench } from './serve.js';

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
  listen: () => listenOn(createServer(app)),
  publish(object, action) {
    const { id, data } = message(object, action);
    const notification = JSON.parse(data);
    for (const response of rooms.of(object))
      response.write(`id: ${id}\nevent: notification\ndata: ${JSON.stringify(notification)}\n\n`);
  },
});
