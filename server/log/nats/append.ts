/**
 * Appends: entries that follow each other are one message, so that they are whole; an entry with a `dedupeKey` is a message
 * by itself, on a subject of that key, which the stream takes only while it has none there.
 */
import type { LogEntry } from '../../../adapters/contract.js';
import type { Position } from '../../../adapters/position.js';
import { getMessage, publish } from './api.js';
import type { Names } from './names.js';
import { endOf, MOST_IN_A_MESSAGE, placeOf } from './places.js';
import type { Wire } from './wire.js';

/** Bytes of a message beside its entries: subject, headers, brackets. The headers count as payload. */
const ENVELOPE = 1_024;
/** How often a copy is tried whose first one expires just then. */
const TRIES = 5;

interface Segment {
  /** The JSON of each entry. */
  readonly texts: readonly string[];
  readonly key?: string;
}

/** The entries as messages: as few as their keys and the server's limit allow. */
export function segmentsOf(entries: readonly LogEntry[], maxPayload: number): Segment[] {
  const room = maxPayload - ENVELOPE;
  const segments: Segment[] = [];
  let run: string[] = [];
  let bytes = 0;
  const end = (): void => {
    if (run.length > 0) segments.push({ texts: run });
    run = [];
    bytes = 0;
  };
  for (const entry of entries) {
    const text = JSON.stringify(entry);
    const size = Buffer.byteLength(text) + 1;
    if (size > room) throw new RangeError(`an entry of ${size} bytes is more than the NATS server takes (max_payload)`);
    const key = entry.kind === 'notification' ? entry.dedupeKey : undefined;
    if (key !== undefined) {
      end();
      segments.push({ texts: [text], key });
      continue;
    }
    if (bytes + size > room || run.length === MOST_IN_A_MESSAGE) end();
    run.push(text);
    bytes += size;
  }
  end();
  return segments;
}

export interface Appended {
  readonly positions: readonly Position[];
  /** The number of the newest message. */
  readonly newest: number;
}

/** All messages are sent at once; one connection keeps their order. */
export async function append(wire: Wire, names: Names, epoch: string, entries: readonly LogEntry[]): Promise<Appended> {
  let newest = 0;
  const stored = segmentsOf(entries, wire.info.max_payload).map(async ({ texts, key }): Promise<Position[]> => {
    const body = `[${texts.join(',')}]`;
    const seq = await (key === undefined
      ? publish(wire, names.log, names.entries, body)
      : publishOnce(wire, names, names.key(key), body));
    if (seq === undefined) throw new Error('the NATS stream did not take an entry, and does not have its first copy');
    newest = Math.max(newest, seq);
    return texts.length === 1
      ? [endOf(epoch, seq)]
      : texts.map((_text, index) => placeOf(epoch, seq, index, texts.length));
  });
  return { positions: (await Promise.all(stored)).flat(), newest };
}

/** The number of the message, or of the one that it is a copy of. */
async function publishOnce(wire: Wire, names: Names, subject: string, body: string): Promise<number | undefined> {
  for (let n = 0; n < TRIES; n++) {
    const seq = (await publish(wire, names.log, subject, body, 0)) ?? (await getMessage(wire, names.log, subject))?.seq;
    if (seq !== undefined) return seq;
  }
  return undefined;
}
