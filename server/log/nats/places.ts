/**
 * Positions and the stream's sequence numbers. A message holds up to 10,000 entries, and the last one of the message
 * `seq` has the offset `seq * 10_000`, so that the stream's first and last number tell floor and top without a look into
 * a message.
 */
import { makePosition, type Position } from '../../../adapters/position.js';

export const MOST_IN_A_MESSAGE = 10_000;

/** Of the entry `index` of a message that holds `count`. */
export function placeOf(epoch: string, seq: number, index: number, count: number): Position {
  return makePosition(epoch, BigInt(seq) * BigInt(MOST_IN_A_MESSAGE) - BigInt(count - 1 - index));
}

/** The position of the last entry of a message: everything up to it is in that message or before. */
export function endOf(epoch: string, seq: number): Position {
  return placeOf(epoch, seq, 0, 1);
}

/** The first message that may hold something after this position. Beyond all of NATS's numbers for an offset that is. */
export function nextAfter(position: Position): number {
  const offset = BigInt(position.slice(position.indexOf(':') + 1));
  return Number(offset / BigInt(MOST_IN_A_MESSAGE)) + 1;
}
