/** Notices a client that has gone without a word: pings after silence, and gives it a time to answer. */
import type { EmulatorWorld } from '../emulator.js';
import { INACTIVITY_LIMIT } from './limits.js';

export interface Liveness {
  /** Something came from the client. */
  heard(): void;
  stop(): void;
}

export interface LivenessOptions {
  readonly world: EmulatorWorld;
  /** Clients before protocol 5 are never asked: a day of silence ends them. */
  readonly pings: boolean;
  /** Milliseconds. */
  readonly activityTimeout: number;
  readonly pongTimeout: number;
  /** The server is playing dead: it neither asks nor ends. */
  silent(): boolean;
  ping(): void;
  /** With the close code. */
  dead(code: number): void;
}

export function createLiveness(options: LivenessOptions): Liveness {
  const { world, pings, pongTimeout } = options;
  const limit = pings ? options.activityTimeout : INACTIVITY_LIMIT;
  let last = world.monotonic();
  let answered = true;
  let timer = world.setTimeout(check, limit);

  // One timer for a whole silence, moved on when it fires: frames come too often to restart it at each.
  function check(): void {
    const left = last + limit - world.monotonic();
    if (options.silent()) timer = world.setTimeout(check, limit);
    else if (left > 0) timer = world.setTimeout(check, left);
    else if (!pings) options.dead(4202);
    else {
      answered = false;
      options.ping();
      timer = world.setTimeout(() => (answered || options.silent() ? check() : options.dead(4201)), pongTimeout);
    }
  }

  return {
    heard() {
      last = world.monotonic();
      answered = true;
    },
    stop: () => world.clearTimeout(timer),
  };
}
