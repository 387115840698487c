/** What streams and long polls share: how they ask, and what is known of streams between this page and its server. */
import type { StreamRequest } from '../protocol.js';

/**
 * So many points in a row mean that something between does not let streams through. One that did not get as far as `ready`
 * counts two where it was silent for the whole limit, and one where it failed sooner: that may as well be a server that is
 * down.
 */
export const STREAMS_BLOCKED = 4;

/** What the links of a page know of streams: what holds one back holds back the next. */
export interface Way {
  /** The points of streams in a row without `ready`. */
  blocked: number;
  /** After how long of polling a stream is tried again, in milliseconds. */
  pollFor: number;
  /** Until then, on the monotonic clock, links poll. */
  streamAt: number;
}

/** One request under the link's life and a limit of its own in milliseconds, which `lift` takes away. */
export type Ask = (
  wait: StreamRequest['wait'],
  limit: number,
  read: (response: Response, lift: () => void) => Promise<void>,
) => Promise<void>;
