/** `nats://user:password@host:4222,host2:4222?replicas=3`: reading it, and saying what is wrong with one. */

/** NATS's own. */
const PORT = 4222;
/** No NATS cluster keeps more copies. */
const MOST_REPLICAS = 5;
const PARAMETERS = ['replicas', 'durable', 'creds', 'ca'] as const;

export interface NatsAddress {
  readonly servers: readonly { readonly host: string; readonly port: number }[];
  readonly tls: boolean;
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  /** Copies of the streams. None: 3 in a cluster, else 1. */
  readonly replicas?: number;
  /** The operator vouches that the server syncs before it acknowledges (`sync_interval: always`). */
  readonly durable: boolean;
  /** File with the user's JWT and seed. */
  readonly creds?: string;
  /** File with the authority that signed the server's certificate. */
  readonly ca?: string;
}

/** What is wrong with it, one sentence for each mistake, without anything of the URL that may be secret. */
export function mistakesInNatsUrl(url: string): string[] {
  return read(url).mistakes;
}

/** @throws Error that names every mistake. */
export function readNatsUrl(url: string): NatsAddress {
  const { mistakes, address } = read(url);
  if (mistakes.length > 0) throw new Error(`the URL of the NATS log: ${mistakes.join('; ')}`);
  return address;
}

function read(url: string): { mistakes: string[]; address: NatsAddress } {
  const mistakes: string[] = [];
  // Not `new URL`: it knows no list of hosts.
  const [, scheme = '', , login, hosts = '', path = '', query = ''] =
    /^([a-z][a-z0-9+.-]*):\/\/((.*)@)?([^/?#@]*)(\/[^?#]*)?(?:\?([^#]*))?$/i.exec(url) ?? [];
  if (!['nats', 'tls'].includes(scheme.toLowerCase()))
    return { mistakes: ['must begin with nats:// or tls://'], address: { servers: [], tls: false, durable: false } };
  if (path !== '' && path !== '/')
    mistakes.push('has a path, which means nothing to NATS: the namespace keeps logs apart');
  const servers = hosts.split(',').map((text) => {
    const [, bare, bracketed, port] = /^(?:([^[\]:]+)|\[([0-9a-f:.]+)\])(?::(\d{1,5}))?$/i.exec(text.trim()) ?? [];
    const host = bare ?? bracketed;
    const number = port === undefined ? PORT : Number(port);
    if (host === undefined || number < 1 || number > 65_535)
      mistakes.push('needs host, host:port or [IPv6]:port for each server, separated by commas');
    return { host: host ?? '', port: number };
  });
  return {
    mistakes,
    address: {
      servers,
      tls: scheme.toLowerCase() === 'tls',
      ...loginOf(login, mistakes),
      ...settingsOf(query, mistakes),
    },
  };
}

function loginOf(login: string | undefined, mistakes: string[]): Pick<NatsAddress, 'user' | 'password' | 'token'> {
  if (login === undefined) return {};
  try {
    const [first = '', ...rest] = login.split(':').map(decodeURIComponent);
    return rest.length === 0 ? { token: first } : { user: first, password: rest.join(':') };
  } catch {
    mistakes.push('has a user, password or token that is not percent-encoded');
    return {};
  }
}

function settingsOf(query: string, mistakes: string[]): Pick<NatsAddress, 'replicas' | 'durable' | 'creds' | 'ca'> {
  const parameters = new URLSearchParams(query);
  for (const name of new Set(parameters.keys())) {
    if (!(PARAMETERS as readonly string[]).includes(name))
      mistakes.push(`has an unknown parameter; known are ${PARAMETERS.join(', ')}`);
    else if (parameters.getAll(name).length > 1) mistakes.push(`has the parameter ${name} twice`);
  }
  const replicas = parameters.get('replicas');
  if (replicas !== null && !isReplicas(Number(replicas)))
    mistakes.push(`replicas must be a whole number from 1 to ${MOST_REPLICAS}`);
  const durable = parameters.get('durable');
  if (durable !== null && durable !== 'true' && durable !== 'false') mistakes.push('durable must be true or false');
  const [creds, ca] = [parameters.get('creds'), parameters.get('ca')];
  return {
    ...(replicas !== null && { replicas: Number(replicas) }),
    durable: durable === 'true',
    ...(creds && { creds }),
    ...(ca && { ca }),
  };
}

/** Whether NATS can keep so many copies. */
export function isReplicas(count: number): boolean {
  return Number.isInteger(count) && count >= 1 && count <= MOST_REPLICAS;
}
