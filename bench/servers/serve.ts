/** What every server of the table answers to the one that measures it; each is a process of its own. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { serveParent } from '../kit/child.js';
import { atRate, micros } from '../kit/clock.js';

/** Notifications of one turn of the event loop, many times. */
export interface Publishing {
  /** For so long, in milliseconds. */
  readonly ms: number;
  /** Turns a second; or, without it, the next turn as soon as no more deliveries are on their way than `flight`. */
  readonly rate?: number;
  readonly flight?: number;
  /** Deliveries that a turn leads to. For `flight`. */
  readonly each?: number;
  /** Notifications in each turn. Default 1. */
  readonly perTurn?: number;
  /** They are of so many objects, one after the other. Default 1. */
  readonly objects?: number;
  /** The first of these objects. Default 1. */
  readonly first?: number;
  /** All of one action. Default: in turn of many, so that those that meet in one turn by chance are not merged. */
  readonly same?: boolean;
  /** The name of the notifier is so many characters long, where the size of messages matters. Default: `Ann`. */
  readonly name?: number;
}

export interface Used {
  /** User and system time so far, by the operating system's accounting, in microseconds. */
  readonly cpu: number;
  /** The system's part of it. */
  readonly system: number;
  /** Resident memory, in bytes; after garbage collection if that was asked for. */
  readonly rss: number;
  /** Objects, and buffers beside the heap, in bytes. */
  readonly memory: number;
}

export interface ServerAnswers {
  /** Resolves with the port. */
  listen(mode: string): Promise<number>;
  /** Hears from now on how much has arrived at the crowd. Resolves with the port where that is told. */
  hear(): Promise<number>;
  /** Resolves with how many notifications there were. */
  publish(publishing: Publishing): Promise<number>;
  used(collect: boolean): Promise<Used>;
}

/** A server that is measured. */
export interface BenchServer {
  /** Listens on a free port of 127.0.0.1. `mode`: which of its ways, where it has several. */
  listen(mode: string): Promise<number>;
  /** Tells everybody who holds an object what has happened to it. */
  publish(object: number, action: string): void;
  /** CPU of processes that it has started. */
  used?(): Pick<Used, 'cpu' | 'system' | 'rss'>;
}

let offset = 1_000;
/** Who notifies. */
export let notifierName = 'Ann';

/** The notification as we write it, to the byte. */
export function message(object: number, action: string): { readonly id: string; readonly data: string } {
  const id = `0123456789abcdef:${offset++}`;
  const data = `{"entity":"Order","id":"${object}","action":"${action}","changedDate":${micros()},"notifier":"${notifierName}","position":"${id}","spread":${SPREAD}}`;
  return { id, data };
}

const ACTIONS = Array.from({ length: 90 }, (_, n) => `update${n + 10}`);
/** As many digits as with a thousand listeners. */
const SPREAD = 1_000;

/** What the crowd says of what has arrived. A turn that was merged, say, is waited for no longer than this, in milliseconds. */
const PATIENCE = 200;

export function serveBench(server: BenchServer): void {
  let next = 0;
  let arrived = 0;
  let heard = (): void => {};
  const ear = createServer((socket) => {
    arrived = 0;
    socket.on('data', (text) => {
      arrived = Number(text.toString('latin1').trimEnd().split('\n').at(-1));
      heard();
    });
  });

  /** Turn after turn, with never more than so many deliveries on their way. Resolves with how many turns there were. */
  async function keepFlying(ms: number, flight: number, each: number, run: () => void): Promise<number> {
    const until = performance.now() + ms;
    let turns = 0;
    let sent = arrived;
    while (performance.now() < until) {
      if (sent - arrived + each <= Math.max(flight, each)) {
        run();
        turns++;
        sent += each;
        // Two: a server that writes at the end of the turn has written, and never joins this turn with the next one.
        await turn();
        await turn();
        continue;
      }
      const late = setTimeout(() => {
        sent = arrived;
        heard();
      }, PATIENCE);
      await new Promise<void>((resolve) => {
        heard = resolve;
      });
      clearTimeout(late);
    }
    return turns;
  }

  serveParent<ServerAnswers>({
    listen: (mode) => server.listen(mode),
    async hear() {
      return ear.listening ? (ear.address() as AddressInfo).port : listenOn(ear);
    },
    async publish({ ms, rate, flight = 1, each = 1, perTurn = 1, objects = 1, first = 1, same = false, name }) {
      notifierName = name === undefined ? 'Ann' : 'A'.repeat(name);
      const run = (): void => {
        for (let n = 0; n < perTurn; n++) {
          const action = same ? 'updated' : ACTIONS[next % ACTIONS.length];
          server.publish((next++ % objects) + first, action as string);
        }
      };
      const turns = await (rate === undefined ? keepFlying(ms, flight, each, run) : atRate({ rate, ms }, run));
      return turns * perTurn;
    },
    async used(collect) {
      // Twice: what a first collection finalises, the second one frees.
      for (let n = 0; collect && n < 2; n++) {
        globalThis.gc?.();
        await turn();
      }
      const { user, system } = process.cpuUsage();
      const { heapUsed, external, rss } = process.memoryUsage();
      return { cpu: user + system, system, rss, memory: heapUsed + external, ...server.used?.() };
    },
  });
}

/** Connections that may wait to be accepted: a storm must not be slowed down by the kernel's default. */
const BACKLOG = 4_096;

/** Listens on a free port of 127.0.0.1. Resolves with it. */
export async function listenOn(server: Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1', BACKLOG), 'listening');
  return (server.address() as AddressInfo).port;
}

/** `1,2,3` of a request's first line. */
export function objectsOf(head: string): number[] {
  return (/objects=([\d,]+)/.exec(head)?.[1] ?? '').split(',').map(Number);
}

/** Who holds which object. */
export class Rooms<Member> {
  readonly #rooms = new Map<number, Set<Member>>();

  join(objects: readonly number[], member: Member): void {
    for (const object of objects) {
      const room = this.#rooms.get(object);
      if (room) room.add(member);
      else this.#rooms.set(object, new Set([member]));
    }
  }

  leave(objects: readonly number[], member: Member): void {
    for (const object of objects) {
      const room = this.#rooms.get(object);
      room?.delete(member);
      if (room?.size === 0) this.#rooms.delete(object);
    }
  }

  of(object: number): Iterable<Member> {
    return this.#rooms.get(object) ?? [];
  }
}
