/** The secrets that sign grants in a chaos run: a new one now and then. */

export interface Secrets {
  current(): string;
  /** Makes another one the current one. */
  next(): string;
}

export function createSecrets(): Secrets {
  let serial = 1;
  const current = (): string => `secret ${serial} of the chaos run`;
  return {
    current,
    next() {
      serial += 1;
      return current();
    },
  };
}
