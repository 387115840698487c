/**
 * How the file is cut into frames. One group commit is one frame with one checksum, so that it is there as a whole or
 * not at all. The next one is written only after the last one is on the disk; therefore only the last frame of a file
 * can be torn, and a good frame behind a bad one proves that the bad one was once acknowledged.
 *
 * A frame: 4 bytes of mark, 4 of CRC-32 (of everything behind it), 4 of length of the text, 8 of running number, the
 * text (JSON in UTF-8). Numbers are big-endian.
 */
import { crc32 } from 'node:zlib';

/** Not UTF-8, so that no text holds it. */
const MARK: Buffer = Buffer.from([0xf5, 0x4e, 0x4c, 0xff]);
const CHECKED_FROM = 8;
const HEAD = 20;

export interface Frame {
  readonly number: number;
  readonly text: string;
}

export interface Scan {
  /** The good ones from the start of the file, with running numbers without a gap. */
  readonly frames: readonly Frame[];
  /**
   * What comes after them: nothing; `torn`, one frame that never was complete; or `damage`, which was complete once.
   */
  readonly rest: 'nothing' | 'torn' | 'damage';
}

export function encodeFrame({ number, text }: Frame): Buffer {
  const body = Buffer.from(text);
  const frame = Buffer.allocUnsafe(HEAD + body.length);
  MARK.copy(frame);
  frame.writeUInt32BE(body.length, 8);
  frame.writeBigUInt64BE(BigInt(number), 12);
  body.copy(frame, HEAD);
  frame.writeUInt32BE(crc32(frame.subarray(CHECKED_FROM)), 4);
  return frame;
}

/** The frame that begins at this place, and where the next one would; `undefined`: none that is good. */
function frameAt(bytes: Buffer, at: number): { readonly frame: Frame; readonly end: number } | undefined {
  if (at + HEAD > bytes.length || !bytes.subarray(at, at + MARK.length).equals(MARK)) return undefined;
  const end = at + HEAD + bytes.readUInt32BE(at + 8);
  if (end > bytes.length || crc32(bytes.subarray(at + CHECKED_FROM, end)) !== bytes.readUInt32BE(at + 4))
    return undefined;
  const number = Number(bytes.readBigUInt64BE(at + 12));
  return { frame: { number, text: bytes.toString('utf8', at + HEAD, end) }, end };
}

/** Whether a good frame begins anywhere from this place on. */
function anyFrom(bytes: Buffer, from: number): boolean {
  for (let at = bytes.indexOf(MARK, from); at >= 0; at = bytes.indexOf(MARK, at + 1))
    if (frameAt(bytes, at)) return true;
  return false;
}

export function scan(content: Uint8Array): Scan {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  const frames: Frame[] = [];
  let at = 0;
  for (let next = frameAt(bytes, at); next; next = frameAt(bytes, at)) {
    const last = frames.at(-1);
    if (last && next.frame.number !== last.number + 1) return { frames, rest: 'damage' };
    frames.push(next.frame);
    at = next.end;
  }
  if (at === bytes.length) return { frames, rest: 'nothing' };
  return { frames, rest: anyFrom(bytes, at + 1) ? 'damage' : 'torn' };
}

/** Whether it may be the beginning of such a file. */
export function looksLikeOurs(content: Uint8Array): boolean {
  return MARK.subarray(0, content.length).equals(content.subarray(0, MARK.length));
}
