/**
 * A TCP proxy whose faults are switched while it runs, for each direction by itself: what networks, proxies and captive
 * portals do to a connection. It knows nothing of HTTP but the canned answers. Used by tests and by `npm run chaos`.
 */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';

/** `up`: from the client to the server. */
export type Direction = 'up' | 'down';

/** How a connection ends: politely, or by a reset. */
export type End = 'fin' | 'rst';

/** What happens to the bytes of one direction; nothing means that they pass. */
export interface Faults {
  /** Each piece waits so long, in milliseconds; what arrives meanwhile waits together, so at most twice as long. */
  readonly delay?: number;
  /** A random part of so many milliseconds on top of `delay`. Order is kept. */
  readonly jitter?: number;
  /** So many bytes at a time, in milliseconds of distance. */
  readonly drip?: { readonly bytes: number; readonly every: number };
  /** Pieces of this many bytes, each written by itself in a turn of its own; a function is asked for each piece. */
  readonly split?: number | (() => number);
  /**
   * No byte and no end gets through, and neither side is told.
   * `hold`: nothing is read, so that the sender is blocked once the buffers are full; what waits passes when it is over.
   * `swallow`: it is read and thrown away, as by a far end that has vanished behind a proxy. A connection that lost bytes
   * never works again: it stays half-open until somebody closes it, also after the fault is over.
   */
  readonly stall?: 'hold' | 'swallow';
  /** Every connection ends after so many bytes of this direction, counted from when the fault was set. */
  readonly cut?: { readonly after: number; readonly how: End };
}

/** What meets new connections; those that are open are not touched. */
export type Door =
  | 'open'
  /** Nobody listens on the port. */
  | 'refuse'
  /** Accepted, read, and never answered. */
  | 'mute'
  /** Every request gets these bytes, and the connection ends: a captive portal. */
  | { readonly answer: string };

export interface FaultProxyCounts {
  readonly accepted: number;
  /** Connections that are open now. */
  readonly open: number;
  /** Connections that a fault ended. */
  readonly cut: number;
  /** Connections that have lost bytes: half-open ones. */
  readonly lost: number;
  /** Bytes passed on. */
  readonly up: number;
  readonly down: number;
}

export interface FaultProxy {
  readonly port: number;
  /** `http://127.0.0.1:port` */
  readonly url: string;
  /** Sends new connections to another port. */
  target(port: number): void;
  /** Replaces the faults of a direction, or of both, for all connections. */
  set(direction: Direction | 'both', faults: Faults): void;
  door(door: Door): Promise<void>;
  /** Ends all open connections, on both sides. Returns how many. */
  cut(how: End): number;
  /** Takes all faults away and opens the door. Connections that have lost bytes stay half-open. */
  heal(): Promise<void>;
  counts(): FaultProxyCounts;
  close(): Promise<void>;
}

/** One connection: the client's socket, and the server's once there is one. */
interface Wire {
  readonly client: Socket;
  server?: Socket;
  /** Directions that have lost bytes. */
  readonly lost: Set<Direction>;
  over: boolean;
}

export interface FaultProxyOptions {
  /** Default: one that is free. */
  readonly port?: number;
  /** Where connections go, on this machine. */
  readonly target: number;
  /** Connections live no longer than this, in milliseconds; then they are reset. Default: no limit. */
  readonly life?: number;
  /** From 0 to 1, for the jitter. Default `Math.random`. */
  readonly random?: () => number;
}

