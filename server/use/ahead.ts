/** The stream route of a server, taken before its framework sees the request. Only translates. */
import { handlerOf } from '../notifier.js';
import type { Notifier } from '../types.js';
import { answer, type NodeRequest, type NodeResponse } from './answer.js';

/** A server of Node's `http`, `https` or `http2`: what `app.listen()` of Express returns, `fastify.server`, and so on. */
export interface RequestServer {
  // biome-ignore lint/suspicious/noExplicitAny: each kind of server has its own signature
  emit(event: any, ...values: any[]): boolean;
}

/** By server, who serves which path. */
const taken = new WeakMap<RequestServer, Map<string, Notifier>>();

/**
 * Serves `/stream` from the server itself, ahead of the framework and all of its middleware: a connection costs less time
 * and memory. All other requests go to the framework, where the other routes still are:
 * `streamAhead(app.listen(3000), notifier)`. The option `user` then gets Node's bare request for a stream: what middleware
 * would have put there (`request.session`, parsed cookies) is missing. See docs/deploying.md.
 *
 * @param options `base`: the path that the routes live under. Default `/notify-listen`.
 * @returns gives the route back to the framework; streams that are open go on.
 * @throws Error when the path is taken already.
 */
export function streamAhead(
  server: RequestServer,
  notifier: Notifier,
  { base = '/notify-listen' }: { base?: string } = {},
): () => void {
  handlerOf(notifier); // what is no notifier is told now, not to the first page
  const path = `${base}/stream`;
  const notifiers = taken.get(server) ?? intercept(server);
  if (notifiers.has(path)) throw new Error(`streamAhead: ${path} of this server is taken already`);
  notifiers.set(path, notifier);
  let mine = true;
  return () => {
    if (mine) notifiers.delete(path);
    mine = false;
  };
}

/** Only `emit` comes before every listener, whenever it was added: two that answer one request would break it. */
function intercept(server: RequestServer): Map<string, Notifier> {
  const notifiers = new Map<string, Notifier>();
  taken.set(server, notifiers);
  const { emit } = server;

  function take(request: NodeRequest, response: NodeResponse): boolean {
    const url = request.url ?? '/';
    const at = url.indexOf('?');
    const notifier = notifiers.get(at < 0 ? url : url.slice(0, at));
    if (!notifier) return false;
    answer(notifier, request, response, '/stream', at < 0 ? '' : url.slice(at)).catch((error) =>
      response.destroy(error),
    );
    return true;
  }

  server.emit = (event, ...values) =>
    (event === 'request' && take(...(values as [NodeRequest, NodeResponse]))) || emit.call(server, event, ...values);
  return notifiers;
}
