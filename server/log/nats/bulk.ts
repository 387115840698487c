/**
 * Many messages at once, for a window or a long way to catch up: a consumer for the moment sends them several times as fast
 * as they can be asked for one by one.
 */
import { createConsumer, deleteConsumer, type StoredMessage } from './api.js';
import type { NatsMessage, Wire } from './wire.js';

/** How long the whole of it may take, in milliseconds: what has come by then is what there is. */
const PATIENCE_MS = 1_000;
/** How long the server keeps a consumer that could not be taken away. */
const ORPHANED_MS = 5_000;
/** Bytes of one piece; a message may be as large as `max_payload`, and one must fit. */
const BYTES = 16 * 1_024 * 1_024;

const nanoseconds = (ms: number): number => ms * 1_000_000;

/** What there is of `count` messages from the number `from` on; it may be less, from the end. */
export async function bulk(wire: Wire, stream: string, from: number, count: number): Promise<StoredMessage[]> {
  const name = await createConsumer(wire, stream, {
    deliver_policy: 'by_start_sequence',
    opt_start_seq: from,
    ack_policy: 'none',
    mem_storage: true,
    num_replicas: 1,
    inactive_threshold: nanoseconds(ORPHANED_MS),
  });
  const messages: StoredMessage[] = [];
  let done: () => void = () => {};
  const whole = new Promise<void>((resolve) => {
    done = resolve;
  });
  const inbox = wire.inbox((message) => {
    const place = placeOfDelivery(message.reply);
    if (place) messages.push(storedOf(message, place));
    // What is no message is the server's word that no more will come; not every version says it.
    if (!place || place.left === 0 || messages.length === count) done();
  }, done);
  const timer = setTimeout(done, PATIENCE_MS);
  try {
    wire.send(
      `$JS.API.CONSUMER.MSG.NEXT.${stream}.${name}`,
      JSON.stringify({
        batch: count,
        no_wait: true,
        max_bytes: Math.max(BYTES, 2 * wire.info.max_payload),
      }),
      inbox.subject,
    );
    await whole;
  } finally {
    clearTimeout(timer);
    inbox.close();
    deleteConsumer(wire, stream, name).catch(() => {}); // else the server does
  }
  return messages;
}

export interface Delivery {
  /** The message's number in the stream. */
  readonly seq: number;
  /** When it was stored, in milliseconds since 1970. */
  readonly time: number;
  /** How many more the consumer has for us. */
  readonly left: number;
}

/** Of a delivered message; none for a status. It stands in the subject for the acknowledgement (ADR-15). */
export function placeOfDelivery(reply: string | undefined): Delivery | undefined {
  // $JS.ACK.<stream>.<consumer>.<times>.<seq>.<…>.<nanoseconds>.<left>, or with <domain>.<account> before the stream.
  const tokens = reply?.startsWith('$JS.ACK.') ? reply.split('.') : [];
  const start = tokens.length >= 11 ? 7 : 5;
  const seq = Number(tokens[start]);
  if (!Number.isSafeInteger(seq)) return undefined;
  return { seq, time: Number(tokens[start + 2]) / 1_000_000, left: Number(tokens[start + 3]) };
}

function storedOf({ subject, data }: NatsMessage, { seq, time }: Delivery): StoredMessage {
  return { seq, time, subject, data: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString() };
}
