/**
 * A place in the log, as text: the epoch, a colon, and an offset.
 *
 * - The epoch (1 to 40 of `A-Z a-z 0-9 _ -`) is the identity of one unbroken log. Offsets of different epochs say
 *   nothing about each other. Example of the bug that it prevents: a log restarts and counts from 1 again; a page that
 *   had seen offset 7 would take the new offsets 1 to 7 for old news and stay stale.
 * - The offset is a whole number without leading zeros, of at most 32 digits, so that an engine can pack a time and a
 *   counter into it. It is compared as a number and never counted with: gaps are normal.
 */
export type Position = `${string}:${string}`;

/** A position taken apart. */
export interface PositionParts {
  readonly epoch: string;
  readonly offset: string;
}

const POSITION = /^([\w-]{1,40}):(0|[1-9]\d{0,31})$/;

/** Reads a position. Anything that is not one, of whatever type, is `undefined`; it never throws. */
export function parsePosition(text: unknown): PositionParts | undefined {
  const match = typeof text === 'string' ? POSITION.exec(text) : null;
  return match ? { epoch: match[1] as string, offset: match[2] as string } : undefined;
}

/** Whether it is a position. */
export function isPosition(text: unknown): boolean {
  return typeof text === 'string' && POSITION.test(text);
}

/** Makes a position; the parts must be as {@link Position} says, which only an engine's driver can get wrong. */
export function makePosition(epoch: string, offset: string | number | bigint): Position {
  return `${epoch}:${offset}`;
}

/** The epoch of a position. */
export function epochOf(position: Position): string {
  return position.slice(0, position.indexOf(':'));
}

/**
 * Compares two positions: below zero when `a` is before `b`, zero when they are the same place, above zero when `a` is
 * after `b`, and `undefined` when they are of different epochs, which makes them incomparable.
 */
export function comparePositions(a: Position, b: Position): number | undefined {
  for (let at = a.indexOf(':'); at >= 0; at--) if (a.charCodeAt(at) !== b.charCodeAt(at)) return undefined;
  // Without leading zeros the longer number is the greater one, and equal lengths compare as text.
  return a.length - b.length || (a < b ? -1 : Number(a > b));
}

/** Whether `a` is after `b` in the same epoch. Positions of different epochs are not after each other. */
export function isAfter(a: Position, b: Position): boolean {
  return (comparePositions(a, b) ?? 0) > 0;
}

/** Whether `a` says anything new to somebody who has read up to `b`: it is after `b`, or of another epoch; or no `b`. */
export function isNews(a: Position, b: Position | undefined): boolean {
  return b === undefined || (comparePositions(a, b) ?? 1) > 0;
}
