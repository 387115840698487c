/** Long polls of the stream's route: loaded where a proxy holds event streams back. */
import { readJson } from '../body.js';
import type { LinkHost } from '../contract.js';
import { ListenError } from '../errors.js';
import type { StreamAnswer } from '../protocol.js';
import { type Ask, STREAMS_BLOCKED, type Way } from './way.js';

/** How long a poll may take, in milliseconds: the server answers within 25 s. */
const POLL_LIMIT = 40_000;
/** Between two polls, in milliseconds: an end that answers every one at once must not be asked in a loop. */
const POLL_PAUSE = 500;

/**
 * After how long of polling a stream is tried again at most, in milliseconds (it doubles). Half of it to one and a half,
 * by chance: a server that stood still has many pages that poll.
 */
const STREAM_AGAIN_MAX = 30 * 60_000;

/** A poll that was cut after so long was one that something between did not let wait. Milliseconds. */
const POLL_WAITED = 5_000;

/** Polls until the link is closed, or a poll fails. `tried`: a stream was, and came to nothing. */
export async function pollOn(host: LinkHost, ask: Ask, life: AbortSignal, way: Way, tried: boolean): Promise<void> {
  const { world } = host;
  // The first answer says where we are; only then there is something to wait for.
  let wait = await poll(host, ask, 'once', life);
  if (tried) {
    way.blocked = STREAMS_BLOCKED - 1;
    way.streamAt = world.monotonic() + way.pollFor * (0.5 + world.random());
    way.pollFor = Math.min(2 * way.pollFor, STREAM_AGAIN_MAX);
  }
  let again = way.streamAt;
  while (!life.aborted) {
    if (world.monotonic() >= again) {
      // A link beside this one tries it, and polls go on meanwhile.
      host.again();
      again = world.monotonic() + way.pollFor;
    }
    wait = await poll(host, ask, wait, life);
  }
}

/** One poll, with the pause after it. Returns how the next one waits. */
async function poll(host: LinkHost, ask: Ask, wait: 'once' | 'poll', life: AbortSignal): Promise<typeof wait> {
  const { world } = host;
  const began = world.monotonic();
  let next: typeof wait = 'poll';
  try {
    await ask(wait, POLL_LIMIT, async (response) => {
      const { events } = await readJson<Partial<StreamAnswer>>(response);
      if (!Array.isArray(events)) throw new ListenError('protocol', 'stream: not an answer of ours');
      host.alive();
      for (const event of events) if (!life.aborted) host.event(event);
    });
  } catch (error) {
    // One that does not wait then says whether the server is there, and brings what has come.
    if (life.aborted || wait === 'once' || world.monotonic() - began < POLL_WAITED) throw error;
    next = 'once';
  }
  await new Promise<void>((resolve) => {
    world.setTimeout(resolve, POLL_PAUSE);
  });
  return next;
}
