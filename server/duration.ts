/** On a platform that cuts requests off after a time: when they must be over, so that none of them is cut. */

/** Below it nothing is left for streaming: opening the next stream alone may take three seconds. Milliseconds. */
export const SHORTEST_DURATION = 5_000;
/** How long before the cut everything is over, at most: what the platform counted before the request came here. Milliseconds. */
const RESERVE = 2_000;
/** How long a stream is served after its goodbye, at most, so that the page can open the next one beside it. Milliseconds. */
const HANDOVER = 8_000;

export interface Duration {
  /** So long after its request came a stream ends, and a poll is answered, in milliseconds. */
  readonly served: number;
  /** So long after it came anything else is given up: later than `served`, for what is about to be answered. */
  readonly limit: number;
  /** How long before its end a stream says goodbye, and the window of the page's wait after that. */
  readonly handover: number;
  readonly within: number;
}

/** @param max what the platform allows, in milliseconds; none: no limit */
export function durationOf(max: number = Number.POSITIVE_INFINITY): Duration {
  const reserve = Math.min(RESERVE, max / 10);
  const handover = Math.min(HANDOVER, max / 4);
  return { served: max - reserve, limit: max - reserve / 2, handover, within: handover / 2 };
}
