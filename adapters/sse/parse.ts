/** Reads an event stream: text in pieces of any size in, whole events out, as the HTML standard says. */

/**
 * The longest event, in characters. The largest that a server of ours writes is `ready`: a thousand channels with the
 * latest of a handful of actions each, below 2 million. Beyond it the other end is not ours.
 */
export const MAX_EVENT_LENGTH = 16_000_000;

export interface StreamEvent {
  /** `message` where the stream names none. */
  readonly type: string;
  readonly data: string;
  /** Only where this event has a line `id` of its own. */
  readonly id?: string;
}

/**
 * Returns a function that takes the next piece (a byte order mark has gone with the decoding). It throws a `RangeError`
 * when an event grows beyond all bounds.
 */
export function createStreamParser(emit: (event: StreamEvent) => void): (piece: string) => void {
  let rest = '';
  let type = '';
  let data: string | undefined;
  let id: string | undefined;
  let length = 0;

  function line(text: string): void {
    if (text === '') {
      if (data !== undefined) emit({ type: type || 'message', data, ...(id !== undefined && { id }) });
      type = '';
      data = id = undefined;
      length = 0;
      return;
    }
    const colon = text.indexOf(':');
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? '' : text.slice(colon + (text[colon + 1] === ' ' ? 2 : 1));
    if (field === 'data') data = data === undefined ? value : `${data}\n${value}`;
    else if (field === 'event') type = value;
    else if (field === 'id' && !value.includes('\0')) id = value;
    length += text.length;
  }

  return (piece) => {
    // What was left holds no line end, except that its last character may be one whose second half is still to come.
    let at = Math.max(0, rest.length - 1);
    const text = rest + piece;
    let start = 0;
    for (; at < text.length; at++) {
      const char = text[at];
      if (char !== '\n' && char !== '\r') continue;
      if (char === '\r' && at === text.length - 1) break;
      line(text.slice(start, at));
      if (char === '\r' && text[at + 1] === '\n') at++;
      start = at + 1;
    }
    rest = text.slice(start);
    if (rest.length + length > MAX_EVENT_LENGTH) throw new RangeError('an event without an end');
  };
}
