/** A stream that the test reads, blocks and cuts by hand. */
import { createParser } from 'eventsource-parser';
import type { Frame, StreamSink } from '../../adapters/streams.js';

export interface Written {
  readonly type: string;
  readonly id: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: JSON of any event; the assertions say what it must be
  readonly data: any;
}

export interface FakeSink extends StreamSink {
  /** Writes answer `false` while it is set; `unblock` tells the hub. */
  blocked: boolean;
  unblock(): void;
  /** The other side went away. */
  cut(): void;
  /** Every frame as it was handed over. */
  readonly frames: Frame[];
  readonly ended: 'no' | 'ended' | 'destroyed';
  /** Everything written so far, or since the last call of `take`, as a standard parser reads it. */
  events(): Written[];
  take(): Written[];
}

export function fakeSink(): FakeSink {
  const frames: Frame[] = [];
  let told: { drained(): void; closed(): void } | undefined;
  let ended: FakeSink['ended'] = 'no';
  let taken = 0;

  function over(how: FakeSink['ended']): void {
    if (ended !== 'no') return;
    ended = how;
    told?.closed();
  }

  const sink: FakeSink = {
    blocked: false,
    frames,
    get ended() {
      return ended;
    },
    write(frame) {
      if (ended !== 'no') return true;
      frames.push(frame);
      return !sink.blocked;
    },
    watch(events) {
      told = events;
    },
    end: () => over('ended'),
    destroy: () => over('destroyed'),
    cut: () => over('destroyed'),
    unblock() {
      sink.blocked = false;
      told?.drained();
    },
    events: () => read(frames),
    take() {
      const all = read(frames.slice(taken));
      taken = frames.length;
      return all;
    },
  };
  return sink;
}

function read(frames: readonly Frame[]): Written[] {
  const found: Written[] = [];
  const parser = createParser({
    onEvent: ({ event = 'message', id, data }) => found.push({ type: event, id, data: JSON.parse(data) }),
  });
  for (const frame of frames) parser.feed(frame.bare.toString());
  return found;
}
