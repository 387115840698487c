/** What is possible on Node: a bare `node:net` server that writes one pre-built buffer of the same bytes to each socket. */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { serveParent } from './kit/child.js';
import { atRate, micros } from './kit/clock.js';

export interface LimitAnswers {
  open(): Promise<number>;
  notifyAt(options: { rate: number; ms: number }): Promise<number>;
  cpu(): { cpu: number; system: number };
}

const HEAD =
  'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n' +
  '17\r\nevent: ready\ndata: {}\n\n\r\n';

const sockets = new Set<Socket>();
const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => {});
  socket.on('close', () => sockets.delete(socket));
  socket.once('data', () => {
    sockets.add(socket);
    socket.write(HEAD);
    socket.resume();
  });
});

let offset = 1_000;

/** The bytes that a node writes for one notification, to the byte. */
function frame(): Buffer {
  const position = `0123456789abcdef:${offset++}`;
  const data = `{"entity":"Order","id":"1","action":"updated","changedDate":${micros()},"notifier":"Ann","position":"${position}","spread":33333}`;
  const text = `id: ${position}\nevent: notification\ndata: ${data}\n\n`;
  return Buffer.from(`${text.length.toString(16)}\r\n${text}\r\n`);
}

serveParent<LimitAnswers>({
  open: () =>
    new Promise((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
    }),
  notifyAt: (options) =>
    atRate(options, () => {
      const bytes = frame();
      for (const socket of sockets) socket.write(bytes);
    }),
  cpu() {
    const { user, system } = process.cpuUsage();
    return { cpu: user + system, system };
  },
});
