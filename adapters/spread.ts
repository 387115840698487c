/** The random wait before a refresh, so that many pages do not refetch in the same moment. One rule for every adapter. */

/** How many refreshes a second a notification may cause: the window of the random wait is the listeners over this. */
const REFRESHES_PER_SECOND = 30;
/** Below this a wait is felt and saves nothing; above the longest, being late is worse than the load. Milliseconds. */
const SHORTEST_SPREAD = 3_000;
const LONGEST_SPREAD = 60_000;

/** From so many listeners on, the window is the longest one: nobody needs to count further. */
export const MOST_SPREAD: number = (LONGEST_SPREAD / 1_000) * REFRESHES_PER_SECOND;

/** The window of the random wait for so many listeners, in milliseconds; 0: none. */
export function spreadFor(audience: number): number {
  const window = Math.round((audience / REFRESHES_PER_SECOND) * 1_000);
  return window < SHORTEST_SPREAD ? 0 : Math.min(window, LONGEST_SPREAD);
}
