/**
 * A node of a deployment, a process of its own, which is stopped as docs/deploying.md says. It counts how often access is
 * asked for. Environment: `PORT`, `DEPLOY_WITHIN` (milliseconds), and the library's own constants. It says `ready`, answers
 * a question with its figures, and says them once more as it ends.
 */
import { createServer, type IncomingMessage } from 'node:http';
import { createNotifier } from 'notify-listen/server';
import { nodeListener } from 'notify-listen/server/node';
import { answerTo } from './answer.js';

export interface NodeFigures {
  /** How often `canListen` was asked about an object. */
  readonly asked: number;
  readonly connections: number;
}

let asked = 0;
const notifier = createNotifier({
  user: (request: IncomingMessage) => request.headers['x-user'] as string | undefined,
  canListen: {
    Order: {
      one() {
        asked += 1;
        return true;
      },
    },
  },
  logger: () => {},
});

const figures = (): NodeFigures => ({ asked, connections: notifier.metrics().connections });
answerTo(async () => figures());

const listener = nodeListener(notifier);
const server = createServer((request, response) => {
  void listener(request, response).then((taken) => taken || response.writeHead(404).end());
});
server.listen(Number(process.env.PORT), '127.0.0.1', () => console.log('ready'));

process.once('SIGTERM', async () => {
  await notifier.close({ within: Number(process.env.DEPLOY_WITHIN), drain: true });
  console.log(`asked ${asked}`);
  server.close(() => process.exit(0));
});
