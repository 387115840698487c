/**
 * The URLs of Redis: `redis[s]://` for one server, `redis[s]+sentinel://` for one that sentinels know, and
 * `redis[s]+cluster://` for a cluster. Nothing of a URL is ever told back: where it is wrong, any part may be of a password.
 */

export interface RedisHost {
  readonly host: string;
  readonly port: number;
}

export interface RedisAddress {
  readonly kind: 'single' | 'sentinel' | 'cluster';
  readonly tls: boolean;
  /** The server, the sentinels, or some nodes of the cluster. */
  readonly hosts: readonly RedisHost[];
  readonly username?: string;
  readonly password?: string;
  readonly db: number;
  /** Under which name the sentinels know the master. */
  readonly master?: string;
  readonly sentinelUsername?: string;
  readonly sentinelPassword?: string;
}

/** More would be a mistake: any of them leads to all. */
const MOST_HOSTS = 50;
const REDIS_PORT = 6379;
const SENTINEL_PORT = 26379;

const FORMS =
  'redis://host:6379/0, redis+sentinel://host:26379,host:26379/master or redis+cluster://host:6379,host:6379';
const SCHEME = /^redis(s?)(?:\+(cluster|sentinel))?:\/\//;
const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d+))?$/i;

/** Whether a URL names a Redis, right or wrong. */
export function isRedisUrl(url: string): boolean {
  return /^rediss?(\+[a-z]*)?:/.test(url);
}

/** What is wrong with the URL of a Redis, a sentence for each mistake. None quotes the URL, which may hold a password. */
export function mistakesInRedisUrl(url: string): string[] {
  return read(url).mistakes;
}

/** @throws Error that names every mistake. */
export function parseRedisUrl(url: string): RedisAddress {
  const { address, mistakes } = read(url);
  if (mistakes.length > 0) throw new Error(mistakes.join('; '));
  return address;
}

function read(url: string): { address: RedisAddress; mistakes: string[] } {
  const mistakes: string[] = [];
  const wrong = (what: string): void => void mistakes.push(`the URL of the Redis log ${what}`);

  const scheme = SCHEME.exec(url);
  const kind = (scheme?.[2] ?? 'single') as RedisAddress['kind'];
  if (!scheme) wrong(`is none of the known forms; write ${FORMS}`);
  const rest = url.slice(scheme?.[0].length ?? url.length);

  const [, authority = '', path = '', query = ''] = /^([^/?#]*)\/?([^?#]*)\??([^#]*)/.exec(rest) ?? [];
  if (scheme && /[/?#].*@/s.test(rest)) {
    // What is a host and what a password cannot be told then: nothing more is said.
    wrong('has one of / ? # before its last "@"; write them as %2F, %3F, %23');
    return { address: { kind, tls: false, hosts: [], db: 0 }, mistakes };
  }
  if (rest.includes('#')) wrong('has a "#", which means nothing here; in a password write it as %23');

  const decode = (text: string, what: string): string => {
    try {
      return decodeURIComponent(text);
    } catch {
      wrong(`has a "%" in its ${what} that is not followed by two hexadecimal digits; write a percent sign as %25`);
      return '';
    }
  };

  const at = authority.lastIndexOf('@');
  const [user = '', password] = at < 0 ? [] : cut(authority.slice(0, at), ':');
  const hosts = authority
    .slice(at + 1)
    .split(',')
    .map((text, index): RedisHost => {
      const found = HOST.exec(text);
      const port = Number(found?.[2] ?? (kind === 'sentinel' ? SENTINEL_PORT : REDIS_PORT));
      const which = authority.includes(',') ? `host ${index + 1}` : 'host';
      if (scheme && text === '') wrong(`has no ${which}`);
      else if (scheme && !found) wrong(`has a ${which} that is not "name" or "name:port"`);
      else if (port < 1 || port > 65_535) wrong(`has a port of ${which} that is not between 1 and 65535`);
      return { host: (found?.[1] ?? '').replace(/^\[|\]$/g, ''), port };
    });
  if (kind === 'single' && hosts.length > 1) wrong('has several hosts; write redis+cluster:// or redis+sentinel://');
  if (hosts.length > MOST_HOSTS) wrong(`has more than ${MOST_HOSTS} hosts; a few are enough to find the others`);

  const parts = path.split('/');
  const master = kind === 'sentinel' ? decode(parts.shift() ?? '', 'master name') : undefined;
  if (master === '') wrong('has no name of the master; write redis+sentinel://host:26379/name');
  const [db = ''] = parts;
  if (parts.length > 1 || !/^\d{0,5}$/.test(db)) wrong('has a database that is not a number; write …/0');
  else if (kind === 'cluster' && Number(db) > 0) wrong('has a database, of which a cluster has none but 0');

  const settings = new URLSearchParams(kind === 'sentinel' ? query : '');
  const unknown = [...settings.keys()].some((name) => name !== 'sentinelUsername' && name !== 'sentinelPassword');
  if (unknown || (query !== '' && kind !== 'sentinel'))
    wrong('has a "?" with settings that are not known (with sentinels: sentinelUsername, sentinelPassword)');
  const sentinelUsername = settings.get('sentinelUsername');
  const sentinelPassword = settings.get('sentinelPassword');

  const address: RedisAddress = {
    kind,
    tls: scheme?.[1] === 's',
    hosts,
    db: Number(db),
    ...(user && { username: decode(user, 'user') }),
    ...(password && { password: decode(password, 'password') }),
    ...(master && { master }),
    ...(sentinelUsername && { sentinelUsername }),
    ...(sentinelPassword && { sentinelPassword }),
  };
  return { address, mistakes };
}

/** At the first one; without it, everything is before it. */
function cut(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}
