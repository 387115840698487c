/**
 * Writes frames to a Node response. The fast way goes past `ServerResponse.write` to the socket with frames that are HTTP
 * chunks already: measured at half the CPU of `res.write`. It is taken only where the response is plain; where something
 * wrapped it (compression, HTTP/2), frames go through the wrapper.
 */
import { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Frame, StreamSink } from '../streams.js';

/** What both kinds of Node responses have. */
export interface NodeResponse extends NodeJS.EventEmitter {
  write(chunk: Uint8Array): boolean;
  end(): unknown;
  destroy(error?: Error): unknown;
  readonly socket: Socket | null;
  readonly req?: { readonly socket?: Socket | undefined };
  readonly writableEnded: boolean;
  readonly destroyed?: boolean;
  /** HTTP/2: the response itself does not tell that its stream is gone. */
  readonly stream?: { readonly destroyed: boolean };
}

/** Whether the client has gone already, so that no `close` will come any more. */
export function isGone(response: Pick<NodeResponse, 'destroyed' | 'stream'>): boolean {
  return response.destroyed === true || response.stream?.destroyed === true;
}

/** Takes a response whose head was written and flushed. */
export function nodeSink(response: NodeResponse): StreamSink {
  const socket = plainSocket(response);
  socket?.setTimeout(0);
  socket?.setNoDelay(true);
  socket?.setKeepAlive(true);
  // What goes wrong ends in `close`; without a listener a reset HTTP/2 stream would end the process.
  response.on('error', () => {});
  return socket ? new SocketSink(response, socket) : wrappedSink(response);
}

/** The socket, when bytes may go to it as they are; it depends on the head, so it is asked after that was flushed. */
function plainSocket(response: NodeResponse): Socket | undefined {
  if (!(response instanceof ServerResponse)) return undefined; // HTTP/2
  const replaced = Object.hasOwn(response, 'write') || response.write !== ServerResponse.prototype.write;
  // No socket while a pipelined answer is ahead of this one.
  return replaced || !response.socket ? undefined : response.socket;
}

/** Chunks, or what they hold, to the socket itself. One for each connection, so it is a class: its methods are shared. */
class SocketSink implements StreamSink {
  private over = false;
  private readonly socket: Socket;
  private readonly response: NodeResponse;
  /** An HTTP/1.0 client gets no chunks; the connection's end is the end of the stream. */
  private readonly chunked: boolean;

  constructor(response: NodeResponse, socket: Socket) {
    this.socket = socket;
    this.response = response;
    this.chunked = (response as ServerResponse).chunkedEncoding === true;
  }

  get waiting(): number {
    return this.socket.writableLength;
  }

  write(frame: Frame): boolean {
    // A socket that was destroyed a moment ago takes it and does nothing; its `close` is on the way.
    return this.over || this.socket.write(this.chunked ? frame.chunked : frame.bare);
  }

  watch({ drained, closed }: { drained(): void; closed(): void }): void {
    const { socket, response } = this;
    const onDrain = (): void => {
      if (!this.over) drained();
    };
    socket.on('drain', onDrain);
    let told = false;
    const close = (): void => {
      this.over = true;
      socket.off('drain', onDrain);
      if (!told) closed();
      told = true;
    };
    response.once('close', close);
    if (isGone(response)) queueMicrotask(close);
  }

  end(): void {
    if (this.over) return;
    this.over = true;
    this.response.end(); // writes the last, empty chunk behind ours
  }

  destroy(): void {
    this.over = true;
    // A reset frees what the kernel holds for a reader that does not read; a plain destroy leaves it there.
    this.socket.resetAndDestroy();
  }
}

function wrappedSink(response: NodeResponse): StreamSink {
  const flush = (response as { flush?: () => void }).flush?.bind(response);
  let over = false;
  return {
    write(frame) {
      if (over || response.writableEnded || isGone(response)) return true;
      const goOn = response.write(frame.bare);
      flush?.(); // compression middleware holds bytes back until it is asked
      return goOn;
    },
    watch({ drained, closed }) {
      response.on('drain', () => {
        if (!over) drained();
      });
      let told = false;
      const close = (): void => {
        over = true;
        if (!told) closed();
        told = true;
      };
      response.once('close', close);
      // An answer that waits behind another one on its connection is not told when that ends.
      if (!response.socket) response.req?.socket?.once('close', close);
      if (isGone(response) || response.req?.socket?.destroyed) queueMicrotask(close);
    },
    end() {
      if (over) return;
      over = true;
      response.end();
    },
    destroy() {
      over = true;
      response.destroy();
    },
  };
}
