/** The event-stream parser against the `eventsource-parser` package, and its bounds. */
import { createParser } from 'eventsource-parser';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MAX_TEXT } from '../../../adapters/body.js';
import { createStreamParser, type StreamEvent } from '../../../adapters/sse/parse.js';

/** Cuts a text at these places. */
function pieces(text: string, cuts: readonly number[]): string[] {
  const places = [...new Set(cuts.map((cut) => cut % (text.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((from, index) => text.slice(from, places[index] ?? text.length));
}

function ours(parts: readonly string[]): StreamEvent[] {
  const events: StreamEvent[] = [];
  const parse = createStreamParser((event) => events.push(event));
  for (const part of parts) parse(part);
  return events;
}

const value = fc.stringMatching(/^[a-zé😀 :{}"]{0,12}$/u);
const line = fc.oneof(
  fc
    .tuple(
      fc.constantFrom('data', 'data', 'event', 'id', 'retry', 'other', ''),
      fc.constantFrom(':', ': ', ':  '),
      value,
    )
    .map((parts) => parts.join('')),
  fc.constantFrom('data', 'event', 'id', ':', ': comment', '', '', ''),
);

test('property: any stream in any pieces gives the events of eventsource-parser', () => {
  fc.assert(
    fc.property(
      fc.array(line, { maxLength: 30 }),
      fc.constantFrom('\n', '\r\n', '\r'),
      fc.array(fc.nat(), { maxLength: 20 }),
      (lines, end, cuts) => {
        // A last line that is no line end settles what a carriage return at the end would leave open.
        const text = [...lines, '', ': end'].join(end);
        const expected: StreamEvent[] = [];
        const reference = createParser({
          onEvent: ({ event, data, id }) =>
            expected.push({ type: event ?? 'message', data, ...(id !== undefined && { id }) }),
        });
        reference.feed(text);
        expect(ours(pieces(text, cuts))).toEqual(expected);
      },
    ),
    { numRuns: 2_000 },
  );
});

test('an id with a NUL is no id', () => {
  expect(ours(['id: a\0b\ndata: x\n\n'])).toEqual([{ type: 'message', data: 'x' }]);
});

test('an event without an end is cut off, in one line or in many', () => {
  const half = 'x'.repeat(MAX_TEXT / 2);
  expect(() => ours([`data: ${half}`, half])).toThrow(expect.objectContaining({ code: 'protocol' }));
  expect(() => ours([`data: ${half}\n`, `data: ${half}\n`, 'data: y\n'])).toThrow(
    expect.objectContaining({ code: 'protocol' }),
  );
  expect(ours([`data: ${half}\n\n`, `data: ${half}\n\n`, 'data: y\n\n'])).toHaveLength(3);
});
