/**
 * The client half of the built-in SSE adapter: an event stream read with fetch; where a proxy holds streams back, long
 * polls of the same route.
 */
import { readText } from '../body.js';
import type { ClientAdapter, Link, LinkHost } from '../contract.js';
import { ListenError } from '../errors.js';
import { limited } from '../limit.js';
import type { Position } from '../position.js';
import type { ServerEvent } from '../protocol.js';
import { createStreamParser } from './parse.js';
import { type Ask, STREAMS_BLOCKED, type Way } from './way.js';

/** How long `hello` may take, in milliseconds: the server sends it before it asks about access. */
export const HELLO_LIMIT = 3_000;
/** After how long of polling a stream is tried again at first, in milliseconds. */
export const STREAM_AGAIN = 60_000;

export function sse(): ClientAdapter {
  const way: Way = { blocked: 0, pollFor: STREAM_AGAIN, streamAt: 0 };

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
            way.blocked = 0;
            way.pollFor = STREAM_AGAIN;
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
      way.blocked += soon ? 1 : 2;
      if (life.aborted || way.blocked < STREAMS_BLOCKED) throw error;
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
        const streams = world.monotonic() >= way.streamAt;
        if (streams) {
          if (way.blocked < STREAMS_BLOCKED) await stream(host, ask, signal);
          // Unless polls get further: then one more failure is enough.
          way.blocked = 0;
        }
        host.via('poll');
        const { pollOn } = await import('./long-poll.js');
        await pollOn(host, ask, signal, way, streams);
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
