/**
 * One WebSocket under the faults: frames wait in order, get lost, or stop in both directions while the socket stands.
 */
import type { WebSocket } from 'ws';
import type { EmulatorWorld } from './emulator.js';
import type { FaultControl } from './faults.js';

/** Bytes that a peer may leave unread, in the process and not counting the kernel; then it is cut: it does not read. */
const MAX_UNREAD = 16 * 1024 * 1024;
/** Frames that the fault `delay` may hold back for one connection; above it the connection is cut. */
const MAX_HELD = 10_000;

export interface LinkEvents {
  /** A frame came, while the link is not silent. */
  heard(data: Buffer, binary: boolean): void;
  /** A WebSocket ping or pong came: the peer lives. */
  alive(): void;
  /** It has ended, however. Once. */
  closed(): void;
}

export interface Link {
  /** Whether the fault `silent` is on. */
  readonly silent: boolean;
  /** Sends what belongs to the protocol: subject to delay and silence. */
  send(frame: string | Uint8Array): void;
  /** Sends a message of a channel: may be dropped too. Tells whether it is on its way. */
  message(channel: string, frame: string | Uint8Array): boolean;
  /** Closes with a code, after what was sent before. */
  close(code: number, reason: string): void;
  /** Ends it without a word. */
  cut(): void;
}

/** @param socket opened with `autoPong: false`, so that a silent link does not answer either */
export function createLink(
  socket: WebSocket,
  { world, faults }: { readonly world: EmulatorWorld; readonly faults: FaultControl },
  events: LinkEvents,
): Link {
  const held: { readonly at: number; readonly run: () => void }[] = [];
  let timer: unknown;
  let due = 0;
  const isOpen = (): boolean => socket.readyState === socket.OPEN;

  /** Each waits from when it was made; none overtakes another, also when the delay was made shorter meanwhile. */
  function inOrder(run: () => void): void {
    const { delay } = faults.now;
    if (delay === 0 && held.length === 0) run();
    else if (held.length >= MAX_HELD) socket.terminate();
    else {
      due = Math.max(due, world.monotonic() + delay);
      held.push({ at: due, run });
      if (held.length === 1) wait(due);
    }
  }
  function wait(at: number): void {
    const release = (): void => {
      held.shift()?.run();
      if (held[0]) wait(held[0].at);
    };
    timer = world.setTimeout(release, Math.max(0, at - world.monotonic()));
  }

  function write(frame: string | Uint8Array): void {
    if (!isOpen() || faults.now.silent) return;
    if (socket.bufferedAmount > MAX_UNREAD) socket.terminate();
    else socket.send(frame);
  }

  const follow = (): void => {
    if (faults.now.silent) socket.pause();
    else if (socket.isPaused) socket.resume();
  };
  const unwatch = faults.watch(follow);
  follow();
  socket.on('message', (data, binary) => {
    if (!faults.now.silent) events.heard(data as Buffer, binary);
  });
  socket.on('ping', (data) => {
    if (faults.now.silent) return;
    events.alive();
    if (isOpen()) socket.pong(data);
  });
  socket.on('pong', () => events.alive());
  // A frame that breaks the WebSocket protocol: ws closes with the right code by itself, and `close` follows.
  socket.on('error', () => {});
  socket.on('close', () => {
    unwatch();
    world.clearTimeout(timer);
    held.length = 0;
    events.closed();
  });

  return {
    get silent() {
      return faults.now.silent;
    },
    send: (frame) => inOrder(() => write(frame)),
    message(channel, frame) {
      if (!isOpen() || faults.now.silent || faults.loses(channel)) return false;
      inOrder(() => write(frame));
      return true;
    },
    close: (code, reason) => inOrder(() => socket.close(code, reason)),
    cut: () => socket.terminate(),
  };
}
