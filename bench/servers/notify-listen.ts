/** Ours, as an application has it: Express and the routes; or (mode `http`) the raw `node:http` server. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import express from 'express';
import { createNotifier } from '../../server/index.js';
import { routes } from '../../server/use/express.js';
import { nodeListener } from '../../server/use/node.js';
import { micros } from '../kit/clock.js';
import { listenOn, notifierName, serveBench } from './serve.js';

/** Nobody of the bench is a person's browser. */
const PLENTY = 1_000_000;

const notifier = createNotifier<IncomingMessage>({
  user: (request) => request.headers['x-user'] as string | undefined,
  canListen: { Order: { one: () => true } },
  env: { NOTIFY_LISTEN_SECRET: 'a secret of the bench, long enough for it' },
  limits: { connectionsPerUser: PLENTY, openingsBurst: PLENTY, openingsPerSecond: PLENTY },
  logger: () => {},
  onError: (error) => console.error(error),
});

function serverOf(mode: string): Server {
  if (mode === 'http') {
    const handle = nodeListener(notifier);
    return createServer((request, response) => void handle(request, response));
  }
  return createServer(express().use('/notify-listen', routes(notifier)));
}

serveBench({
  listen(mode) {
    return listenOn(serverOf(mode));
  },
  publish(object, action) {
    void notifier.notify(action, { entity: 'Order', id: object, changedDate: micros() }, { notifier: notifierName });
  },
});
