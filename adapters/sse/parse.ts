/** Reads an event stream: text in pieces of any size in, whole events out, as the HTML standard says. */
import { MAX_TEXT } from '../body.js';
import { ListenError } from '../errors.js';

export interface StreamEvent {
  /** `message` where the stream names none. */
  readonly type: string;
  readonly data: string;
  /** Only where this event has a line `id` of its own. */
  readonly id?: string | undefined;
}

/**
 * Returns a function that takes the next piece (a byte order mark has gone with the decoding). It throws a
 * `ListenError` when an event grows beyond all bounds.
 */
export function createStreamParser(emit: (event: StreamEvent) => void): (piece: string) => void {
  /** The line that is not over: its last character may be a line end whose second half is still to come. */
  let rest = '';
  let type = '';
  let data: string | undefined;
  let id: string | undefined;
  let length = 0;

  function line(text: string): void {
    if (text === '') {
      if (data !== undefined) emit({ type: type || 'message', data, id });
      type = '';
      data = id = undefined;
      length = 0;
      return;
    }
    const [, field, value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(text) as RegExpExecArray;
    if (field === 'data') data = data === undefined ? value : `${data}\n${value}`;
    else if (field === 'event') type = value;
    else if (field === 'id' && !value.includes('\0')) id = value;
    length += text.length;
  }

  return (piece) => {
    const isOver = /[\r\n]/.test(rest.slice(-1) + piece);
    rest += piece;
    // Else a long line would be looked through again with each of its pieces.
    if (isOver) {
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() as string;
      lines.forEach(line);
    }
    if (rest.length + length > MAX_TEXT) throw new ListenError('protocol', 'stream: not events');
  };
}
