/** The first and the last frame of a stream: what it may wait for, and when it comes back. */
import type { GoodbyeEvent, HelloEvent } from '../protocol.js';
import { spreadFor } from '../spread.js';
import type { Frame } from '../streams.js';
import { frameEvent } from './framing.js';

/** The wait of a standard `EventSource` that was cut off, in milliseconds: its own is one for all, who would come as one. */
const STANDARD_RETRY = { min: 1_000, max: 5_000 };
/** Not less after a goodbye: a node that sends everybody on must not be asked in a loop. Milliseconds. */
const SHORTEST_RETRY = 300;
/** Multiples of it, without their whole part, lie evenly however many there are. */
const GOLDEN_RATIO = (Math.sqrt(5) - 1) / 2;

export interface Greetings {
  /**
   * @param everybody how many listen, on this node and elsewhere
   * @param standard it goes to a standard `EventSource`
   */
  hello(event: Omit<HelloEvent, 'type' | 'spread' | 'turn'>, everybody: number, standard: boolean): Frame;
  /** @param lasts for how many milliseconds the stream is still served; 0: it ends now */
  goodbye(within: number, lasts: number, standard: boolean): Frame;
}

/** @param random from 0 up to, not including, 1 */
export function createGreetings(random: () => number): Greetings {
  let turn = random();
  return {
    hello(event, everybody, standard) {
      turn = (turn + GOLDEN_RATIO) % 1;
      const hello: HelloEvent = {
        type: 'hello',
        ...event,
        spread: spreadFor(everybody),
        turn: Number(turn.toFixed(4)),
      };
      const { min, max } = STANDARD_RETRY;
      return frameEvent(hello, undefined, standard ? Math.round(min + random() * (max - min)) : undefined);
    },
    goodbye(within, lasts, standard) {
      const goodbye: GoodbyeEvent = { type: 'goodbye', within, ...(lasts > 0 && { lasts }) };
      const retry = standard && within > 0 ? SHORTEST_RETRY + Math.round(random() * within) : undefined;
      return frameEvent(goodbye, undefined, retry);
    },
  };
}
