/**
 * Marks this page's own requests, so that their echo is recognised: a secret goes out with the request, its hash comes
 * back as `cause`. Loaded with the first `client.fetch`.
 */
import { CAUSE_HEADER } from '../../adapters/protocol.js';
import { type Core, trim } from './core.js';

/** How long an echo waits for its request to settle, in milliseconds; then it counts as somebody else's change. */
export const LONGEST_HOLD = 10_000;
/** Requests that are remembered: an echo comes within moments, and a replay after a cut within minutes. */
const MAX_OWN = 200;

/**
 * The browser's `fetch` with the mark, for requests to the page's or the server's own origin only.
 *
 * @param base where the server's routes are
 */
export async function markedFetch(
  { world, requests }: Core,
  base: string,
  input: RequestInfo | URL,
  init: RequestInit | undefined,
): Promise<Response> {
  const address = typeof input === 'object' && 'url' in input ? input.url : String(input);
  // Without a secure context there is no digest: the echo then runs, which is safe.
  if (!globalThis.crypto?.subtle || !isOurs(address, base)) return world.fetch(input, init);
  const secret = hex(crypto.getRandomValues(new Uint8Array(16)));
  const cause = hex(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(secret))));
  const headers = new Headers(
    init?.headers ?? (typeof input === 'object' && 'headers' in input ? input.headers : undefined),
  );
  headers.set(CAUSE_HEADER, secret);
  const answer = world.fetch(input, { ...init, headers });
  const succeeded = answer.then(
    (response) => response.ok,
    () => false,
  );
  // Known before the request leaves: the echo may overtake the answer.
  requests.set(
    cause,
    () =>
      new Promise((resolve) => {
        const timer = world.setTimeout(() => resolve(false), LONGEST_HOLD);
        void succeeded.then((ok) => {
          world.clearTimeout(timer);
          resolve(ok);
        });
      }),
  );
  trim(requests, MAX_OWN);
  return answer;
}

/** Whether an address is of the page's own origin, or of the server that we listen to; the secret goes nowhere else. */
function isOurs(address: string, base: string): boolean {
  try {
    const page = globalThis.location?.href;
    const { origin } = new URL(address, page);
    return origin === new URL(base, page).origin || (page !== undefined && origin === new URL(page).origin);
  } catch {
    return false;
  }
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
