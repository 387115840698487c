/**
 * One port for several processes: each connection goes to the process that has the fewest. Streams last, so they end up even,
 * also after a process was started anew. `node:cluster` gives a connection to whichever process took its last one first:
 * of 40 streams opened at once on a busy machine, one of four processes got 5 and another 17.
 */
import type { ChildProcess } from 'node:child_process';
import { createServer, type Server, type Socket } from 'node:net';

/** Connections that wait until a process serves, as long as the desk is being made. */
const MOST_WAITING = 1_000;

export interface Distributor {
  /** Its connections are not read here. */
  readonly server: Server;
  /** From now on the process gets connections; it calls `closed` at the end of each. */
  add(to: ChildProcess): void;
  closed(by: ChildProcess): void;
  /** It gets no more of them. */
  remove(from: ChildProcess): void;
  /** What it was about to get ends: the client comes again. It must not stay open here, where nobody answers. */
  ended(process: ChildProcess): void;
}

export function createDistributor(): Distributor {
  /** How many connections each process has, the one that got the last connection at the end. */
  const open = new Map<ChildProcess, number>();
  const underWay = new Map<ChildProcess, Set<Socket>>();
  const waiting = new Set<Socket>();
  const server = createServer({ pauseOnConnect: true, noDelay: true }, give);

  function give(socket: Socket): void {
    socket.on('error', () => {}); // whoever has it hears of it
    const least = Math.min(...open.values());
    const to = [...open.keys()].find((process) => open.get(process) === least);
    if (to) hand(socket, to);
    else if (waiting.size >= MOST_WAITING) socket.destroy();
    else waiting.add(socket);
  }

  function hand(socket: Socket, to: ChildProcess): void {
    const has = open.get(to) ?? 0;
    open.delete(to);
    open.set(to, has + 1);
    underWay.get(to)?.add(socket);
    to.send('connection', socket, { keepOpen: false }, (error) => {
      underWay.get(to)?.delete(socket);
      if (error) socket.destroy();
    });
  }

  return {
    server,
    add(to) {
      open.set(to, 0);
      underWay.set(to, new Set());
      const kept = [...waiting];
      waiting.clear();
      kept.forEach(give);
    },
    closed(by) {
      const has = open.get(by);
      if (has) open.set(by, has - 1);
    },
    remove: (from) => void open.delete(from),
    ended(process) {
      open.delete(process);
      for (const socket of underWay.get(process) ?? []) socket.destroy();
      underWay.delete(process);
    },
  };
}

/** In the process that gets them: takes each connection that `createDistributor` gives it. */
export function onConnection(take: (socket: Socket) => void): void {
  process.on('message', (message, socket) => {
    // It may have been closed on its way.
    if (message === 'connection' && socket) take(socket as Socket);
  });
}
