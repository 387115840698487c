/** The routes for frameworks on the web's standard `Request` and `Response`. Only translates. */
import { webSink } from '../../adapters/sse/server.js';
import { HttpError } from '../http-error.js';
import { handlerOf } from '../notifier.js';
import type { RouteRequest } from '../routing.js';
import type { Notifier } from '../types.js';

/** Answers a request; `undefined` when it is not one of the routes. */
export type FetchHandler = (request: Request) => Promise<Response | undefined>;

/**
 * The routes of a notifier for standard requests. `user` and `session` get the `Request`.
 *
 * @param options `base`: the path that they live under. Default `/notify-listen`.
 */
export function fetchHandler(notifier: Notifier, { base = '/notify-listen' }: { base?: string } = {}): FetchHandler {
  return async (request) => {
    const url = new URL(request.url);
    if (!url.pathname.startsWith(`${base}/`)) return undefined;
    const { sink, body } = webSink();
    const routed: RouteRequest<Request> = {
      method: request.method,
      path: url.pathname.slice(base.length),
      query: url.searchParams,
      // Frameworks make requests without a Host header; the URL has it.
      header: (name) => request.headers.get(name) ?? (name === 'host' ? url.host : undefined),
      body: (limit) => readBody(request, limit),
      onClose: (run) => onAbort(request.signal, run),
      raw: request,
    };
    const result = await handlerOf(notifier).handle(routed);
    if (!result) return undefined;
    if (!('stream' in result))
      return new Response(result.status === 204 ? null : result.body, {
        status: result.status,
        headers: result.headers,
      });
    result.stream(sink);
    // Not every server cancels the body of a client that has gone. Its end, not an error: nobody is there to be told.
    onAbort(request.signal, () => sink.end());
    return new Response(body, { status: 200, headers: result.headers });
  };
}

function onAbort(signal: AbortSignal, run: () => void): void {
  if (signal.aborted) run();
  else signal.addEventListener('abort', run, { once: true });
}

async function readBody(request: Request, limit: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request.body ?? []) {
      bytes += chunk.byteLength;
      if (bytes > limit) break;
      chunks.push(chunk);
    }
  } catch {
    throw new HttpError(400, 'invalid', 'The body was cut off.');
  }
  if (bytes > limit) throw new HttpError(413, 'too-large', `The body has more than ${limit} bytes.`);
  return Buffer.concat(chunks).toString();
}
