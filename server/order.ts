/**
 * Things in the order in which they were added, each of which can be taken out again at once: a list that is linked through
 * the things themselves. A `Set` would do the same, but it keeps a place for what was taken out until it is rebuilt as a
 * whole: with 100,000 entries that took milliseconds now and then, and adding twice as long on the average.
 */
export interface Linked<T> {
  before: T | undefined;
  behind: T | undefined;
}

export interface Order<T> {
  add(item: T): void;
  remove(item: T): void;
  clear(): void;
  size(): number;
  /** From the oldest on. What was given may be removed before the next is asked for. */
  [Symbol.iterator](): Iterator<T>;
}

export function createOrder<T extends Linked<T>>(): Order<T> {
  let first: T | undefined;
  let last: T | undefined;
  let size = 0;
  return {
    add(item) {
      item.before = last;
      if (last) last.behind = item;
      else first = item;
      last = item;
      size += 1;
    },
    remove(item) {
      const { before, behind } = item;
      if (before) before.behind = behind;
      else first = behind;
      if (behind) behind.before = before;
      else last = before;
      // Otherwise what was replaced long ago would keep all that came after it from being collected young.
      item.before = undefined;
      item.behind = undefined;
      size -= 1;
    },
    clear() {
      first = undefined;
      last = undefined;
      size = 0;
    },
    size: () => size,
    *[Symbol.iterator]() {
      let item = first;
      while (item) {
        const { behind } = item;
        yield item;
        item = behind;
      }
    },
  };
}
