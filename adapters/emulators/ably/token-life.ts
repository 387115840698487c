/** The life of a connection's token: the client is asked for another one in time, and sent away when it ends. */
import type { EmulatorWorld } from '../emulator.js';
import type { TokenClaims } from './tokens.js';

/** How long before the end of its token a client is asked for another one. Milliseconds. */
const REAUTH_LEAD = 30_000;

export interface TokenLife {
  /** From now on it is this token; none for a client that came with the key. */
  follow(token: TokenClaims | undefined): void;
  stop(): void;
}

export function createTokenLife(world: EmulatorWorld, does: { ask(): void; expire(): void }): TokenLife {
  let timer: unknown;
  const stop = (): void => world.clearTimeout(timer);

  return {
    stop,
    follow(token) {
      stop();
      if (!token) return;
      const left = token.expires - world.now();
      const isShort = left <= REAUTH_LEAD;
      if (isShort) timer = world.setTimeout(does.expire, Math.max(0, left));
      else
        timer = world.setTimeout(() => {
          timer = world.setTimeout(does.expire, REAUTH_LEAD);
          does.ask();
        }, left - REAUTH_LEAD);
    },
  };
}
