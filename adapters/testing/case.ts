/**
 * What a contract suite is made of: named cases as data. Any test runner can run them, and none is a dependency:
 *
 * ```ts
 * for (const { name, run } of logContract(() => twoNodesOnOneLog())) test(name, run);
 * ```
 */
export interface ContractCase {
  /** The promise, as a sentence. */
  readonly name: string;
  /** Resolves when the promise holds; rejects with a sentence that says what happened instead. */
  run(): Promise<void>;
}

/** How long a case waits for what must come, in milliseconds. Only a broken implementation ever waits that long. */
export const PATIENCE = 5_000;

/** Throws when a promise does not hold. */
export function assert(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new Error(otherwise);
}

/** Throws when two JSON-like values differ. */
export function assertEqual(actual: unknown, expected: unknown, what: string): void {
  const [left, right] = [canonical(actual), canonical(expected)];
  if (left !== right) throw new Error(`${what}: expected ${right}, but got ${left}`);
}

/** JSON with sorted keys: an engine may bring an object's keys back in another order. */
function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_key, part: unknown) =>
      typeof part === 'object' && part !== null && !Array.isArray(part)
        ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
        : part,
    ) ?? 'undefined'
  );
}

/** Resolves as the promise does; rejects when that takes longer than `patience`. */
export async function inTime<T>(promise: Promise<T>, what: string, patience: number = PATIENCE): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${patience} ms in vain for ${what}`)), patience);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves with whether the promise rejects. */
export async function rejects(promise: Promise<unknown>): Promise<boolean> {
  return promise.then(
    () => false,
    () => true,
  );
}
