/**
 * Which pages may talk to the routes. The user is known by a cookie as a rule, which a browser sends along for any page;
 * so a page of another origin is refused unless the application named it.
 */
import { HttpError } from './http-error.js';

interface Asked {
  readonly method: string;
  header(name: string): string | undefined;
}

/** How long a browser may remember that an origin is allowed, in seconds. */
const PREFLIGHT_LIFE = '600';

/** @throws HttpError 403 for a page of an origin that is neither the site's own nor named. */
export function refuseForeign(request: Asked, origins: readonly string[], production: boolean): void {
  const origin = request.header('origin');
  if (origin === undefined) {
    // Not a script of another origin, which would have sent one; but perhaps an image or a frame on a foreign page.
    const site = request.header('sec-fetch-site');
    if (site === undefined || site === 'same-origin' || site === 'none') return;
  } else if (origins.includes(origin) || isOwn(origin, request) || (!production && isLocal(origin, request))) {
    return;
  }
  throw new HttpError(
    403,
    'origin',
    `Pages of ${origin ?? 'other sites'} may not listen here; name the origin in the option "origins".`,
  );
}

/** Behind a proxy the host is that of the proxy's own request; a foreign page can set neither header. */
function isOwn(origin: string, request: Asked): boolean {
  if (!URL.canParse(origin)) return false;
  const { protocol, host } = new URL(origin);
  // Each proxy may add its own behind a comma: the first is what the browser asked for.
  const forwarded = request.header('x-forwarded-host')?.split(',', 1)[0]?.trim();
  return [request.header('host'), forwarded].some((asked) => {
    // Read as a URL, so that letter case and the scheme's own port make no difference.
    const url = `${protocol}//${asked}`;
    return asked !== undefined && URL.canParse(url) && new URL(url).host === host;
  });
}

/**
 * A page and a server of this very machine, on two ports: a development server in front that puts its target into `Host`,
 * as Vite's proxy does by default.
 */
function isLocal(origin: string, request: Asked): boolean {
  const host = request.header('host');
  return (
    host !== undefined &&
    [origin, `http://${host}`].every((url) => LOCAL.has(URL.canParse(url) ? new URL(url).hostname : ''))
  );
}

const LOCAL: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);

/** What pages that need no CORS headers get. */
export const NO_HEADERS: Readonly<Record<string, string>> = {};

/** The CORS headers for a named origin; none for others, which a browser takes as a refusal. */
export function corsHeaders(request: Asked, origins: readonly string[]): Readonly<Record<string, string>> {
  const origin = request.header('origin');
  if (origin === undefined || !origins.includes(origin)) return NO_HEADERS;
  const asked = request.header('access-control-request-headers');
  return {
    'Access-Control-Allow-Origin': origin,
    'Access-Control-Allow-Credentials': 'true',
    'Access-Control-Expose-Headers': 'Retry-After',
    Vary: 'Origin',
    // The application's own headers (a bearer token, a CSRF token) are not ours to know.
    ...(asked !== undefined && { 'Access-Control-Allow-Headers': asked, 'Access-Control-Max-Age': PREFLIGHT_LIFE }),
  };
}
