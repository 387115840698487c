/**
 * What waits for a hosted provider, in ascending order of position: newer renderings merged into older ones of the same
 * key, so that its size depends on how many distinct objects changed and not on how often. It knows the position up to
 * which everything is done.
 */
import type { Channel } from '../../adapters/channel.js';
import type { Position } from '../../adapters/position.js';
import { mergeEntries } from '../../adapters/route.js';
import { type Below, checkEverybody, type Item, inOrder, lower } from './items.js';

/**
 * Items times channels that wait, about 20 MB. Beyond, one message that makes everybody read costs less than so many,
 * and says the same.
 */
export const MOST_WAITING = 20_000;

export interface Backlog {
  readonly size: number;
  /** Puts an item behind those that wait, in the place of an older one of the same key. */
  add(item: Item): void;
  /** Forgets what waits, also what is under way; `instead` takes its place. */
  replace(instead: Item): void;
  /**
   * Takes the oldest items that may go; nothing overtakes an item on one of its channels. They are under way until
   * `done`.
   */
  take(most: number, blocked: (channel: Channel) => boolean): readonly Item[];
  /** What was taken is done, but for these, which wait again in their place. */
  done(again: readonly Item[]): void;
  /** Up to where everything is done; `reached`: how far the log has been read. `null`: nowhere in this log. */
  completed(reached: Position): Below;
}

/** @param overflowed told when what waited was given up for one message to everybody */
export function createBacklog(overflowed: (given: number) => void): Backlog {
  /** Ascending: a replaced item is put at its end. */
  let waiting = new Map<string, Item>();
  let underWay: readonly Item[] = [];
  let weight = 0;

  function put(item: Item): void {
    waiting.set(item.key, item);
    weight += item.channels.length;
  }

  function drop(item: Item): void {
    waiting.delete(item.key);
    weight -= item.channels.length;
  }

  function bound(): void {
    if (weight <= MOST_WAITING) return;
    const given = waiting.size;
    const newest = [...waiting.values()].at(-1) as Item;
    const below = lowest(waiting.values());
    waiting.clear();
    weight = 0;
    // Once it is accepted, the checkpoint may be moved past all that it stands for, and not before.
    put(checkEverybody(newest.position, below ?? null));
    overflowed(given);
  }

  return {
    get size() {
      return waiting.size + underWay.length;
    },
    add(item) {
      const older = waiting.get(item.key);
      if (older) drop(older);
      put(older ? merge(older, item) : item);
      bound();
    },
    replace(instead) {
      waiting.clear();
      underWay = [];
      weight = 0;
      put(instead);
    },
    take(most, blocked) {
      const taken: Item[] = [];
      /** Channels of items that stay behind: what is newer on them must wait, too. */
      const held = new Set<Channel>();
      for (const item of waiting.values()) {
        if (taken.length === most) break;
        if (item.channels.some((channel) => held.has(channel) || blocked(channel)))
          for (const channel of item.channels) held.add(channel);
        else taken.push(item);
      }
      for (const item of taken) drop(item);
      underWay = taken;
      return taken;
    },
    done(again) {
      // What was replaced meanwhile is stood for by something else.
      const back = again.filter((item) => underWay.includes(item));
      underWay = [];
      if (back.length === 0) return;
      for (const item of back) {
        const newer = waiting.get(item.key);
        if (newer) {
          drop(newer);
          put(merge(item, newer));
        } else put(item);
      }
      waiting = new Map([...waiting].sort(([, a], [, b]) => inOrder(a, b)));
      bound();
    },
    completed(reached) {
      const below = lowest([...underWay, ...waiting.values()]);
      return below === undefined ? reached : below;
    },
  };
}

/** The item of the newer one's place that stands for both. */
function merge(older: Item, newer: Item): Item {
  const entry = older.entry && newer.entry ? mergeEntries(older.entry, newer.entry) : newer.entry;
  return { ...newer, below: lower(older.below, newer.below), ...(entry && { entry }) };
}

/** `undefined`: there are none. */
function lowest(items: Iterable<Item>): Below | undefined {
  let least: Below | undefined;
  for (const { below } of items) least = least === undefined ? below : lower(least, below);
  return least;
}
