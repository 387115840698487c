/**
 * Items of the relay -> publishes at Ably, in order and paced; what Ably says -> outcomes. Knows the SDK by one function,
 * so that its rules can be read, and tested, without a network.
 */
import { createHash } from 'node:crypto';
import type { Channel } from '../channel.js';
import type { Outgoing, PublishOutcome } from '../provider.js';
import type { Pace } from './pace.js';

/** What one request may name (https://ably.com/docs/messages/batch#batch-publish); an account may have a lower limit. */
const MOST_CHANNELS = 100;

export interface Message {
  readonly id: string;
  readonly name: string;
  readonly data: string;
}
export interface Spec {
  readonly channels: readonly string[];
  readonly message: Message;
}
/** Ably's error, as its SDK and its answers have it. */
export interface Refusal {
  readonly code?: number;
  readonly statusCode?: number;
  readonly message?: string;
}
/** The answer to one spec: by channel an error, or none. */
export type Answer = ReadonlyMap<string, Refusal | undefined>;
/** Sends one batch: one answer for each spec, in its order. Rejects with a {@link Refusal} when the request failed. */
export type Send = (specs: readonly Spec[]) => Promise<readonly Answer[]>;

export interface Publisher {
  publish(batch: readonly Outgoing[]): Promise<readonly PublishOutcome[]>;
}

/** Ably drops a second message of the same id on the same channel (for two minutes at least). */
function idOf({ position, action }: Outgoing): string {
  const hash = createHash('sha256').update(`${position} ${action}`).digest('base64url').slice(0, 32);
  return `${hash}:0`; // `<base>:<index>`, the form that Ably wants where it wants one (40031)
}

const TOO_MANY_CHANNELS = 90_010;
const TOO_LARGE = 40_009;

/** One failure -> what the relay shall do. https://ably.com/docs/platform/errors/codes */
export function judge(refusal: Refusal): PublishOutcome {
  const { code = 0, statusCode = 0, message = '' } = refusal;
  const told = new Error(
    `Ably did not take a notification: ${message || 'no answer'} (${code || statusCode || 'network'})`,
    {
      cause: refusal,
    },
  );
  // 400xx and 413: this message, now and for ever. 40000 is also what Ably says when it could not read a request at all.
  const isMalformed = Math.floor(code / 100) === 400 && statusCode === 400;
  if (code === TOO_LARGE || statusCode === 413 || isMalformed) return { kind: 'impossible', error: told };
  if (statusCode === 401 || statusCode === 403) {
    const error = new Error(
      `Ably refused the key, or the account is over a limit: ${message} (${code}); check ABLY_API_KEY`,
      {
        cause: refusal,
      },
    );
    return { kind: 'later', error };
  }
  return { kind: 'later', error: told };
}

const ACCEPTED: PublishOutcome = { kind: 'accepted' };

/** The worst of one item's channels: `later` (it is sent again as a whole), then `impossible`. */
function worst(outcomes: readonly PublishOutcome[]): PublishOutcome {
  return (
    outcomes.find(({ kind }) => kind === 'later') ?? outcomes.find(({ kind }) => kind === 'impossible') ?? ACCEPTED
  );
}

/** Cuts the items' channels into requests of at most `most` channels. */
function requests(items: readonly Item[], most: number): (readonly (Spec & { readonly item: Item })[])[] {
  const all: (Spec & { item: Item })[][] = [];
  let room = 0;
  for (const item of items) {
    for (let from = 0; from < item.names.length; ) {
      if (room === 0) {
        all.push([]);
        room = most;
      }
      const channels = item.names.slice(from, from + room);
      all.at(-1)?.push({ item, channels, message: item.message });
      from += channels.length;
      room -= channels.length;
    }
  }
  return all;
}

interface Item {
  readonly index: number;
  readonly names: readonly string[];
  readonly message: Message;
}

/** Items that share no channel travel in one request; those that do, in rounds, one after the other. */
function rounds(items: readonly Item[]): Item[][] {
  const last = new Map<string, number>();
  const all: Item[][] = [];
  for (const item of items) {
    const round = Math.max(0, ...item.names.map((name) => (last.get(name) ?? -1) + 1));
    for (const name of item.names) last.set(name, round);
    all[round] = [...(all[round] ?? []), item];
  }
  return all;
}

export function createPublisher(send: Send, nameOf: (channel: Channel) => string, pace: Pace): Publisher {
  let most = MOST_CHANNELS;

  /** One request. When Ably refuses it as a whole for what may be the fault of one spec, each goes by itself. */
  async function attempt(specs: readonly Spec[]): Promise<readonly (readonly PublishOutcome[])[]> {
    try {
      const answers = await send(specs);
      return specs.map(({ channels }, index) =>
        channels.map((name) => {
          const answer = answers[index];
          if (!answer?.has(name)) return judge({ message: `its answer says nothing of ${name}` });
          const refusal = answer.get(name);
          return refusal ? judge(refusal) : ACCEPTED;
        }),
      );
    } catch (error) {
      const refusal = error as Refusal;
      if (refusal.code === TOO_MANY_CHANNELS && most > 1) {
        most = Math.ceil(most / 2); // this account's own limit; the relay sends the same again
        return specs.map(() => [{ kind: 'later', error, retryAfterMs: 0 }]);
      }
      const outcome = judge(refusal);
      if (outcome.kind !== 'impossible' || specs.length === 1) return specs.map(() => [outcome]);
      const single: (readonly PublishOutcome[])[] = [];
      for (const spec of specs) single.push(...(await attempt([spec])));
      return single;
    }
  }

  async function publish(batch: readonly Outgoing[]): Promise<readonly PublishOutcome[]> {
    const outcomes: PublishOutcome[] = batch.map(() => ACCEPTED);
    /** Channels with an item that is `later`: nothing may overtake it. */
    const held = new Map<string, PublishOutcome>();
    const hold = (item: Item, outcome: PublishOutcome): void => {
      outcomes[item.index] = outcome;
      for (const name of item.names) if (!held.has(name)) held.set(name, outcome);
    };

    const items = batch.map((outgoing, index) => ({
      index,
      names: [...new Set(outgoing.channels.map(nameOf))],
      message: { id: idOf(outgoing), name: outgoing.action, data: outgoing.json },
    }));
    for (const round of rounds(items)) {
      const sendable = round.filter((item) => {
        const before = item.names.map((name) => held.get(name)).find((outcome) => outcome !== undefined);
        if (before) hold(item, before);
        else {
          const wait = pace.take(item.names);
          if (wait === 0) return true;
          const error = new Error('more than Ably takes on one channel in a second; the rest follows');
          hold(item, { kind: 'later', error, retryAfterMs: wait });
        }
        return false;
      });
      const results = new Map<Item, PublishOutcome[]>();
      for (const specs of requests(sendable, most)) {
        const parts = await attempt(specs);
        for (const [index, { item }] of specs.entries())
          results.set(item, [...(results.get(item) ?? []), ...(parts[index] ?? [])]);
      }
      for (const item of sendable) {
        const outcome = worst(results.get(item) ?? []);
        if (outcome.kind === 'later') hold(item, outcome);
        else outcomes[item.index] = outcome;
      }
    }
    return outcomes;
  }

  return { publish };
}
