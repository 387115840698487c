/**
 * The one place where an event becomes bytes: an event-stream frame, alone and as an HTTP/1.1 chunk, and the same event
 * as JSON for a long poll. Ids and types are ours and hold no line break; data is JSON on one line.
 */
import type { Position } from '../position.js';
import type { ServerEvent } from '../protocol.js';
import type { Frame } from '../streams.js';

/** Frames the rendering of a notification, which is JSON already. */
export function frameNotification(json: string, id: Position | undefined): Frame {
  return makeFrame('notification', json, id, `{"type":"notification","notification":${json}}`);
}

/**
 * Frames any other event.
 *
 * @param retry after how many milliseconds a standard `EventSource` opens a stream that has ended
 */
export function frameEvent(
  event: Exclude<ServerEvent, { type: 'notification' }>,
  id?: Position,
  retry?: number,
): Frame {
  const { type, ...data } = event;
  return makeFrame(type, JSON.stringify(data), id, JSON.stringify(event), retry);
}

function makeFrame(type: string, data: string, id: Position | undefined, json: string, retry?: number): Frame {
  const fields = `${retry === undefined ? '' : `retry: ${retry}\n`}${id === undefined ? '' : `id: ${id}\n`}`;
  const text = `${fields}event: ${type}\ndata: ${data}\n\n`;
  return { ...chunk(text, Buffer.byteLength(text)), json };
}

/** One buffer holds the chunk; the bare frame is a view into it, so that a frame costs one allocation. */
function chunk(text: string, bytes: number): Pick<Frame, 'bare' | 'chunked'> {
  const head = `${bytes.toString(16)}\r\n`;
  const chunked = Buffer.from(`${head}${text}\r\n`);
  return { chunked, bare: chunked.subarray(head.length, head.length + bytes) };
}

/** Joins frames so that they leave in one write. */
export function joinFrames(frames: readonly Frame[]): Frame {
  const [only] = frames;
  if (only && frames.length === 1) return only;
  return {
    // Each form is made when a connection asks for it: most need only one.
    get bare() {
      return memo(this, 'bare', Buffer.concat(frames.map((frame) => frame.bare)));
    },
    get chunked() {
      return memo(this, 'chunked', Buffer.concat(frames.map((frame) => frame.chunked)));
    },
    get json() {
      return memo(this, 'json', frames.map((frame) => frame.json).join(','));
    },
  };
}

function memo<T>(target: object, key: string, value: T): T {
  Object.defineProperty(target, key, { value });
  return value;
}
