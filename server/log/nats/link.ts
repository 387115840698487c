/** One connection at a time: the first call opens it, its end is noticed, and the next call opens another. */
import type { Wire } from './wire.js';

/** What is known of the engine on one connection. */
export interface Session {
  readonly wire: Wire;
  /** As it was last read. An old one is harmless: docs/nats.md, race 3. */
  epoch: string;
  /** When that was, on the monotonic clock. */
  checkedAt: number;
  /** The greatest number of a message that is known to be stored, so that it can be asked for before the stream is. */
  newest: number;
  /** Entries in a message, as the last slice had them: how many messages the next one needs. */
  perMessage: number;
}

export interface LinkOptions {
  readonly open: (signal: AbortSignal) => Promise<Wire>;
  /** Makes sure that the streams are there and notes where they stand. */
  readonly prepare: (session: Session) => Promise<void>;
}

export interface Link {
  /** Resolves with the connection that is open, or a new one. */
  session(): Promise<Session>;
  /** The streams are gone: makes them anew. */
  again(session: Session): Promise<void>;
  /** Ends it at once, also one that is being opened. */
  drop(why: string): void;
  /** Called whenever the streams were made sure of. Returns how to stop. */
  onReady(heard: (session: Session) => void): () => void;
}

export function createLink({ open, prepare }: LinkOptions): Link {
  const hearing = new Set<(session: Session) => void>();
  let current: { readonly session: Promise<Session>; readonly abort: AbortController; wire?: Wire } | undefined;

  async function begin(abort: AbortController, tell: (wire: Wire) => void): Promise<Session> {
    const wire = await open(abort.signal);
    tell(wire);
    const session: Session = { wire, epoch: '', checkedAt: 0, newest: 0, perMessage: 1 };
    try {
      await again(session);
    } catch (error) {
      wire.close();
      throw error;
    }
    return session;
  }

  async function again(session: Session): Promise<void> {
    await prepare(session);
    for (const heard of [...hearing]) heard(session);
  }

  return {
    session() {
      if (current && !current.wire?.over) return current.session;
      const abort = new AbortController();
      const mine: NonNullable<typeof current> = {
        abort,
        session: begin(abort, (wire) => {
          mine.wire = wire;
        }),
      };
      current = mine;
      mine.session.catch(() => {
        if (current === mine) current = undefined;
      });
      return mine.session;
    },
    again,
    drop(why) {
      const mine = current;
      current = undefined;
      mine?.abort.abort();
      mine?.wire?.close(why);
    },
    onReady(heard) {
      hearing.add(heard);
      return () => hearing.delete(heard);
    },
  };
}
