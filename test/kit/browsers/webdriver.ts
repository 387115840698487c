/** A W3C WebDriver session over fetch: the few commands that the tests need. https://www.w3.org/TR/webdriver2/ */

export interface WebDriver {
  readonly capabilities: Readonly<Record<string, unknown>>;
  /** Sends a command of the session: `GET window/handles`, `POST url`. Rejects with the driver's own words. */
  send<T>(method: 'GET' | 'POST' | 'DELETE', command: string, body?: object): Promise<T>;
  /** Runs commands in a window. One after the other: which window commands go to is a state of the session. */
  within<T>(window: string, commands: () => Promise<T>): Promise<T>;
}

/** Commands queue up behind a page that is stuck; then it is the browser that failed, not the test. Milliseconds. */
const PATIENCE = 30_000;

export async function openSession(base: string, alwaysMatch: object): Promise<WebDriver> {
  async function command<T>(method: string, path: string, body?: object): Promise<T> {
    const response = await fetch(base + path, {
      method,
      signal: AbortSignal.timeout(PATIENCE),
      ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const { value } = (await response.json()) as { value: T };
    if (!response.ok) throw new Error(`${method} ${path}: ${JSON.stringify(value)}`);
    return value;
  }

  const { sessionId, capabilities } = await command<{ sessionId: string; capabilities: Record<string, unknown> }>(
    'POST',
    '/session',
    { capabilities: { alwaysMatch } },
  );
  let turn: Promise<unknown> = Promise.resolve();

  const driver: WebDriver = {
    capabilities,
    send: (method, path, body) => command(method, `/session/${sessionId}${path && '/'}${path}`, body),
    within(window, commands) {
      const result = turn.then(async () => {
        await driver.send('POST', 'window', { handle: window });
        return commands();
      });
      turn = result.catch(() => {});
      return result;
    },
  };
  return driver;
}
