/** better-sse behind Express: a channel for each object. */
import { createServer } from 'node:http';
import { type Channel, createChannel, createSession } from 'better-sse';
import express from 'express';
import { listenOn, message, objectsOf, serveBench } from './serve.js';

const channels = new Map<number, Channel>();
const app = express();
app.get('/stream', async (request, response) => {
  const session = await createSession(request, response);
  for (const object of objectsOf(request.url)) {
    const channel = channels.get(object) ?? createChannel();
    channels.set(object, channel.register(session));
  }
  session.push({}, 'ready');
});

serveBench({
  listen: () => listenOn(createServer(app)),
  publish(object, action) {
    const { id, data } = message(object, action);
    channels.get(object)?.broadcast(JSON.parse(data), 'notification', { eventId: id });
  },
});
