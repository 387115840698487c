/** What an engine keeps, whatever way leads to it: entries in their order, the epoch, leases, the records of nodes. */
import type { LogEntry, Logged, LogWindow } from '../../../adapters/contract.js';
import { comparePositions, makePosition, type Position } from '../../../adapters/position.js';
import { type Claim, createLeases } from '../../../server/log/leases.js';
import type { Slice } from '../../../server/log/shared/driver.js';
import type { Clock, Owner } from '../kernel/clock.js';

export interface Store {
  /** Told of every entry that is taken. */
  taken: ((entry: LogEntry, position: Position) => void) | undefined;
  /** Told when an entry has another place: it went on under another epoch. */
  moved: ((from: Position, to: Position) => void) | undefined;
  /** Told of what is dropped before its time. */
  dropped: ((position: Position) => void) | undefined;
  epoch(): string;
  window(): LogWindow;
  entries(): readonly Logged[];
  take(entries: readonly LogEntry[]): { readonly positions: readonly Position[]; readonly added: readonly Logged[] };
  /** What comes after a position. */
  after(position: Position | undefined, limit: number): Slice;
  /** Drops all but the newest so many entries. */
  trim(keep: number): void;
  /** Another epoch. `left`: what is there goes on under it; else nothing of the old one is there any more. */
  renew(left: boolean): void;
  /** The newest so many entries are gone, as if they had never been; the epoch stays. */
  lose(count: number): void;
  claim(name: string, ttlMs: number): Claim | undefined;
  /** Leaves a record and tells the others'. */
  share(node: Owner, record: string, ttlMs: number): readonly string[];
  /** Nothing of a node's record is there any more. */
  leave(node: Owner): void;
  size(): number;
}

interface Stored {
  readonly logged: Logged;
  readonly at: number;
}

const keyOf = (entry: LogEntry): string | undefined => (entry.kind === 'notification' ? entry.dedupeKey : undefined);
const offsetOf = (position: Position): number => Number(position.slice(position.indexOf(':') + 1));

/** @param retention milliseconds */
export function createStore(clock: Clock, { random }: Owner, retention: number): Store {
  const leases = createLeases(() => clock.now());
  const records = new Map<Owner, { readonly record: string; readonly until: number }>();
  let epochs = 0;
  let epoch = 'e0';
  let offset = 0;
  let stored: Stored[] = [];
  let floor: Position = makePosition(epoch, 0);
  let byKey = new Map<string, Position>();

  const top = (): Position => makePosition(epoch, offset);

  function expire(): void {
    const oldest = clock.now() - retention;
    let dropped = 0;
    while (dropped < stored.length && (stored[dropped] as Stored).at <= oldest) dropped += 1;
    drop(dropped);
  }

  function drop(count: number): void {
    if (count <= 0) return;
    floor = (stored[count - 1] as Stored).logged.position;
    stored = stored.slice(count);
  }

  function indexKeys(): void {
    byKey = new Map();
    for (const { logged } of stored) {
      const key = keyOf(logged.entry);
      if (key !== undefined) byKey.set(key, logged.position);
    }
  }

  const store: Store = {
    taken: undefined,
    moved: undefined,
    dropped: undefined,
    epoch: () => epoch,
    window() {
      expire();
      return { floor, top: top() };
    },
    entries() {
      expire();
      return stored.map(({ logged }) => logged);
    },
    take(entries) {
      expire();
      const added: Logged[] = [];
      const positions = entries.map((entry) => {
        const key = keyOf(entry);
        const known = key === undefined ? undefined : byKey.get(key);
        if (known) return known;
        // Gaps are normal.
        offset += random.chance(0.2) ? random.int(2, 9) : 1;
        const position = top();
        if (key !== undefined) byKey.set(key, position);
        const logged = { position, entry };
        stored.push({ logged, at: clock.now() });
        added.push(logged);
        store.taken?.(entry, position);
        return position;
      });
      return { positions, added };
    },
    after(position, limit) {
      expire();
      let first = 0;
      if (position !== undefined) {
        first = stored.length;
        // In another epoch nothing is before anything: all of it is told.
        while (first > 0 && (comparePositions((stored[first - 1] as Stored).logged.position, position) ?? 1) > 0)
          first -= 1;
      }
      const entries = stored.slice(first, first + limit).map(({ logged }) => logged);
      return { floor, top: top(), entries, more: first + limit < stored.length };
    },
    trim(keep) {
      expire();
      for (const { logged } of stored.slice(0, Math.max(0, stored.length - keep))) store.dropped?.(logged.position);
      drop(stored.length - keep);
    },
    renew(left) {
      epochs += 1;
      epoch = `e${epochs}`;
      if (left) {
        floor = makePosition(epoch, offsetOf(floor));
        stored = stored.map(({ logged: { position, entry }, at }) => {
          const to = makePosition(epoch, offsetOf(position));
          store.moved?.(position, to);
          return { logged: { position: to, entry }, at };
        });
        indexKeys();
        return;
      }
      offset = random.int(0, 50);
      stored = [];
      floor = top();
      byKey = new Map();
    },
    lose(count) {
      expire();
      stored = stored.slice(0, Math.max(0, stored.length - count));
      offset = offsetOf(stored.at(-1)?.logged.position ?? floor);
      indexKeys();
    },
    claim: leases.claim,
    share(node, record, ttlMs) {
      records.set(node, { record, until: clock.now() + ttlMs });
      return [...records].flatMap(([owner, one]) => (owner !== node && one.until > clock.now() ? [one.record] : []));
    },
    leave(node) {
      records.delete(node);
    },
    size: () => stored.length,
  };
  return store;
}
