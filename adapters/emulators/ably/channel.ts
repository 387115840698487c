/**
 * One channel: what was published, for two minutes (or a day, where its namespace is persisted), who is attached, who is
 * present. A place in it is a channel serial, `epoch:number`; a serial of another epoch says nothing.
 */
import type { EmulatorWorld } from '../emulator.js';
import { createMembers, type Members } from './members.js';
import { randomName } from './names.js';
import type { WireMessage, WirePresence } from './protocol.js';
import { type AblyLimits, createRate, type Rate } from './rates.js';

/** For how long a client can resume, in milliseconds. */
export const RECOVERY_WINDOW = 120_000;
/** For how long a persisted channel keeps its history: the default of the free package. */
const PERSISTED = 24 * 3_600_000;
/** Entries that are kept at a time, whatever their age; more than a test or a day of development makes. */
const MAX_ENTRIES = 10_000;

/** What was published at once: one place in the channel. */
export interface Entry {
  readonly number: number;
  readonly serial: string;
  readonly at: number;
  readonly id: string;
  readonly connectionId: string | undefined;
  readonly messages?: readonly WireMessage[];
  readonly presence?: readonly WirePresence[];
}

/** Whoever is attached. */
export interface Subscriber {
  deliver(entry: Entry): void;
  /** Everything up to now is not to be had any more. */
  lost(): void;
  /** The channel is detached by the server. */
  suspended(): void;
}

/** What follows a serial. */
export interface Backlog {
  /** The place from which `entries` follow. */
  readonly serial: string;
  readonly entries: readonly Entry[];
  /** Nothing is missing between the serial that was asked for and `entries`. */
  readonly whole: boolean;
}

export interface Channel {
  readonly name: string;
  readonly persisted: boolean;
  readonly subscribers: ReadonlySet<Subscriber>;
  readonly members: Members;
  readonly rate: Rate;
  /** Attaches that are answered by DETACHED. */
  refusals: number;
  join(subscriber: Subscriber): void;
  leave(subscriber: Subscriber): void;
  /** Wall clock, milliseconds. */
  now(): number;
  /** Where it stands. */
  serial(): string;
  add(what: Pick<Entry, 'id' | 'connectionId' | 'messages' | 'presence'>): Entry;
  /** The entry that was made of a publish with this id, within the window. */
  known(id: string): Entry | undefined;
  /** What came after this serial; all that is left when that is not known. */
  after(serial: string): Backlog;
  /** The last so many messages, or those of so many milliseconds. */
  rewind(by: { readonly count: number } | { readonly ms: number }): Backlog;
  /** The number that a serial names, of this epoch. */
  numberOf(serial: string): number | undefined;
  kept(): readonly Entry[];
  /** Every serial that was given out says nothing any more. */
  forget(): void;
  /** Nobody is attached or present, or was within the window, and nothing is kept. */
  idle(): boolean;
}

interface ChannelOptions {
  readonly persisted: boolean;
  readonly limits: AblyLimits;
  readonly world: EmulatorWorld;
}

export function createChannel(name: string, { persisted, limits, world }: ChannelOptions): Channel {
  let epoch = randomName(10);
  let top = 0;
  /** The number of the newest entry that is too old to resume from. */
  let floor = 0;
  let entries: Entry[] = [];
  const ids = new Map<string, Entry>();
  let left = world.now();
  const subscribers = new Set<Subscriber>();
  const serialOf = (number: number): string => `${epoch}:${number}`;

  /** Time passes only when it is asked: no timer for each message. */
  function prune(): void {
    const now = world.now();
    for (const [id, entry] of ids) {
      if (entry.at > now - RECOVERY_WINDOW && ids.size <= MAX_ENTRIES) break;
      ids.delete(id);
      floor = Math.max(floor, entry.number);
    }
    const life = persisted ? PERSISTED : RECOVERY_WINDOW;
    const gone = entries.findIndex((entry) => entry.at > now - life);
    const first = Math.max(gone < 0 ? entries.length : gone, entries.length - MAX_ENTRIES);
    if (first > 0) entries = entries.slice(first);
  }

  const backlog = (from: number, whole: boolean): Backlog => ({
    serial: serialOf(from),
    entries: entries.filter((entry) => entry.number > from),
    whole,
  });

  function numberOf(serial: string): number | undefined {
    const number = Number(serial.slice(epoch.length + 1));
    return serial.startsWith(`${epoch}:`) && Number.isInteger(number) && number <= top ? number : undefined;
  }

  const channel: Channel = {
    name,
    persisted,
    subscribers,
    members: createMembers(limits.presenceMembers),
    rate: createRate(limits.channelRate, world),
    refusals: 0,
    join: (subscriber) => void subscribers.add(subscriber),
    leave(subscriber) {
      subscribers.delete(subscriber);
      left = world.now();
    },
    now: world.now,
    serial: () => serialOf(top),
    add(what) {
      prune();
      const number = ++top;
      const at = world.now();
      const serial = serialOf(number);
      const stamp = `${String(at).padStart(14, '0')}-${String(number).padStart(6, '0')}@${epoch}`;
      const messages = what.messages?.map((message, index) => {
        const own = `${stamp}:${String(index).padStart(3, '0')}`;
        return { ...message, timestamp: at, serial: own, action: 0, version: { serial: own, timestamp: at } };
      });
      const { id, connectionId, presence } = what;
      const entry: Entry = {
        number,
        serial,
        at,
        id,
        connectionId,
        ...(messages && { messages }),
        ...(presence && { presence }),
      };
      entries.push(entry);
      ids.set(id, entry);
      for (const subscriber of [...subscribers]) subscriber.deliver(entry);
      return entry;
    },
    known(id) {
      prune();
      return ids.get(id);
    },
    after(serial) {
      prune();
      const number = numberOf(serial);
      // A serial of before the channel was forgotten: there is no earliest point that could be meant.
      if (number === undefined) return backlog(top, false);
      return number >= floor ? backlog(number, true) : backlog(floor, false);
    },
    rewind(by) {
      prune();
      const open = entries.filter((entry) => entry.number > floor && entry.messages);
      const wanted =
        'count' in by
          ? open.slice(Math.max(0, open.length - by.count))
          : open.filter((entry) => entry.at >= world.now() - by.ms);
      return { serial: serialOf((wanted[0]?.number ?? top + 1) - 1), entries: wanted, whole: false };
    },
    numberOf,
    kept() {
      prune();
      return entries;
    },
    forget() {
      epoch = randomName(10);
      ids.clear();
      if (!persisted) entries = [];
      floor = top;
      for (const subscriber of [...subscribers]) subscriber.lost();
    },
    idle() {
      prune();
      const used = subscribers.size > 0 || left > world.now() - RECOVERY_WINDOW;
      return !used && entries.length === 0 && channel.members.list().length === 0;
    },
  };
  return channel;
}
