/** Frames: the one place where an event becomes bytes, read back by the `eventsource-parser` package. */
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { renderFull } from '../../../adapters/notification.js';
import type { ServerEvent } from '../../../adapters/protocol.js';
import { frameEvent, frameNotification, joinFrames } from '../../../adapters/sse/framing.js';
import type { Frame } from '../../../adapters/streams.js';
import { at } from '../../kit/entries.js';

/** Text with what breaks line protocols: line ends of every kind, the BOM, astral characters, the words of the format. */
const text = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('\n\nid: 7\n', '\r\n', '\r', '\u2028\u2029', '\uFEFF', '😀🏴‍☠️', 'data: x\n\n', '\0', ''),
);
const position = fc.nat(1_000_000).map(at);
const id = fc.option(position, { nil: undefined });

const notification = fc
  .record({ entity: text, id: text, action: text, notifier: text, detail: fc.jsonValue(), position, at: id })
  .map(({ position: place, at: eventId, ...told }) => {
    const json = renderFull({ ...told, changedDate: 1 }, place);
    return {
      frame: frameNotification(json, eventId),
      event: { type: 'notification', notification: JSON.parse(json) } as ServerEvent,
      data: JSON.parse(json) as unknown,
      id: eventId,
    };
  });

const control = fc
  .tuple(
    fc.oneof(
      fc.record({ type: fc.constant('resync' as const), channels: fc.option(fc.array(text)) }),
      fc.record({ type: fc.constant('refused' as const), channels: fc.array(text) }),
      fc.record({ type: fc.constant('goodbye' as const), within: fc.nat() }),
      fc.record({ type: fc.constant('heartbeat' as const), position, spread: fc.nat() }),
    ),
    id,
  )
  .map(([event, eventId]) => {
    const { type: _, ...data } = event;
    return { frame: frameEvent(event, eventId), event: event as ServerEvent, data: data as unknown, id: eventId };
  });

const framed = fc.oneof(notification, control);

/** Reads bytes that arrive in pieces which ignore the borders of lines and characters. */
function readInPieces(bytes: Buffer, sizes: readonly number[]): EventSourceMessage[] {
  const events: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (event) => events.push(event) });
  const decoder = new TextDecoder();
  let from = 0;
  for (let n = 0; from < bytes.length; n++) {
    const size = sizes[n % sizes.length] ?? 1;
    parser.feed(decoder.decode(bytes.subarray(from, from + size), { stream: true }));
    from += size;
  }
  return events;
}

/** Takes HTTP/1.1 chunks apart as RFC 9112 says: the length counts bytes. */
function unchunk(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let from = 0; from < bytes.length; ) {
    const end = bytes.indexOf('\r\n', from);
    const length = Number.parseInt(bytes.toString('latin1', from, end), 16);
    parts.push(bytes.subarray(end + 2, end + 2 + length));
    expect(bytes.toString('latin1', end + 2 + length, end + 4 + length)).toBe('\r\n');
    from = end + 4 + length;
  }
  return Buffer.concat(parts);
}

describe('framing', () => {
  test('round trip: whatever is framed, joined and cut into pieces, a standard parser reads the same events', () => {
    fc.assert(
      fc.property(
        fc.array(framed, { minLength: 1, maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
        (all, sizes) => {
          const joined = joinFrames(all.map(({ frame }) => frame));
          const read = readInPieces(unchunk(joined.chunked), sizes);
          expect(read.map(({ event, id: eventId, data }) => [event, eventId, JSON.parse(data)])).toEqual(
            all.map(({ event, id: eventId, data }) => [event.type, eventId, data]),
          );
          expect(readInPieces(joined.bare, sizes)).toEqual(read);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('the JSON form is the same event, for a long poll', () => {
    fc.assert(
      fc.property(fc.array(framed, { minLength: 1, maxLength: 4 }), (all) => {
        const joined = joinFrames(all.map(({ frame }) => frame));
        expect(JSON.parse(`[${joined.json}]`)).toEqual(all.map(({ event }) => JSON.parse(JSON.stringify(event))));
      }),
    );
  });

  test('the chunk’s length counts bytes, not characters', () => {
    const { chunked, bare } = frameEvent({ type: 'refused', channels: ['😀é'] });
    expect(bare.toString()).toBe('event: refused\ndata: {"channels":["😀é"]}\n\n');
    expect(bare.length).toBe(bare.toString().length + 3); // 4 bytes for 2 units, 2 bytes for 1
    expect(chunked.toString().split('\r\n')[0]).toBe(bare.length.toString(16));
  });

  test('joined frames are the concatenation, in every form; one alone is itself', () => {
    fc.assert(
      fc.property(fc.array(framed, { minLength: 1, maxLength: 5 }), (all) => {
        const frames: Frame[] = all.map(({ frame }) => frame);
        const joined = joinFrames(frames);
        expect(joined.bare).toEqual(Buffer.concat(frames.map(({ bare }) => bare)));
        expect(joined.chunked).toEqual(Buffer.concat(frames.map(({ chunked }) => chunked)));
        expect(joined.json).toBe(frames.map(({ json }) => json).join(','));
        expect(joined.chunked).toBe(joined.chunked); // made once
        if (frames.length === 1) expect(joined).toBe(frames[0]);
      }),
    );
  });

  test('an id stands only where one was given', () => {
    expect(frameEvent({ type: 'goodbye', within: 5 }).bare.toString()).toBe('event: goodbye\ndata: {"within":5}\n\n');
    expect(frameNotification('{}', at(7)).bare.toString()).toBe('id: epoch:7\nevent: notification\ndata: {}\n\n');
  });
});
