import type { Frame } from './framing.js';

/** Where a connection's frames go: a socket, a wrapped response, a web stream, or the collected answer of a poll. */
export interface StreamSink {
  /** It collects one answer (a long poll): a heartbeat to everybody would end all of them in the same moment. */
  readonly collects?: true;
  /** Hands over a frame; `false` asks to write no more until `drained`. Must not throw, not even after the end. */
  write(frame: Frame): boolean;
  /** Sets who is told; called once, before the first `write`. `closed` comes exactly once, however it ended. */
  watch(events: { drained(): void; closed(): void }): void;
  /** Ends the stream in order, after what was written. */
  end(): void;
  /** Ends it at once and frees what was queued, here and in the kernel. */
  destroy(): void;
}
