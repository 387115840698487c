/**
 * What a node's own streams promise to the routes that open them: sinks, coverage, connections. Types only, so that the
 * server knows the built-in adapter by its promises and not by its files.
 */
import type { Channel } from './channel.js';
import type { Position } from './position.js';
import type { HelloEvent } from './protocol.js';

/** An event, rendered once and shared by every connection that gets it. */
export interface Frame {
  /** The event-stream text. */
  readonly bare: Buffer;
  /** The same as one HTTP/1.1 chunk, for writing to the socket itself. */
  readonly chunked: Buffer;
  /** The same as elements of a JSON array, without brackets. */
  readonly json: string;
}

/** Where a connection's frames go: a socket, a wrapped response, a web stream, or the collected answer of a poll. */
export interface StreamSink {
  /** It collects one answer (a long poll): a heartbeat to everybody would end all of them in the same moment. */
  readonly collects?: true;
  /** Bytes that wait in this process, where they can. To look at them brings near what `write` needs. */
  readonly waiting?: number;
  /** Hands over a frame; `false` asks to write no more until `drained`. Must not throw, not even after the end. */
  write(frame: Frame): boolean;
  /** Sets who is told; called once, before the first `write`. `closed` comes exactly once, however it ended. */
  watch(events: { drained(): void; closed(): void }): void;
  /** Ends the stream in order, after what was written. */
  end(): void;
  /** Ends it at once and frees what was queued, here and in the kernel. */
  destroy(): void;
}

/** Collects what a stream would have been sent into one answer, for long polls and catch-up reads. */
export interface Collector {
  readonly sink: StreamSink;
  /** Resolves with the JSON body at the first news after `settle`, at `finish`, or when the connection ended. */
  readonly answer: Promise<string>;
  /** From now on any frame is news, and ends the wait. */
  settle(): void;
  /** Answers now. */
  finish(): void;
}

/** Who opens a stream. */
export interface Visitor {
  /** The keyed hashes of the user, one for each secret in use. */
  readonly users: readonly string[];
  /** The user's and the session's own channels. */
  readonly own: readonly Channel[];
  /** A standard `EventSource`, which shows no grants: the node asks for its access itself. */
  readonly standard: boolean;
  /** When the stream must make room for the next one. Default: never. */
  readonly farewell?: Farewell | undefined;
  /** Called once when what it is written to has closed, which may be later than the end of its stream. */
  readonly gone?: () => void;
}

/** A goodbye that is known from the start. */
export interface Farewell {
  /** When it is said, on the node's monotonic clock. */
  readonly at: number;
  /** The window of the wait before the next stream, and for how long this one is served meanwhile, in milliseconds. */
  readonly within: number;
  readonly lasts: number;
}

/** What a stream shall cover. */
export interface Coverage {
  /** For each granted channel, when its grant ends, on the node's monotonic clock. The stream takes the map over. */
  readonly channels: Map<Channel, number>;
  /** The positions after which granted channels are read; without one a channel begins now. */
  readonly after: ReadonlyMap<Channel, Position>;
  /** The same for the user's and the session's own channels. */
  readonly own: Position | null;
  readonly refused: readonly Channel[];
  readonly reauthorise: readonly Channel[];
  /**
   * When the stream ends, on the node's monotonic clock: the user's own channels need no grant, but must not outlive a
   * login for longer than one. Default: never.
   */
  readonly until?: number;
}

/** One live stream, as the routes see it. */
export interface Stream {
  /** The covered channels, each with the end of its grant on the node's monotonic clock. */
  readonly covered: ReadonlyMap<Channel, number>;
  readonly closed: boolean;
  /** Called once when it is gone. */
  onLeave: (() => void) | undefined;
}

/** The streams of a node. */
export interface Streams<S extends Stream = Stream> {
  /** Takes a connection and says hello. It covers nothing yet. */
  open(sink: StreamSink, visitor: Visitor, hello: Omit<HelloEvent, 'type' | 'spread' | 'turn'>): S;
  /** Registers, replays and says ready, in one synchronous turn, once. Tells whether there was news beside `ready`. */
  cover(stream: S, coverage: Coverage): boolean;
  /** Ends the cover of channels in mid-stream, ahead of everything that waits. */
  uncover(stream: S, channels: readonly Channel[], why: 'refused' | 'reauthorise'): void;
  /** Lets the stream and the cover of channels last until `ends`, on the node's monotonic clock. */
  prolong(stream: S, channels: readonly Channel[], ends: number): void;
  /** One heartbeat to one connection: with the position that the node has proved, or (`undefined`) degraded. */
  beatOne(stream: S, position: Position | undefined): void;
  /** Says goodbye to one connection and ends its stream, at once or after it was served for `lasts` milliseconds more. */
  dismiss(stream: S, within: number, lasts?: number): void;
}
