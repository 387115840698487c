/**
 * A page as light as it can be: HTTP/1.1 over a bare socket. It asks for a grant, opens a stream, and finds the version of
 * each notification in the bytes without reading them as JSON, so that it costs less than what it measures.
 */
import { connect, type Socket } from 'node:net';
import type { AuthAnswer } from '../../adapters/protocol.js';

const MARKER = '"changedDate":';
const READY = 'event: ready';
/** How long a stream may take until it is ready, in milliseconds. */
const PATIENCE = 20_000;

export interface ListenOptions {
  readonly port: number;
  /** Called for each notification that arrives. */
  readonly seen: (version: number) => void;
  /** Of {@link grantFor}; none: the server is the bare one, which grants nothing. */
  readonly asking?: Asking | undefined;
}

/** A user with the right to listen. */
export interface Asking {
  readonly user: string;
  readonly grant: string;
  readonly channels: readonly string[];
}

/** Asks for the right to listen to objects such as `Order/1`. */
export async function grantFor(port: number, user: string, channels: readonly string[]): Promise<Asking> {
  const objects = channels.map((channel) => {
    const [entity, id] = channel.split('/');
    return id === undefined ? { entity } : { entity, id };
  });
  const response = await fetch(`http://127.0.0.1:${port}/notify-listen/auth`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-user': user, connection: 'close' },
    body: JSON.stringify({ protocol: 1, objects }),
  });
  const { grant } = (await response.json()) as AuthAnswer;
  if (grant === undefined) throw new Error(`no grant: ${response.status}`);
  return { user, grant, channels };
}

/** Resolves when the stream is ready. The socket is the caller's to destroy. */
export function listen({ port, seen, asking }: ListenOptions): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const late = setTimeout(() => fail(new Error(`no stream: ${rest.slice(0, 200)}`)), PATIENCE);
    let ready = false;
    /** Of an event that is not whole yet. */
    let rest = '';

    function fail(error: Error): void {
      clearTimeout(late);
      socket.destroy();
      reject(error);
    }

    socket.on('connect', () => socket.write(requestOf(asking)));
    socket.on('error', fail);
    socket.on('close', () => fail(new Error(`the stream ended: ${rest.slice(0, 200)}`)));
    socket.on('data', (chunk) => {
      const text = rest + chunk.toString('latin1');
      if (!ready && text.includes(READY)) {
        ready = true;
        clearTimeout(late);
        resolve(socket);
      }
      const end = text.lastIndexOf('\n\n');
      for (let at = text.indexOf(MARKER); at >= 0 && at < end; at = text.indexOf(MARKER, at + MARKER.length)) {
        const from = at + MARKER.length;
        // The news that `ready` tells of lie within its line; those of a stream begun now have been counted before.
        if (ready && text.lastIndexOf('event: ', at) === text.lastIndexOf('event: notification', at))
          seen(Number.parseInt(text.slice(from, from + 20), 10));
      }
      rest = end < 0 ? text : text.slice(end + 2);
    });
  });
}

function requestOf(asking: Asking | undefined): string {
  if (!asking) return 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';
  const body = JSON.stringify({
    protocol: 1,
    wait: 'stream',
    grants: [asking.grant],
    channels: Object.fromEntries(asking.channels.map((channel) => [channel, null])),
    own: null,
  });
  return [
    'POST /notify-listen/stream HTTP/1.1',
    'Host: 127.0.0.1',
    `x-user: ${asking.user}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    '',
    body,
  ].join('\r\n');
}
