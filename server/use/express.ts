/** The routes for Express 4 and 5, as a handler for `app.use(path, …)`. Only translates. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { CAUSE_HEADER } from '../../adapters/protocol.js';
import { withRequest } from '../context.js';
import { sessionOf } from '../notifier.js';
import { causeOf } from '../secrets.js';
import type { Notifier } from '../types.js';
import { answer } from './answer.js';

export { type RequestServer, streamAhead } from './ahead.js';

/** What is used of Express, so that its types are not needed to use this package. */
export type ExpressRequest = IncomingMessage & { readonly path: string; readonly body?: unknown };
export type ExpressHandler = (
  request: ExpressRequest,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void;

const SLASH = 47;

/**
 * The routes of a notifier: `app.use('/notify-listen', routes(notifier))`. Put it ahead of heavy middleware; behind the
 * one that knows the user. A body parser may have run, or not.
 */
export function routes(notifier: Notifier): ExpressHandler {
  return (request, response, next) => {
    const url = request.url ?? '/';
    const at = url.indexOf('?');
    // Express would take the address apart again to tell its path. A proxy's request names the host first.
    const path = url.charCodeAt(0) !== SLASH ? request.path : at < 0 ? url : url.slice(0, at);
    answer(notifier, request, response, path, at < 0 ? '' : url.slice(at)).then((found) => {
      if (!found) next();
    }, next);
  };
}

/**
 * Remembers, for all that a request leads to, which page made it, so that listeners with `ignoreOwn` can tell their own
 * changes: `app.use(rememberRequest())`, ahead of the routes that call `notify`.
 *
 * @param notifier one with the option `session`; with it `currentSession()` and `notify(…, { to: 'caller' })` know the login
 * session too, which is asked for when it is needed. Put it behind the middleware that knows the session. Default: none.
 */
export function rememberRequest(notifier?: Notifier): ExpressHandler {
  return (request, _response, next) => {
    const secret = request.headers[CAUSE_HEADER];
    const cause = causeOf(typeof secret === 'string' ? secret : undefined);
    withRequest(cause, notifier && (() => sessionOf(notifier, request)), () => next());
  };
}