export async function faultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const { random = Math.random, life } = options;
  const wires = new Set<Wire>();
  const counts = { accepted: 0, cut: 0, up: 0, down: 0 };
  let faults: Record<Direction, Faults> = { up: {}, down: {} };
  let entrance: Door = 'open';
  let { target } = options;
  let closed = false;
  /** Called at the next change of the faults, for what is held. */
  const waiting: (() => void)[] = [];

  function switchTo(next: typeof faults): void {
    faults = next;
    for (const go of waiting.splice(0)) go();
  }

  function finish(wire: Wire, how: End): void {
    if (wire.over) return;
    wire.over = true;
    wires.delete(wire);
    for (const socket of [wire.client, wire.server]) {
      if (!socket || socket.destroyed) continue;
      if (how === 'rst') socket.resetAndDestroy();
      else socket.destroySoon();
    }
  }

  function strike(wire: Wire, how: End): void {
    if (!wire.over) counts.cut += 1;
    finish(wire, how);
  }

  /** Waits while the direction is held. Tells whether its bytes are lost. */
  async function passable(wire: Wire, direction: Direction): Promise<boolean> {
    for (;;) {
      const { stall } = faults[direction];
      if (stall === 'swallow') wire.lost.add(direction);
      if (wire.over || wire.lost.has(direction)) return false;
      if (stall !== 'hold') return true;
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
  }

  async function carry(wire: Wire, from: Socket, to: Socket, direction: Direction): Promise<void> {
    let rule = faults[direction].cut;
    let left = rule?.after ?? 0;
    // The end of this direction is not the end of the other.
    for await (const read of from.iterator({ destroyOnReturn: false })) {
      let chunk = read as Buffer;
      while (chunk.length > 0) {
        if (!(await passable(wire, direction))) break;
        const { delay = 0, jitter = 0, drip, split, cut } = faults[direction];
        if (cut !== rule) {
          rule = cut;
          left = cut?.after ?? 0;
        }
        const asked = drip?.bytes ?? (typeof split === 'function' ? split() : split) ?? chunk.length;
        if (cut && left <= 0) return strike(wire, cut.how);
        const piece = chunk.subarray(0, Math.max(1, cut ? Math.min(asked, left) : asked));
        const pause = (drip?.every ?? 0) + delay + random() * jitter;
        if (pause > 0) await wait(pause, undefined, { ref: false });
        else if (split !== undefined) await turn();
        // A stall may have begun during the wait.
        if (!(await passable(wire, direction)) || to.destroyed) break;
        chunk = chunk.subarray(piece.length);
        left -= piece.length;
        counts[direction] += piece.length;
        if (!to.write(piece)) await drained(to);
        if (cut && left <= 0) {
          await new Promise<void>((resolve) => to.write('', () => resolve())); // they leave before the reset
          return strike(wire, cut.how);
        }
      }
    }
    // An end is told like a byte: not at all while the direction is stalled.
    if (await passable(wire, direction)) to.end();
  }

  /** Carries one direction to its end; a socket that failed resets the other, unless that may not be told. */
  function run(wire: Wire, from: Socket, to: Socket, direction: Direction): void {
    carry(wire, from, to, direction).catch(async () => {
      if (await passable(wire, direction)) finish(wire, 'rst');
    });
  }

  function accept(client: Socket): void {
    counts.accepted += 1;
    const wire: Wire = { client, lost: new Set(), over: false };
    wires.add(wire);
    client.setNoDelay(true);
    client.on('error', () => {}); // told by the loop that reads it
    client.on('close', () => forget(wire));
    if (life !== undefined) setTimeout(() => strike(wire, 'rst'), life).unref();
    if (entrance === 'mute') client.on('end', () => client.end()).resume();
    else if (typeof entrance === 'object') answer(client, entrance.answer);
    else join(wire, client);
  }

  function join(wire: Wire, client: Socket): void {
    const server = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    wire.server = server;
    server.on('error', () => {});
    server.on('close', () => forget(wire));
    run(wire, client, server, 'up');
    run(wire, server, client, 'down');
  }

  function forget(wire: Wire): void {
    if (wire.client.destroyed && (wire.server?.destroyed ?? true)) wires.delete(wire);
  }

  const listener = createServer({ allowHalfOpen: true }, accept);
  const listen = (port: number): Promise<void> =>
    new Promise((resolve, reject) => {
      listener.once('error', reject);
      listener.listen(port, '127.0.0.1', () => {
        listener.off('error', reject);
        resolve();
      });
    });
  await listen(options.port ?? 0);
  const { port } = listener.address() as AddressInfo;

  async function door(next: Door): Promise<void> {
    entrance = next;
    if (next === 'refuse') {
      if (listener.listening) listener.close();
    } else if (!listener.listening && !closed) await listen(port);
  }

  return {
    port,
    url: `http://127.0.0.1:${port}`,
    target(next) {
      target = next;
    },
    set(direction, next) {
      switchTo(direction === 'both' ? { up: next, down: next } : { ...faults, [direction]: next });
    },
    door,
    cut(how) {
      const all = [...wires];
      for (const wire of all) strike(wire, how);
      return all.length;
    },
    heal() {
      switchTo({ up: {}, down: {} });
      return door('open');
    },
    counts: () => ({
      ...counts,
      open: wires.size,
      lost: [...wires].filter(({ lost }) => lost.size > 0).length,
    }),
    async close() {
      closed = true;
      if (listener.listening) listener.close();
      for (const wire of [...wires]) finish(wire, 'rst');
      switchTo({ up: {}, down: {} });
    },
  };
}

/** Resolves when the socket takes bytes again, or never will. */
function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.on('drain', done);
    socket.on('close', done);
  });
}

/** Answers the first request of a connection as soon as its head is complete, and ends it. */
function answer(client: Socket, text: string): void {
  let head = '';
  client.on('data', (chunk: Buffer) => {
    if (head.includes('\r\n\r\n')) return;
    head += chunk.toString('latin1');
    if (head.includes('\r\n\r\n')) client.end(text);
  });
  client.on('end', () => client.end());
}
