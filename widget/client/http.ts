/** Requests to the server's routes: address, headers, credentials, and what an answer means. */
import { readJson } from '../../adapters/body.js';
import type { LinkHost, World } from '../../adapters/contract.js';
import { ListenError } from '../../adapters/errors.js';
import { type ErrorAnswer, PROTOCOL_VERSION } from '../../adapters/protocol.js';
import { DEV } from './dev.js';
import type { ListenClientOptions } from './types.js';

/**
 * Makes `LinkHost.request`. Rejects with a `ListenError` for every answer but 2xx: with the server's own code where the
 * body is ours, else `unavailable` for 5xx and `protocol` for the rest (a proxy's error page), which are passing faults.
 */
export function createRequest(options: ListenClientOptions, url: string, world: World): LinkHost['request'] {
  const base = url.replace(/\/+$/, '');
  let hinted = false;
  return async (route, body, signal) => {
    let response: Response;
    try {
      const { headers } = options;
      const own = new Headers(typeof headers === 'function' ? await headers() : headers);
      if (body) own.set('content-type', 'application/json');
      response = await world.fetch(`${base}/${route}${body ? '' : `?protocol=${PROTOCOL_VERSION}`}`, {
        headers: own,
        signal,
        credentials: options.credentials ?? 'same-origin',
        cache: 'no-store',
        ...(body ? { method: 'POST', body: JSON.stringify({ protocol: PROTOCOL_VERSION, ...body }) } : {}),
      });
    } catch (cause) {
      throw new ListenError('network', `${route}: no answer`, { cause });
    }
    if (response.ok) return response;
    const answer: Partial<ErrorAnswer> = await readJson<ErrorAnswer>(response).catch(() => ({}));
    const { code, message } = answer.error ?? {};
    if (DEV && !hinted && response.status === 404 && !code) {
      // It is retried for ever, since a server may be starting; but somebody must learn that it may be a mistake.
      hinted = true;
      console.warn(
        `notify-listen: ${base}/${route} answered 404. Are the routes mounted there, and does the development server pass them on?`,
      );
    }
    const fault = response.status < 500 ? 'protocol' : 'unavailable';
    // A gateway's own errors may look alike, with a number for a code.
    throw new ListenError(
      typeof code === 'string' ? code : fault,
      message ?? `${base}/${route}: status ${response.status}`,
      {
        retryAfter: Number(response.headers.get('retry-after')) * 1_000 || undefined,
      },
    );
  };
}
