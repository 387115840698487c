/** A limit on the time that somebody else's promise may take. */

/**
 * Resolves or rejects as `work` does; rejects after `ms` milliseconds. Work that is late goes on, and what becomes of it is
 * not heard.
 */
export async function inTime<T>(work: Promise<T>, ms: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
