/** Code of the application runs inside ours: what it throws is reported, and stops nothing. */
export type Report = (error: unknown) => void;

/** Runs it; what it throws is reported. Tells whether it went well. */
export function guard(report: Report, run: () => unknown): boolean {
  try {
    run();
    return true;
  } catch (error) {
    report(error);
    return false;
  }
}

/** A list of functions that want to know of changes: how to join it, and how to tell them all. */
export function createWatchers(report: Report): [watch: (changed: () => void) => () => void, tell: () => void] {
  const watchers = new Set<() => void>();
  return [
    (changed) => {
      // One entry for each call, so that the same function given twice is called, and stopped, twice.
      const watcher = () => changed();
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => {
      for (const watcher of [...watchers]) guard(report, watcher);
    },
  ];
}
