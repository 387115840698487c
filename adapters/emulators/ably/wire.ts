/** Frames and bodies: JSON or MessagePack, and binary data in either. */
import { decode, encode } from '@msgpack/msgpack';
import { AblyError } from './errors.js';
import type { ProtocolMessage } from './protocol.js';

export type Format = 'json' | 'msgpack';

export const CONTENT_TYPE: Readonly<Record<Format, string>> = {
  json: 'application/json',
  msgpack: 'application/x-msgpack',
};

/** @throws AblyError 40000 when it cannot be read */
export function decodeBody(format: Format, body: Uint8Array): unknown {
  try {
    return format === 'msgpack'
      ? decode(new Uint8Array(body.buffer, body.byteOffset, body.byteLength))
      : JSON.parse(Buffer.from(body).toString());
  } catch (error) {
    throw new AblyError(40000, `the body is not ${format}: ${error instanceof Error ? error.message : error}`);
  }
}

export function encodeBody(format: Format, body: unknown): string | Uint8Array {
  return format === 'msgpack' ? encode(body, { ignoreUndefined: true }) : JSON.stringify(body);
}

interface Payload {
  readonly data?: unknown;
  readonly encoding?: string;
}

/**
 * How data is kept: bytes where it was bytes before it became base64 for JSON, and structured data that came without an
 * encoding (by hand, over REST) as JSON text.
 *
 * @throws AblyError 40013 for data that Ably does not take
 */
export function normalise<T extends Payload>(item: T): T {
  const { data, encoding } = item;
  if (encoding !== undefined && typeof encoding !== 'string') throw new AblyError(40013, 'encoding must be text');
  if (data === undefined || data instanceof Uint8Array) return item;
  const parts = (encoding ?? '').split('/').filter(Boolean);
  if (typeof data === 'string') {
    if (parts.at(-1) !== 'base64') return item;
    return withEncoding({ ...item, data: new Uint8Array(Buffer.from(data, 'base64')) }, parts.slice(0, -1));
  }
  if (typeof data !== 'object' || parts.length > 0) throw new AblyError(40013, 'data must be text, binary or JSON');
  return withEncoding({ ...item, data: JSON.stringify(data) }, ['json']);
}

function withEncoding<T extends Payload>(item: T, parts: readonly string[]): T {
  const { encoding: _, ...rest } = item;
  return (parts.length > 0 ? { ...rest, encoding: parts.join('/') } : rest) as T;
}

/** What is kept, for one format: JSON has no bytes. */
export function render<T extends Payload>(format: Format, item: T): T {
  if (format === 'msgpack' || !(item.data instanceof Uint8Array)) return item;
  const parts = [...(item.encoding ?? '').split('/').filter(Boolean), 'base64'];
  return withEncoding({ ...item, data: Buffer.from(item.data).toString('base64') }, parts);
}

/** Clients write what they do not set as null, or leave it out: both mean the same. */
function withoutNulls<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== null)) as T;
}

/** @throws AblyError 40000, 80013 for what is no frame */
export function decodeFrame(format: Format, body: Uint8Array): ProtocolMessage {
  const frame = decodeBody(format, body);
  const isFrame = typeof frame === 'object' && frame !== null && typeof (frame as ProtocolMessage).action === 'number';
  if (!isFrame) throw new AblyError(80013, 'a frame is an object with an action', 400);
  return withoutNulls(frame as ProtocolMessage);
}

/** The items of a list that a peer sent. @throws AblyError 40000 */
export function readItems<T extends object>(given: unknown): readonly T[] {
  const items = Array.isArray(given) ? given : [given];
  return items.map((item) => {
    if (typeof item !== 'object' || item === null || Array.isArray(item))
      throw new AblyError(40000, 'a message is an object');
    return withoutNulls(item as T);
  });
}

export function encodeFrame(format: Format, frame: ProtocolMessage): string | Uint8Array {
  const { messages, presence } = frame;
  return encodeBody(format, {
    ...frame,
    ...(messages && { messages: messages.map((item) => render(format, item)) }),
    ...(presence && { presence: presence.map((item) => render(format, item)) }),
  });
}

/** How much of the limit one message takes (TM6): name, clientId, data and extras, in UTF-8 bytes. */
export function sizeOf(
  item: Payload & { readonly name?: string; readonly clientId?: string; readonly extras?: unknown },
): number {
  const { name, clientId, data, extras } = item;
  const bytes = data instanceof Uint8Array ? data.byteLength : Buffer.byteLength(typeof data === 'string' ? data : '');
  const more = extras === undefined ? 0 : Buffer.byteLength(JSON.stringify(extras));
  return bytes + more + Buffer.byteLength(name ?? '') + Buffer.byteLength(clientId ?? '');
}
