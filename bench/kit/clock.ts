/** One clock for all processes of this machine: the kernel's monotonic one. */

/** Microseconds, a whole number; small enough to travel as a version (`changedDate`). */
export const micros = (): number => Number(process.hrtime.bigint() / 1000n);

/**
 * Calls `run` `rate` times a second for `ms` milliseconds, `phase` (0 to 1) of an interval after the start. A call that is
 * late does not delay the ones after it. Resolves with how many there were once all have settled.
 */
export async function atRate(
  { rate, ms, phase = 0 }: { readonly rate: number; readonly ms: number; readonly phase?: number },
  run: (index: number) => unknown,
): Promise<number> {
  const interval = 1_000 / rate;
  const count = Math.round(ms / interval);
  const start = performance.now() + phase * interval;
  const settled: unknown[] = [];
  for (let index = 0; index < count; index++) {
    const wait = start + index * interval - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    settled.push(run(index));
  }
  await Promise.all(settled);
  return count;
}
