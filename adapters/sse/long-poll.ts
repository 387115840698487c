/** Long polls of the stream's route: loaded where a proxy holds event streams back. */
import { readJson } from '../body.js';
import type { LinkHost } from '../contract.js';
import { ListenError } from '../errors.js';
import type { StreamAnswer } from '../protocol.js';
import type { Ask } from './client.js';

/** How long a poll may take, in milliseconds: the server answers within 25 s. */
const POLL_LIMIT = 40_000;
/** Between two polls, in milliseconds: an end that answers every one at once must not be asked in a loop. */
const POLL_PAUSE = 500;

/** A poll that was cut after so long was one that something between did not let wait. Milliseconds. */
const POLL_WAITED = 5_000;

/** One poll, with the pause after it. Returns how the next one waits. */
export async function poll(host: LinkHost, ask: Ask, wait: 'once' | 'poll', life: AbortSignal): Promise<typeof wait> {
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
