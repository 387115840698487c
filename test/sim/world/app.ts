/** The application: its data (one number that counts all changes), who may see what, and what it has notified. */
import { type Channel, channelOf } from '../../../adapters/channel.js';
import type { LogEntry } from '../../../adapters/contract.js';
import { comparePositions, type Position } from '../../../adapters/position.js';
import type { ObjectPlan } from '../history/types.js';
import type { Clock } from '../kernel/clock.js';

/** One change of which the application has told, or has tried to. */
export interface Note extends ObjectPlan {
  readonly n: number;
  readonly at: number;
  /** The number of the change: who has read since shows at least this. */
  readonly commit: number;
  readonly action: string;
  readonly to: string | undefined;
  readonly except: string | undefined;
  /** What `notify` answered. */
  accepted: boolean | undefined;
  /** Where it stands in the log: the last place, if it was appended twice. */
  position: Position | undefined;
  /** How often it stands in the log: an answer that was lost makes the node append it again. */
  copies: number;
  /** The node to which it was told ended before the log had it. */
  lost: boolean;
}

/** A right that has ended. */
interface Withdrawal {
  readonly since: number;
  /** Where the revocation stands in the log, once that is known. */
  position: Position | undefined;
}

export interface App {
  readonly notes: readonly Note[];
  commit(): number;
  change(object: ObjectPlan, action: string, to: string | undefined, except: string | undefined): Note;
  /** Called by the storage for every entry that it takes. */
  taken(entry: LogEntry, position: Position): void;
  /** Called by the storage when what it has goes on under another epoch. */
  moved(from: Position, to: Position): void;
  /** Called by the storage for what it drops before its time: a node may not have heard of that. */
  dropped(position: Position): void;
  may(user: string | undefined, channel: Channel): boolean;
  withdraw(user: string, channel: Channel): void;
  /** Where the revocation of a right that was withdrawn stands in the log. */
  revoked(user: string, channel: Channel, position: Position): void;
  restore(user: string, channel: Channel): void;
  /**
   * Whether a user may hear what stands at `position`, now. One whose right has ended: until `life` is over, but nothing
   * that stands behind the revocation, unless a provider carries it, which knows nothing of the log's order.
   */
  mayHear(user: string, channel: Channel, position: Position, life: number, carried: boolean): boolean;
  noteAt(position: Position): Note | undefined;
}

export function createApp(clock: Clock, rights: Readonly<Record<string, readonly Channel[]>>): App {
  const allowed = new Map(Object.entries(rights).map(([user, channels]) => [user, new Set(channels)]));
  const withdrawn = new Map<string, Withdrawal>();
  const notes: Note[] = [];
  const places = new Map<Position, Note>();
  const gone = new Set<Position>();
  let commits = 0;

  const may = (user: string | undefined, channel: Channel): boolean =>
    user !== undefined && allowed.get(user)?.has(channel) === true;

  return {
    notes,
    commit: () => commits,
    change(object, action, to, except) {
      commits += 1;
      const note: Note = {
        ...object,
        n: notes.length,
        at: clock.now(),
        commit: commits,
        action,
        to,
        except,
        accepted: undefined,
        position: undefined,
        copies: 0,
        lost: false,
      };
      notes.push(note);
      return note;
    },
    taken(entry, position) {
      if (entry.kind === 'notification') {
        const note = notes[entry.notification.detail as number];
        if (!note) return;
        note.position = position;
        note.copies += 1;
        places.set(position, note);
      }
    },
    moved(from, to) {
      const note = places.get(from);
      if (note) places.set(to, note);
      for (const one of withdrawn.values()) if (one.position === from) one.position = to;
    },
    dropped(position) {
      gone.add(position);
      for (const one of withdrawn.values()) if (one.position === position) one.position = undefined;
    },
    may,
    withdraw(user, channel) {
      allowed.get(user)?.delete(channel);
      withdrawn.set(`${user} ${channel}`, { since: clock.now(), position: undefined });
    },
    revoked(user, channel, position) {
      const one = withdrawn.get(`${user} ${channel}`);
      if (one && !gone.has(position)) one.position ??= position;
    },
    restore(user, channel) {
      allowed.get(user)?.add(channel);
      withdrawn.delete(`${user} ${channel}`);
    },
    mayHear(user, channel, position, life, carried) {
      if (may(user, channel)) return true;
      const one = withdrawn.get(`${user} ${channel}`);
      if (!one) return false;
      if (clock.now() > one.since + life) return false;
      return carried || one.position === undefined || (comparePositions(position, one.position) ?? -1) <= 0;
    },
    noteAt: (position) => places.get(position),
  };
}

/** The channel of an object of a plan. */
export const channelOfPlan = ({ entity, id }: ObjectPlan): Channel =>
  channelOf({ entity, ...(id !== undefined && { id }) });
