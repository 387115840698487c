/**
 * The client half of the built-in SSE adapter: an event stream read with fetch; where a proxy holds streams back, long
 * polls of the same route.
 */
import type { ClientAdapter, Link, LinkHost } from '../contract.js';
import { ListenError } from '../errors.js';
import { limited } from '../limit.js';
import type { Position } from '../position.js';
import type { ServerEvent, StreamRequest } from '../protocol.js';
import { createStreamParser } from './parse.js';

/** How long `hello` may take, in milliseconds: the server sends it before it asks about access. */
export const HELLO_LIMIT = 3_000;
/** So many streams in a row without `hello` mean that something between buffers them. */
const SILENT_STREAMS = 2;
/** After how long of polling a stream is tried again, in milliseconds: at first, and at most (it doubles). */
export const STREAM_AGAIN = 60_000;
const STREAM_AGAIN_MAX = 30 * 60_000;

/** One request under the link's life and a limit of its own in milliseconds, which `lift` takes away. */
export type Ask = (
  wait: StreamRequest['wait'],
  limit: number,
  read: (response: Response, lift: () => void) => Promise<void>,
) => Promise<void>;

export function sse(): ClientAdapter {
  /** Streams in a row without `hello`, over all links: what buffers one link buffers the next. */
  let silent = 0;
  let pollFor = STREAM_AGAIN;
  /** When a stream is tried again, on the monotonic clock. */
  let streamAt = 0;

  /** Reads a stream to its end, which is an error like any other; returns when streams seem to be held back. */
  async function stream(host: LinkHost, ask: Ask, life: AbortSignal): Promise<void> {
    const { world } = host;
    let greeted = false;
    const began = world.monotonic();
    try {
      await ask('stream', HELLO_LIMIT, async ({ body, headers }, lift) => {
        if (!body || !headers.get('content-type')?.startsWith('text/event-stream'))
          throw new ListenError('protocol', 'stream: not an event stream');
        const parse = createStreamParser(({ type, data, id }) => {
          if (type === 'hello') {
            greeted = true;
            silent = 0;
            pollFor = STREAM_AGAIN;
            lift();
            host.via('sse');
          }
          if (!life.aborted) host.event(toEvent(type, data), (id || undefined) as Position | undefined);
        });
        const decoder = new TextDecoder();
        const reader = body.getReader();
        for (;;) {
          const { done, value } = await reader.read();
          if (done) throw new ListenError('network', 'stream: ended');
          host.alive();
          parse(decoder.decode(value, { stream: true }));
        }
      });
    } catch (error) {
      if (greeted || life.aborted || world.monotonic() - began < HELLO_LIMIT || ++silent < SILENT_STREAMS) throw error;
      streamAt = world.monotonic() + pollFor;
      pollFor = Math.min(2 * pollFor, STREAM_AGAIN_MAX);
    }
  }

  return {
    name: 'sse',
    capabilities: { fansOut: 'node', replays: true },
    open(_interest, host): Link {
      const { world } = host;
      const life = new AbortController();
      const { signal } = life;
      const ask: Ask = (wait, limit, read) =>
        limited(world, signal, limit, async (attempt, lift) =>
          read(await host.request('stream', { wait, ...host.interest() }, attempt), lift),
        );

      async function run(): Promise<void> {
        // The first answer says where we are; only then there is something to wait for.
        for (let wait: 'once' | 'poll' = 'once'; !signal.aborted; wait = 'poll') {
          if (silent < SILENT_STREAMS || world.monotonic() >= streamAt) await stream(host, ask, signal);
          host.via('poll');
          const { poll } = await import('./long-poll.js');
          await poll(host, ask, wait, signal);
        }
      }

      // Links are opened from inside the core's turn: nothing may come back before `open` returned.
      void Promise.resolve()
        .then(run)
        .catch((cause: unknown) => {
          if (signal.aborted) return;
          const code = cause instanceof SyntaxError ? 'protocol' : 'network';
          host.down(cause instanceof ListenError ? cause : new ListenError(code, 'stream: cut', { cause }));
        });
      return { close: () => life.abort() };
    },
  };
}

/** The event of a frame. Throws for what is not JSON; a type that we do not know is for a newer page. */
function toEvent(type: string, data: string): ServerEvent {
  const value = JSON.parse(data);
  return type === 'notification' ? { type, notification: value } : { type, ...value };
}
