/** One of several processes that hold streams and count what arrives; no server's work is done here. */
import type { Socket } from 'node:net';
import { serveParent } from './kit/child.js';
import { micros } from './kit/clock.js';
import { grantFor, listen } from './kit/listen.js';

/** Streams that are opened at once. */
const AT_ONCE = 20;
/** Streams of one user: a person with some tabs. */
const PER_USER = 10;

export interface Arrived {
  readonly count: number;
  /** From `notify` to here, in microseconds. */
  readonly latencies: readonly number[];
  /** User and system time of this process so far, in microseconds. */
  readonly cpu: number;
}

export interface LoadAnswers {
  /** `bare`: the server is the bare one. */
  open(options: { name: string; port: number; connections: number; bare: boolean }): Promise<void>;
  /** What has arrived of these streams since it was asked last. */
  arrived(name: string): Arrived;
  count(name: string): number;
  close(): void;
}

interface Streams {
  readonly sockets: Socket[];
  count: number;
  latencies: number[];
}

const open = new Map<string, Streams>();

function streamsOf(name: string): Streams {
  const streams = open.get(name);
  if (!streams) throw new Error(`nothing is open of ${name}`);
  return streams;
}

serveParent<LoadAnswers>({
  async open({ name, port, connections, bare }) {
    const streams: Streams = { sockets: [], count: 0, latencies: [] };
    open.set(name, streams);
    const seen = (version: number): void => {
      streams.count++;
      streams.latencies.push(micros() - version);
    };
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < connections) {
        const mine = Math.min(PER_USER, connections - next);
        next += mine;
        const asking = bare ? undefined : await grantFor(port, `${process.pid}-${next}`, ['Order/1']);
        for (let n = 0; n < mine; n++) streams.sockets.push(await listen({ port, seen, asking }));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  },
  arrived(name) {
    const streams = streamsOf(name);
    const { count, latencies } = streams;
    streams.count = 0;
    streams.latencies = [];
    const { user, system } = process.cpuUsage();
    return { count, latencies, cpu: user + system };
  },
  count: (name) => streamsOf(name).count,
  close() {
    for (const { sockets } of open.values())
      for (const socket of sockets) {
        socket.removeAllListeners('close');
        socket.destroy();
      }
    open.clear();
  },
});
