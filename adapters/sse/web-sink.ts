/** Writes frames to a web stream, for frameworks on the standard `Request` and `Response`. */
import type { StreamSink } from '../streams.js';

/** Bytes that may wait in the stream before the connection counts as blocked: one good replay. */
const HIGH_WATER = 64 * 1024;

/** A sink and the body that goes with it. */
export function webSink(): { readonly sink: StreamSink; readonly body: ReadableStream<Uint8Array> } {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  let events: { drained(): void; closed(): void } | undefined;
  let blocked = false;
  let over = false;

  function close(): void {
    if (over) return;
    over = true;
    events?.closed();
  }

  const body = new ReadableStream<Uint8Array>(
    {
      start: (given) => {
        controller = given;
      },
      pull() {
        if (!blocked) return;
        blocked = false;
        events?.drained();
      },
      cancel: close,
    },
    { highWaterMark: HIGH_WATER, size: (chunk) => chunk?.byteLength ?? 0 },
  );

  const sink: StreamSink = {
    write(frame) {
      if (over || !controller) return true;
      controller.enqueue(frame.bare);
      blocked = (controller.desiredSize ?? 0) <= 0;
      return !blocked;
    },
    watch(given) {
      events = given;
    },
    end() {
      if (over) return;
      controller?.close();
      close();
    },
    destroy() {
      if (over) return;
      controller?.error(new Error('The reader did not read.'));
      close();
    },
  };
  return { sink, body };
}
