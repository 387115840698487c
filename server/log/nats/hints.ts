/**
 * Hints: a consumer of the stream pushes the heads of new messages to this connection once they are stored, which a plain
 * subscription would tell before they are. One that is lost costs a second: the reader looks by itself.
 */
import { createConsumer } from './api.js';
import { placeOfDelivery } from './bulk.js';
import type { Link, Session } from './link.js';
import type { Wire } from './wire.js';

/** Without a message for that long, the server says that it is still there, in milliseconds. */
const HEARTBEAT_MS = 5_000;
/** After so long without either, the consumer is taken for gone. */
const SILENCE_MS = 12_000;
/** How long the server keeps a consumer whose connection has gone. */
const ORPHANED_MS = 30_000;
/** How often to read while nothing says that something is there; with hints, and without. */
const HINTED_MS = 1_000;
const BLIND_MS = 50;

const nanoseconds = (ms: number): number => ms * 1_000_000;

export interface Hints {
  idle(): number;
  close(): void;
}

/** @param refused is told once, when the engine has no hints to give. */
export function createHints(link: Link, stream: string, hint: () => void, refused: (error: unknown) => void): Hints {
  let heardAt = Number.NEGATIVE_INFINITY;
  let closed = false;
  let stop: () => void = () => {};
  let timer: NodeJS.Timeout | undefined;
  let followed: Session | undefined;
  let told = false;

  async function follow(session: Session): Promise<void> {
    followed = session;
    let inbox: ReturnType<Wire['inbox']> | undefined;
    try {
      // The connection may have ended without the wire knowing of it yet: then these throw.
      stop();
      inbox = session.wire.inbox((message) => {
        heardAt = performance.now();
        const place = placeOfDelivery(message.reply);
        if (!place) return; // a heartbeat
        session.newest = Math.max(session.newest, place.seq);
        hint();
      });
      stop = inbox.close;
      await createConsumer(session.wire, stream, {
        deliver_subject: inbox.subject,
        deliver_policy: 'new',
        ack_policy: 'none',
        headers_only: true,
        mem_storage: true,
        num_replicas: 1,
        idle_heartbeat: nanoseconds(HEARTBEAT_MS),
        inactive_threshold: nanoseconds(ORPHANED_MS),
      });
      heardAt = performance.now();
      hint(); // what came before it was there
    } catch (error) {
      inbox?.close();
      // What is wrong with the engine, the reads tell. But this may be all that is wrong.
      if (!session.wire.over && !told) refused(error);
      told ||= !session.wire.over;
    }
    if (!closed && !session.wire.over) again(session);
  }

  function again(session: Session): void {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (closed || session.wire.over) return;
      if (performance.now() - heardAt > SILENCE_MS) void follow(session);
      else again(session);
    }, HEARTBEAT_MS);
    timer.unref();
  }

  const off = link.onReady((session) => void follow(session));
  // The connection may have been there before.
  link.session().then(
    (session) => {
      if (!closed && followed !== session) void follow(session);
    },
    () => {},
  );

  return {
    idle: () => (performance.now() - heardAt > SILENCE_MS ? BLIND_MS : HINTED_MS),
    close() {
      closed = true;
      clearTimeout(timer);
      off();
      stop();
    },
  };
}
