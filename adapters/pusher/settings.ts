/** Environment constants -> the settings of the Pusher adapter. Every mistake is named with its fix. */
import type { PusherPublicSettings } from './details.js';

export interface PusherSettings {
  readonly appId: string;
  readonly key: string;
  readonly secret: string;
  /** Where the application lives at Pusher; passed on as it is. None for a compatible server, which has a host. */
  readonly cluster?: string;
  /** A compatible server, as this process reaches it. */
  readonly host?: string;
  readonly port?: number;
  readonly scheme: 'https' | 'http';
  /** The same server as browsers reach it, where that is another address. */
  readonly publicHost?: string;
  readonly publicPort?: number;
  readonly publicScheme?: 'https' | 'http';
  /** Publishes under fixed names too, for clients other than ours. */
  readonly fixedNames: boolean;
}

type Env = Readonly<Record<string, string | undefined>>;

/** A host name or an address; an IPv6 address stands in brackets. */
const HOST = /^([\w-]+(\.[\w-]+)*\.?|\[[\da-f:.]+\])$/i;

/** Reads the constants. `settings` is there only when there is no mistake. */
export function readPusherSettings(env: Env): { settings?: PusherSettings; mistakes: readonly string[] } {
  const mistakes: string[] = [];
  const read = (name: string): string => (env[name] ?? '').trim();

  /** An identifier that goes into an address. */
  const word = (name: string, missing: string): string => {
    const value = read(name);
    if (value === '') mistakes.push(`${name} is not set; ${missing}`);
    else if (!/^[\w.-]+$/.test(value))
      mistakes.push(`${name} holds other characters than letters, digits, "_", "." and "-"; copy it again`);
    return value;
  };
  const host = (name: string): string | undefined => {
    const value = read(name);
    if (value === '') return undefined;
    if (!HOST.test(value))
      mistakes.push(
        `${name} is "${value}"; write the host alone, such as soketi.example.com (the scheme and the port have constants of their own)`,
      );
    return value;
  };
  const port = (name: string): number | undefined => {
    const value = read(name);
    if (value === '') return undefined;
    if (!/^\d{1,5}$/.test(value) || Number(value) < 1 || Number(value) > 65_535)
      mistakes.push(`${name} is "${value}"; write a number from 1 to 65535`);
    return Number(value);
  };
  const scheme = (name: string): 'https' | 'http' | undefined => {
    const value = read(name);
    if (value === '' || value === 'https' || value === 'http') return value || undefined;
    mistakes.push(`${name} is "${value}"; write https or http`);
    return undefined;
  };

  const where = 'it stands under "App Keys" of the application at Pusher';
  const appId = word('PUSHER_APP_ID', where);
  const key = word('PUSHER_KEY', where);
  const secret = read('PUSHER_SECRET');
  if (secret === '') mistakes.push(`PUSHER_SECRET is not set; ${where}`);
  else if (secret === key)
    mistakes.push('PUSHER_SECRET is the same as PUSHER_KEY; the key is public, the secret is the other one');

  const cluster = read('PUSHER_CLUSTER');
  if (cluster !== '' && !/^[a-z0-9-]+$/i.test(cluster))
    mistakes.push(`PUSHER_CLUSTER is "${cluster}"; write the short name that stands beside the key, such as eu or mt1`);
  const own = host('PUSHER_HOST');
  if (cluster === '' && own === undefined && read('PUSHER_HOST') === '')
    mistakes.push(`PUSHER_CLUSTER is not set; ${where} (a compatible server needs PUSHER_HOST instead)`);
  const ports = [port('PUSHER_PORT'), port('PUSHER_PUBLIC_PORT')] as const;
  const schemes = [scheme('PUSHER_SCHEME'), scheme('PUSHER_PUBLIC_SCHEME')] as const;
  const publicHost = host('PUSHER_PUBLIC_HOST');
  for (const name of ['PUSHER_PORT', 'PUSHER_PUBLIC_HOST', 'PUSHER_PUBLIC_PORT', 'PUSHER_PUBLIC_SCHEME']) {
    if (read(name) !== '' && read('PUSHER_HOST') === '')
      mistakes.push(
        `${name} is set without PUSHER_HOST; it is for a compatible server, so set PUSHER_HOST or leave it out`,
      );
  }
  const fixed = read('PUSHER_FIXED_NAMES') || 'false';
  if (fixed !== 'true' && fixed !== 'false') mistakes.push(`PUSHER_FIXED_NAMES is "${fixed}"; write true or false`);

  if (mistakes.length > 0) return { mistakes };
  return {
    mistakes,
    settings: {
      appId,
      key,
      secret,
      ...(cluster !== '' && { cluster }),
      ...(own !== undefined && { host: own }),
      ...(ports[0] !== undefined && { port: ports[0] }),
      scheme: schemes[0] ?? 'https',
      ...(publicHost !== undefined && { publicHost }),
      ...(ports[1] !== undefined && { publicPort: ports[1] }),
      ...(schemes[1] !== undefined && { publicScheme: schemes[1] }),
      fixedNames: fixed === 'true',
    },
  };
}

/** What a page may know of the settings: never the secret, nor an address that only servers reach. */
export function publicSettingsOf(settings: PusherSettings): PusherPublicSettings {
  // A public host of its own has ports of its own: the private one says nothing about it.
  const port = settings.publicPort ?? (settings.publicHost === undefined ? settings.port : undefined);
  const host = settings.publicHost ?? settings.host;
  return {
    key: settings.key,
    ...(settings.cluster !== undefined && { cluster: settings.cluster }),
    ...(host !== undefined && { host }),
    ...(port !== undefined && { port }),
    scheme: settings.publicScheme ?? settings.scheme,
  };
}
