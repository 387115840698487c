/** The body of an answer: as text in pieces, or whole as JSON, within a bound. */
import { ListenError } from './errors.js';

/**
 * The longest event or answer, in characters. The largest that a server of ours writes is `ready`: a thousand channels
 * with the latest of a handful of actions each, below 2 million. Beyond it the other end is not ours.
 */
export const MAX_TEXT = 16_000_000;

/** Hands the text on as it comes, to the end of the body. What `take` throws ends it; the caller ends the request. */
export async function readText({ body }: Response, take: (piece: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  // None: a `TypeError`, as when it is cut.
  const reader = (body as ReadableStream<Uint8Array>).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    take(decoder.decode(value, { stream: true }));
  }
}

/** The JSON object of an answer. Rejects with `protocol` for anything else. */
export async function readJson<Answer>(response: Response): Promise<Answer> {
  let value: unknown;
  try {
    let text = '';
    await readText(response, (piece) => {
      text += piece;
      if (text.length > MAX_TEXT) throw new RangeError();
    });
    value = JSON.parse(text);
  } catch {
    // An empty body, a page of HTML, a body that was cut or has no end: all the same from here.
  }
  if (typeof value === 'object' && value) return value as Answer;
  throw new ListenError('protocol', 'not JSON');
}
