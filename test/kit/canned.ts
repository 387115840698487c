/** Whole HTTP answers for the door of the fault proxy: what comes instead of the application. */

type Canned =
  | 'login'
  | 'empty'
  | 'badJson'
  | 'emptyStream'
  | 'redirect'
  | 'notFound'
  | 'error'
  | 'badGateway'
  | 'unavailable';

/** What captive portals, gateways and broken deployments answer instead of the application, whole HTTP answers. */
export const CANNED: Readonly<Record<Canned, string>> = {
  login: page(200, 'OK', 'text/html', '<!doctype html><title>Welcome</title><form>Room number: <input></form>'),
  empty: page(200, 'OK', 'text/html', ''),
  badJson: page(200, 'OK', 'application/json', '{"protocol": [1, '),
  emptyStream: page(200, 'OK', 'text/event-stream', ''),
  redirect: page(302, 'Found', 'text/html', 'Moved', ['Location: http://127.0.0.1:1/portal']),
  notFound: page(404, 'Not Found', 'text/html', '<h1>Not Found</h1>'),
  error: page(500, 'Internal Server Error', 'text/html', '<h1>Internal Server Error</h1>'),
  badGateway: page(502, 'Bad Gateway', 'text/html', '<h1>Bad Gateway</h1>'),
  unavailable: page(503, 'Service Unavailable', 'text/html', '', ['Retry-After: 1']),
};

function page(status: number, reason: string, type: string, body: string, headers: readonly string[] = []): string {
  return [
    `HTTP/1.1 ${status} ${reason}`,
    `Content-Type: ${type}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    ...headers,
    '',
    body,
  ].join('\r\n');
}
