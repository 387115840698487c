/**
 * The client half of the built-in SSE adapter: an event stream read with fetch; where a proxy holds streams back, long
 * polls of the same route.
 */
import type { AdapterCapabilities, ClientAdapter, Link, LinkHost } from '../contract.js';
import { ListenError } from '../errors.js';
import { type Position, parsePosition } from '../position.js';
import type { ServerEvent, StreamRequest } from '../protocol.js';
import { createStreamParser } from './parse.js';

/** How long `hello` may take, in milliseconds: the server sends it before it asks about access. */
export const HELLO_LIMIT = 3_000;
/** So many streams in a row without `hello` mean that something between buffers them. */
const SILENT_STREAMS = 2;
/** After how long of polling a stream is tried again, in milliseconds: at first, and at most (it doubles). */
export const STREAM_AGAIN = 60_000;
const STREAM_AGAIN_MAX = 30 * 60_000;
/** How long a poll may take, in milliseconds: the server answers within 25 s. */
const POLL_LIMIT = 40_000;
/** Between two polls, in milliseconds: an end that answers every one at once must not be asked in a loop. */
const POLL_PAUSE = 500;

const CAPABILITIES: AdapterCapabilities = { fansOut: 'node', replays: true, updatesInPlace: false };

export function sse(): ClientAdapter {
  /** Streams in a row without `hello`, over all links: what buffers one link buffers the next. */
  let silent = 0;
  let pollFor = STREAM_AGAIN;
  /** When a stream is tried again, on the monotonic clock. */
  let streamAt = 0;

  return {
    name: 'sse',
    capabilities: CAPABILITIES,
    open(_interest, host): Link {
      const { world } = host;
      const life = new AbortController();
      const { signal } = life;

      /** One request under the link's life and a limit of its own, which `within` may lift. */
      async function request(
        wait: StreamRequest['wait'],
        limit: number,
        read: (response: Response, lift: () => void) => Promise<void>,
      ): Promise<void> {
        const attempt = new AbortController();
        const abort = () => attempt.abort();
        signal.addEventListener('abort', abort);
        const timer = world.setTimeout(abort, limit);
        try {
          await read(await host.request('stream', { wait, ...host.interest() }, attempt.signal), () =>
            world.clearTimeout(timer),
          );
        } catch (error) {
          throw error instanceof ListenError
            ? error
            : new ListenError(error instanceof SyntaxError ? 'protocol' : 'network', `stream: ${wait} was cut`, {
                cause: error,
              });
        } finally {
          world.clearTimeout(timer);
          signal.removeEventListener('abort', abort);
          // Whatever went wrong while reading, the other end must not go on sending.
          abort();
        }
      }

      /** Reads a stream to its end. Resolves with whether it greeted; rejects with why it could not be read. */
      async function stream(): Promise<boolean> {
        let greeted = false;
        const began = world.monotonic();
        try {
          await request('stream', HELLO_LIMIT, async ({ body, headers }, lift) => {
            if (!body || !headers.get('content-type')?.startsWith('text/event-stream'))
              throw new ListenError('protocol', 'stream: not an event stream');
            const decoder = new TextDecoder();
            const parse = createStreamParser(({ type, data, id }) => {
              if (type === 'hello') {
                greeted = true;
                silent = 0;
                pollFor = STREAM_AGAIN;
                lift();
                host.via('sse');
              }
              if (!signal.aborted) host.event(toEvent(type, data), parsePosition(id) && (id as Position));
            });
            const reader = body.getReader();
            for (;;) {
              const { done, value } = await reader.read();
              if (done) break;
              host.alive();
              parse(decoder.decode(value, { stream: true }));
            }
          });
        } catch (error) {
          const late = !greeted && !signal.aborted && world.monotonic() - began >= HELLO_LIMIT;
          if (!late) throw error;
          silent++;
          if (silent >= SILENT_STREAMS) {
            streamAt = world.monotonic() + pollFor;
            pollFor = Math.min(2 * pollFor, STREAM_AGAIN_MAX);
          }
          return false;
        }
        return true;
      }

      async function poll(wait: 'once' | 'poll'): Promise<void> {
        await request(wait, POLL_LIMIT, async (response) => {
          const { events } = (await response.json()) as { events?: unknown };
          if (!Array.isArray(events)) throw new ListenError('protocol', 'stream: not an answer of ours');
          host.alive();
          for (const event of events as ServerEvent[]) if (!signal.aborted) host.event(event);
        });
      }

      async function run(): Promise<void> {
        let wait: 'once' | 'poll' = 'once';
        for (;;) {
          if (silent < SILENT_STREAMS || world.monotonic() >= streamAt) {
            if (await stream()) throw new ListenError('network', 'stream: ended');
            if (silent < SILENT_STREAMS) throw new ListenError('network', `stream: no answer within ${HELLO_LIMIT} ms`);
          }
          host.via('poll');
          // The first answer says where we are; only then there is something to wait for.
          await poll(wait);
          wait = 'poll';
          await pause(host, POLL_PAUSE);
          if (signal.aborted) return;
        }
      }

      // Links are opened from inside the core's turn: nothing may come back before `open` returned.
      Promise.resolve()
        .then(run)
        .catch((error: unknown) => {
          if (!signal.aborted)
            host.down(
              error instanceof ListenError
                ? error
                : new ListenError('protocol', 'stream: not understood', { cause: error }),
            );
        });
      return { close: () => life.abort() };
    },
  };
}

function pause({ world }: LinkHost, ms: number): Promise<void> {
  return new Promise((resolve) => {
    world.setTimeout(resolve, ms);
  });
}

/** The event of a frame. Throws `protocol` for what is not JSON; a type that we do not know is for a newer page. */
function toEvent(type: string, data: string): ServerEvent {
  const value: unknown = JSON.parse(data);
  if (typeof value !== 'object' || !value) throw new SyntaxError('not an object');
  return (type === 'notification' ? { type, notification: value } : { type, ...value }) as ServerEvent;
}
