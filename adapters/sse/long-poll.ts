/** Long polls of the stream's route: loaded where a proxy holds event streams back. */
import type { LinkHost } from '../contract.js';
import { ListenError } from '../errors.js';
import type { StreamAnswer } from '../protocol.js';
import type { Ask } from './client.js';

/** How long a poll may take, in milliseconds: the server answers within 25 s. */
const POLL_LIMIT = 40_000;
/** Between two polls, in milliseconds: an end that answers every one at once must not be asked in a loop. */
const POLL_PAUSE = 500;

/** One poll, with the pause after it. */
export async function poll(host: LinkHost, ask: Ask, wait: 'once' | 'poll', life: AbortSignal): Promise<void> {
  await ask(wait, POLL_LIMIT, async (response) => {
    const { events } = (await response.json()) as Partial<StreamAnswer>;
    if (!Array.isArray(events)) throw new ListenError('protocol', 'stream: not an answer of ours');
    host.alive();
    for (const event of events) if (!life.aborted) host.event(event);
  });
  await new Promise<void>((resolve) => {
    host.world.setTimeout(resolve, POLL_PAUSE);
  });
}
