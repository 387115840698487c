/** Ably's environment constants -> settings. Every mistake is told with its fix. */

export interface AblySettings {
  /** `<app id>.<key id>:<secret>`, as Ably's dashboard shows it. */
  readonly key: string;
  /** A private cluster's endpoint, or the host of a local server. Default: Ably's own. */
  readonly host?: string;
  /** Default: 443, or 80 without TLS. */
  readonly port?: number;
  /** Default: true. */
  readonly tls?: boolean;
}

const KEY = /^[^\s.:]+\.[^\s.:]+:[^\s:]+$/;
const HOST = /^[a-z0-9]([a-z0-9.:-]*[a-z0-9])?$/i;
const FLAGS: Readonly<Record<string, boolean>> = { true: true, '1': true, false: false, '0': false };

/**
 * Reads `ABLY_API_KEY`, and for a private cluster or a local server `ABLY_HOST`, `ABLY_PORT` and `ABLY_TLS`. Without a
 * mistake there are settings. What a constant holds is never repeated: the key is a secret.
 */
export function readAblySettings(env: Readonly<Record<string, string | undefined>>): {
  settings?: AblySettings;
  mistakes: readonly string[];
} {
  const mistakes: string[] = [];
  const key = env.ABLY_API_KEY?.trim() ?? '';
  if (key === '')
    mistakes.push('ABLY_API_KEY is required with NOTIFY_LISTEN_PROVIDER=ably; copy it from your Ably app');
  else if (!KEY.test(key))
    mistakes.push('ABLY_API_KEY must be a whole key, "<app id>.<key id>:<secret>", as your Ably app shows it');

  const host = env.ABLY_HOST?.trim();
  if (host && !HOST.test(host)) mistakes.push('ABLY_HOST must be a host name alone, without a scheme, port or path');

  const portText = env.ABLY_PORT?.trim();
  const port = portText ? Number(portText) : undefined;
  if (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65_536))
    mistakes.push('ABLY_PORT must be a port number, such as 8081');

  const tlsText = env.ABLY_TLS?.trim().toLowerCase();
  const tls = tlsText ? FLAGS[tlsText] : undefined;
  if (tlsText && tls === undefined) mistakes.push('ABLY_TLS must be true or false');
  if (tls === false && !host) mistakes.push('ABLY_TLS=false needs ABLY_HOST: Ably itself takes no key without TLS');

  if (mistakes.length > 0) return { mistakes };
  const settings: AblySettings = {
    key,
    ...(host && { host }),
    ...(port !== undefined && { port }),
    ...(tls !== undefined && { tls }),
  };
  return { settings, mistakes };
}
