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
  const json = JSON.stringify(event);
  // The type comes first in each event, and the data are the rest. To write both is a tenth of what an opening costs.
  const rest = json.slice(`{"type":"${event.type}"`.length);
  return makeFrame(event.type, rest.startsWith(',') ? `{${rest.slice(1)}` : '{}', id, json, retry);
}

function makeFrame(type: string, data: string, id: Position | undefined, json: string, retry?: number): Frame {
  const fields = `${retry === undefined ? '' : `retry: ${retry}\n`}${id === undefined ? '' : `id: ${id}\n`}`;
  return new EventFrame(`${fields}event: ${type}\ndata: ${data}\n\n`, json);
}

/** One event. One buffer holds the chunk; the bare frame is a view into it. */
class EventFrame implements Frame {
  readonly chunked: Buffer;
  readonly json: string;
  private readonly head: number;
  private view: Buffer | undefined;

  constructor(text: string, json: string) {
    const head = `${Buffer.byteLength(text).toString(16)}\r\n`;
    this.chunked = Buffer.from(`${head}${text}\r\n`);
    this.json = json;
    this.head = head.length;
  }

  get bare(): Buffer {
    this.view ??= this.chunked.subarray(this.head, -2);
    return this.view;
  }
}

/** Several that leave in one write. Each form is made when a connection asks for it: most need only one. */
class JoinedFrame implements Frame {
  private inChunks: Buffer | undefined;
  private asText: Buffer | undefined;
  private asJson: string | undefined;

  private readonly frames: readonly Frame[];

  constructor(frames: readonly Frame[]) {
    this.frames = frames;
  }

  get chunked(): Buffer {
    this.inChunks ??= Buffer.concat(this.frames.map((frame) => frame.chunked));
    return this.inChunks;
  }

  get bare(): Buffer {
    this.asText ??= Buffer.concat(this.frames.map((frame) => frame.bare));
    return this.asText;
  }

  get json(): string {
    this.asJson ??= this.frames.map((frame) => frame.json).join(',');
    return this.asJson;
  }
}

/** Joins frames so that they leave in one write. */
export function joinFrames(frames: readonly Frame[]): Frame {
  const [only] = frames;
  return only && frames.length === 1 ? only : new JoinedFrame(frames);
}
