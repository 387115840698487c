/** Collects what a stream would have been sent into one answer, for long polls and catch-up reads. */
import type { Collector, Frame } from '../streams.js';

export function collectEvents(): Collector {
  const frames: Frame[] = [];
  let events: { closed(): void } | undefined;
  let settled = false;
  let resolve: (body: string) => void = () => {};
  const answer = new Promise<string>((done) => {
    resolve = done;
  });
  let over = false;

  function finish(): void {
    if (over) return;
    over = true;
    resolve(`{"events":[${frames.map((frame) => frame.json).join(',')}]}`);
    events?.closed();
  }

  return {
    answer,
    settle() {
      settled = true;
    },
    finish,
    sink: {
      collects: true,
      write(frame) {
        if (over) return true;
        frames.push(frame);
        if (settled) finish();
        return true;
      },
      watch(given) {
        events = given;
      },
      end: finish,
      destroy: finish,
    },
  };
}
