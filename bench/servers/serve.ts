/** What every server of the table answers to the one that measures it; each is a process of its own. */
import { setImmediate as turn } from 'node:timers/promises';
import { serveParent } from '../kit/child.js';
import { atRate, micros } from '../kit/clock.js';

/** Notifications of one turn of the event loop, so many turns a second. */
export interface Publishing {
  /** Turns a second. */
  readonly rate: number;
  /** For so long, in milliseconds. */
  readonly ms: number;
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

export function serveBench(server: BenchServer): void {
  let next = 0;
  serveParent<ServerAnswers>({
    listen: (mode) => server.listen(mode),
    async publish({ perTurn = 1, objects = 1, first = 1, same = false, name, ...pace }) {
      notifierName = name === undefined ? 'Ann' : 'A'.repeat(name);
      const turns = await atRate(pace, () => {
        for (let n = 0; n < perTurn; n++) {
          const action = same ? 'updated' : ACTIONS[next % ACTIONS.length];
          server.publish((next++ % objects) + first, action as string);
        }
      });
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
