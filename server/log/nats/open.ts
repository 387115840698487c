/** Opens one connection, in bounded time. */
import { readFile } from 'node:fs/promises';
import { inTime } from '../../in-time.js';
import { firstToGreet } from './greeting.js';
import type { NatsAddress } from './url.js';
import { createWire, type NatsConnection, type NatsModule, type Wire } from './wire.js';

/** How long a server may take to greet, and then to let us in, in milliseconds: together below what a call may take. */
const GREETING_MS = 1_000;
const LOGIN_MS = 1_500;

export interface OpenOptions {
  readonly load: () => Promise<NatsModule>;
  readonly address: NatsAddress;
  readonly signal: AbortSignal;
}

export async function openWire({ load, address, signal }: OpenOptions): Promise<Wire> {
  const nats = await load();
  const { tls, user, password, token, creds, ca } = address;
  const authority = ca === undefined ? undefined : await readFile(ca, 'utf8');
  const authenticator = creds === undefined ? undefined : nats.credsAuthenticator(await readFile(creds));
  const { host, port } = await firstToGreet(address.servers, GREETING_MS, signal);
  const opening = nats.connect({
    servers: [`${host.includes(':') ? `[${host}]` : host}:${port}`],
    name: 'notify-listen',
    // The next connection is opened here, by the next call: nothing is kept for it, and it is another run of the server.
    reconnect: false,
    ignoreClusterUpdates: true,
    noAsyncTraces: true,
    timeout: LOGIN_MS,
    ...(user !== undefined && { user, pass: password }),
    ...(token !== undefined && { token }),
    ...(authenticator !== undefined && { authenticator }),
    // The client knows no name for an address in figures: then its certificate is compared with `host`.
    ...((tls || authority !== undefined) && { tls: { host, ...(authority !== undefined && { ca: authority }) } }),
  });
  const connection = await inTime(opening, LOGIN_MS + 200, `the login at ${host}:${port}`).catch((error: Error) => {
    opening.then(abandon, () => {});
    const why = /authorization|authentication/i.test(error.message) ? ' the login was refused:' : '';
    throw new Error(`NATS at ${host}:${port}:${why} ${error.message}`, { cause: error });
  });
  if (signal.aborted) {
    abandon(connection);
    throw new Error('the connection to NATS was given up');
  }
  return createWire(connection, nats);
}

function abandon(connection: NatsConnection): void {
  connection.close().catch(() => {});
}
