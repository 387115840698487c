/**
 * Hears that something was appended: Pub/Sub on a connection of its own. Every few seconds the node says something to
 * itself on the same way, so that a half-open connection, or one to a server that has become a replica's replica, is
 * noticed; until it is, and wherever hints do not come, `idle` is short.
 */
import type { RedisConnection } from './connection.js';

/** How often the way is tried, in milliseconds. */
const ECHO_EVERY = 5_000;
/** How long an echo may take, and a subscription, in milliseconds. */
const ECHO_PATIENCE = 3_000;
/** How often to read with hints, in milliseconds: what a lost one costs, and how soon a restart is noticed. */
const IDLE_HEARING = 1_000;
/** How often to read without, in milliseconds. */
const IDLE_DEAF = 200;
/** The wait before a lost connection is opened again, in milliseconds: doubled up to the longest, half of it random. */
const FIRST_RETRY = 50;
const LONGEST_RETRY = 2_000;

export interface HintsOptions {
  readonly connect: () => RedisConnection;
  /** Where appends are told. */
  readonly channel: string;
  /** Where only this node listens. */
  readonly own: string;
  /** Says something on the node's own channel. */
  readonly say: () => Promise<unknown>;
}

export interface Hints {
  watch(hint: () => void): () => void;
  idle(): number;
  drop(): void;
}

export function createHints({ connect, channel, own, say }: HintsOptions): Hints {
  let hearing = false;
  let stopped = true;
  let failures = 0;
  let current: RedisConnection | undefined;
  let timer: NodeJS.Timeout | undefined;

  function later(run: () => void, ms: number): void {
    clearTimeout(timer);
    if (stopped) return;
    timer = setTimeout(run, ms);
    timer.unref();
  }

  function open(hint: () => void): void {
    if (stopped) return;
    const made = connect();
    current = made;
    const heard = (from: string): void => {
      if (current !== made) return;
      if (from === own) {
        failures = 0;
        hearing = true;
        later(echo, ECHO_EVERY);
      } else hint();
    };
    const giveUp = (): void => made.destroy();
    const echo = (): void => {
      later(giveUp, ECHO_PATIENCE);
      // Whether it comes back is what counts.
      say().catch(() => {});
    };
    later(giveUp, ECHO_PATIENCE);
    made.ready
      .then(() => made.subscribe([channel, own], heard))
      .then(() => {
        if (current !== made) return;
        echo();
        hint(); // what was appended before may have been told to nobody
      })
      .catch(giveUp);
    void made.ended.then(() => {
      if (current !== made) return;
      hearing = false;
      current = undefined;
      later(() => open(hint), Math.min(FIRST_RETRY * 2 ** failures++, LONGEST_RETRY) * (0.5 + Math.random() / 2));
    });
  }

  return {
    watch(hint) {
      stopped = false;
      open(hint);
      return () => {
        stopped = true;
        hearing = false;
        clearTimeout(timer);
        current?.destroy();
        current = undefined;
      };
    },
    idle: () => (hearing ? IDLE_HEARING : IDLE_DEAF),
    drop() {
      current?.destroy();
    },
  };
}
