/** Faults that come again with every retry are told once, and then now and then. */

/** A provider that is down for an hour is then told of 120 times, by whom `onError` reaches. Milliseconds. */
export const TOLD_EVERY = 30_000;
/** What a provider refuses for good is told once per kind in this time, in milliseconds. */
export const KIND_TOLD_EVERY = 60_000;
/** Kinds that are kept apart; beyond, they count as one. Providers have some dozens of codes. */
const MOST_KINDS = 100;

/** Says whether a thing that happens again shall be told now. `monotonic`: milliseconds. */
export function createThrottle(every: number, monotonic: () => number): (kind?: string) => boolean {
  const told = new Map<string, number>();
  return (kind = '') => {
    const key = told.has(kind) || told.size < MOST_KINDS ? kind : '';
    const last = told.get(key);
    if (last !== undefined && monotonic() - last < every) return false;
    told.set(key, monotonic());
    return true;
  };
}

/** What errors have in common that differ only in their texts. */
export function kindOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const { name, code, status, statusCode } = error as Error & Record<'code' | 'status' | 'statusCode', unknown>;
  return [name, code, status, statusCode].filter((part) => typeof part === 'string' || typeof part === 'number').join();
}
