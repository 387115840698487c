/**
 * The client half of the built-in SSE adapter: an event stream read with fetch; where a proxy holds streams back, long
 * polls of the same route.
 */
import { readText } from '../body.js';
import type { ClientAdapter, Link, LinkHost } from '../contract.js';
import { ListenError } from '../errors.js';
import { limited } from '../limit.js';
import type { Position } from '../position.js';
import type { ServerEvent, StreamRequest } from '../protocol.js';
import { createStreamParser } from './parse.js';

/** How long `hello` may take, in milliseconds: the server sends it before it asks about access. */
export const HELLO_LIMIT = 3_000;
/**
 * So many points in a row mean that something between does not let streams through. One that did not get as far as `ready`
 * counts two where it was silent for the whole limit, and one where it failed sooner: that may as well be a server that is
 * down.
 */
const STREAMS_BLOCKED = 4;
/**
 * After how long of polling a stream is tried again, in milliseconds: at first, and at most (it doubles). Half of it to
 * one and a half, by chance: a server that stood still has many pages that poll.
 */
export const STREAM_AGAIN = 60_000;
const STREAM_AGAIN_MAX = 30 * 60_000;

/** One request under the link's life and a limit of its own in milliseconds, which `lift` takes away. */
export type Ask = (
  wait: StreamRequest['wait'],
  limit: number,
  read: (response: Response, lift: () => void) => Promise<void>,
) => Promise<void>;

export function sse(): ClientAdapter {
  /** The points of streams in a row without `ready`, over all links: what holds one back holds back the next. */
  let blocked = 0;
  let pollFor = STREAM_AGAIN;
  /** Until then, on the monotonic clock, links poll. */
  let streamAt = 0;

  /** Reads a stream to its end, which is an error like any other; returns when streams seem to be held back. */
  async function stream(host: LinkHost, ask: Ask, life: AbortSignal): Promise<void> {
    const { world } = host;
    let covered = false;
    const began = world.monotonic();
    try {
      await ask('stream', HELLO_LIMIT, async (response, lift) => {
        if (!response.headers.get('content-type')?.startsWith('text/event-stream'))
          throw new ListenError('protocol', 'stream: not events');
        const parse = createStreamParser(({ type, data, id }) => {
          if (type === 'hello') {
            lift();
            host.via('sse');
          }
          // `hello` alone may have come through where a buffer was full.
          if (type === 'ready') {
            covered = true;
            blocked = 0;
            pollFor = STREAM_AGAIN;
          }
          if (!life.aborted) host.event(toEvent(type, data), (id || undefined) as Position | undefined);
        });
        await readText(response, (piece) => {
          host.alive();
          parse(piece);
        });
        throw new ListenError('network', 'stream: ended');
      });
    } catch (error) {
      const soon = world.monotonic() - began < HELLO_LIMIT;
      // A server that asks for patience was reached; a link that was closed soon says nothing.
      if (covered || (soon && life.aborted) || (error as ListenError).retryAfter) throw error;
      blocked += soon ? 1 : 2;
      if (life.aborted || blocked < STREAMS_BLOCKED) throw error;
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
        const streams = world.monotonic() >= streamAt;
        if (streams) {
          if (blocked < STREAMS_BLOCKED) await stream(host, ask, signal);
          // Unless polls get further: then one more failure is enough.
          blocked = 0;
        }
        host.via('poll');
        const { poll } = await import('./long-poll.js');
        // The first answer says where we are; only then there is something to wait for.
        let wait = await poll(host, ask, 'once', signal);
        if (streams) {
          blocked = STREAMS_BLOCKED - 1;
          streamAt = world.monotonic() + pollFor * (0.5 + world.random());
          pollFor = Math.min(2 * pollFor, STREAM_AGAIN_MAX);
        }
        let again = streamAt;
        while (!signal.aborted) {
          if (world.monotonic() >= again) {
            // A link beside this one tries it, and polls go on meanwhile.
            host.again();
            again = world.monotonic() + pollFor;
          }
          wait = await poll(host, ask, wait, signal);
        }
      }

      // Links are opened from inside the core's turn: nothing may come back before `open` returned.
      void Promise.resolve()
        .then(run)
        .catch((cause: unknown) => {
          if (signal.aborted) return;
          const code = cause instanceof SyntaxError ? 'protocol' : 'network';
          host.down(cause instanceof ListenError ? cause : new ListenError(code, 'stream: ended', { cause }));
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
