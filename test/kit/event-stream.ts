/**
 * Reads an event stream as a stranger would: raw bytes, through the `eventsource-parser` package, which is not ours.
 * Nothing waits for time to pass: a test waits for an event, and "nothing more came" is told by a later marker.
 */
import { createParser } from 'eventsource-parser';
import { onTestFinished } from 'vitest';
import type { LatestByAction, WireNotification } from '../../adapters/protocol.js';
import type { Reply } from './http.js';

/** Every field that the data of any event may have; what a test expects says which are there. */
export interface SeenData extends Partial<WireNotification> {
  readonly protocol?: number;
  readonly epoch?: string;
  readonly user?: string;
  readonly session?: string;
  readonly heartbeat?: number;
  readonly known?: number;
  readonly latest?: Readonly<Record<string, LatestByAction>>;
  readonly channels?: readonly string[] | null;
  readonly degraded?: true;
  readonly within?: number;
}

export interface SeenEvent {
  readonly type: string;
  readonly id: string | undefined;
  readonly data: SeenData;
}

export interface EventStream {
  readonly status: number;
  readonly headers: Reply['headers'];
  /** Everything that has come so far. */
  readonly events: readonly SeenEvent[];
  /** The same as it was sent. */
  raw(): string;
  /** The next event of this type (`undefined`: of any), after those that `next` and `until` gave already. */
  next(type?: string): Promise<SeenEvent>;
  /** The next event that matches, from the same place on. Rejects when the stream ends before. */
  until(matches: (event: SeenEvent) => boolean, what?: string): Promise<SeenEvent>;
  /** Stops reading, so that the server's socket fills up; and goes on. */
  pause(): void;
  resume(): void;
  /** Resolves when the stream has ended, in order or not. */
  readonly ended: Promise<'ended' | 'cut'>;
  /** Cuts the connection. */
  dispose(): void;
}

/** Reads what a reply brings until the test ends. */
export function readEvents(reply: Reply): EventStream {
  const events: SeenEvent[] = [];
  const chunks: string[] = [];
  let read = 0;
  let over = false;
  let wake: () => void = () => {};
  let changed = new Promise<void>((resolve) => {
    wake = resolve;
  });

  function tell(): void {
    const waiting = wake;
    changed = new Promise<void>((resolve) => {
      wake = resolve;
    });
    waiting();
  }

  const parser = createParser({
    onEvent: ({ event, id, data }) => events.push({ type: event ?? 'message', id, data: JSON.parse(data) as SeenData }),
    onError: (error) => {
      throw error;
    },
  });
  reply.body.setEncoding('utf8');
  reply.body.on('data', (text: string) => {
    chunks.push(text);
    parser.feed(text);
    tell();
  });
  const ended = new Promise<'ended' | 'cut'>((resolve) => {
    reply.body.on('end', () => resolve('ended'));
    reply.body.on('close', () => resolve('cut'));
    reply.body.on('error', () => resolve('cut'));
  });
  void ended.then(() => {
    over = true;
    tell();
  });
  onTestFinished(() => reply.cut());

  async function until(matches: (event: SeenEvent) => boolean, what = 'an event'): Promise<SeenEvent> {
    for (;;) {
      while (read < events.length) {
        const event = events[read++] as SeenEvent;
        if (matches(event)) return event;
      }
      if (over) throw new Error(`the stream ended before ${what} came; it brought ${JSON.stringify(events)}`);
      await changed;
    }
  }

  return {
    status: reply.status,
    headers: reply.headers,
    events,
    raw: () => chunks.join(''),
    next: (type) => until((event) => type === undefined || event.type === type, type),
    until,
    pause: () => reply.body.pause(),
    resume: () => reply.body.resume(),
    ended,
    dispose: () => reply.cut(),
  };
}
