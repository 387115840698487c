/** The routes for Node's own `http` and `http2` servers, without a framework. Only translates. */
import type { Notifier } from '../types.js';
import { answer, type NodeRequest, type NodeResponse } from './answer.js';

export { type RequestServer, streamAhead } from './ahead.js';
export type { NodeRequest, NodeResponse };

/** Takes a request and answers it. Resolves with `false`, having done nothing, when it is not one of the routes. */
export type NodeListener = (request: NodeRequest, response: NodeResponse) => Promise<boolean>;

/**
 * The routes of a notifier as a listener of Node's own servers.
 *
 * @param options `base`: the path that they live under. Default `/notify-listen`.
 */
export function nodeListener(notifier: Notifier, { base = '/notify-listen' }: { base?: string } = {}): NodeListener {
  return async (request, response) => {
    const url = request.url ?? '/';
    const path = url.split('?', 1)[0] as string;
    if (!path.startsWith(`${base}/`)) return false;
    return answer(notifier, request, response, path.slice(base.length), url.slice(path.length));
  };
}
