/** The wait before another try: full jitter below a ceiling that doubles. */

/** Never at once, however the dice fall: who has just refused is not asked in a loop. Milliseconds, as all here. */
const LEAST = 50;
const FIRST_CEILING = 300;
const LAST_CEILING = 30_000;
/** A provider that asks for more is asked again all the same: it may have been mended meanwhile. Milliseconds. */
export const MOST_ASKED = 3_600_000;

/** @param attempt how often it has failed before. @param asked what the provider asks for at least, in milliseconds. */
export function waitFor(attempt: number, random: () => number, asked = 0): number {
  const least = Number.isFinite(asked) ? Math.min(Math.max(0, asked), MOST_ASKED) : 0;
  // Jitter on top of what is asked for, so that several nodes do not come back in one moment.
  return least + Math.max(LEAST, random() * Math.min(LAST_CEILING, FIRST_CEILING * 2 ** attempt));
}
