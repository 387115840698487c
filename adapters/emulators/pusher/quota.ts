/** The account's messages of the day, which starts at midnight UTC. */
import type { EmulatorWorld } from '../emulator.js';

const DAY = 24 * 3_600_000;

export interface MessageQuota {
  /** No further message is taken today. */
  readonly reached: boolean;
  /** Counts messages: what is published once, and every delivery once more, as Pusher does. */
  count(messages: number): void;
}

/** @param limit messages a day; `Infinity` for none */
export function createMessageQuota(limit: number, world: EmulatorWorld): MessageQuota {
  let day = 0;
  let spent = 0;
  const roll = (): void => {
    const today = Math.floor(world.now() / DAY);
    if (today === day) return;
    day = today;
    spent = 0;
  };
  return {
    get reached() {
      roll();
      return spent >= limit;
    },
    count(messages) {
      roll();
      spent += messages;
    },
  };
}
