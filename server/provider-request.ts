/** What a request of a provider's connection to `/auth` asks for, read from JSON or from a form, and checked. */
import type { Channel } from '../adapters/channel.js';
import { HttpError } from './http-error.js';
import type { RouteRequest } from './routing.js';
import { grantsOf } from './stream-request.js';

/** The longest name of a connection: those of Pusher and Ably have about 30 characters. Visible ASCII only. */
const CONNECTION = /^[\x21-\x7e]{1,200}$/;

export interface AskedForConnection {
  readonly connection: string;
  readonly grants: readonly string[];
  readonly channels: Readonly<Record<Channel, null>>;
}

/** @throws HttpError 400, 413. */
export function connectionOf(body: Record<string, unknown>, most: number): AskedForConnection {
  const { connection, grants, channels } = body;
  if (typeof connection !== 'string' || !CONNECTION.test(connection))
    throw new HttpError(400, 'invalid', 'connection: must be 1 to 200 visible ASCII characters.');
  if (!Array.isArray(channels) || !channels.every((channel) => typeof channel === 'string'))
    throw new HttpError(400, 'invalid', 'channels: must be an array of channels.');
  refuseTooMany(channels, most);
  return {
    connection,
    grants: grantsOf(grants),
    channels: Object.fromEntries(channels.map((channel) => [channel, null])),
  };
}

/** @throws HttpError 413. */
export function refuseTooMany(channels: readonly Channel[], most: number): void {
  if (channels.length > most)
    throw new HttpError(413, 'too-large', `channels: has ${channels.length}, but at most ${most} are served at once.`);
}

const FORM = /^application\/x-www-form-urlencoded\s*(;|$)/i;

/** Whether the body is a form, as the clients of providers send it. */
export function isForm(request: RouteRequest): boolean {
  return FORM.test(request.header('content-type') ?? '');
}

/** The fields of a form: of the query for `GET`, else of the body, as text or as a body parser left it. @throws HttpError 400, 413. */
export async function fieldsOf(request: RouteRequest, limit: number): Promise<URLSearchParams> {
  if (request.method === 'GET') return request.query;
  const body = await request.body(limit);
  if (typeof body === 'string') return new URLSearchParams(body);
  if (body instanceof Uint8Array) return new URLSearchParams(Buffer.from(body).toString());
  const fields = new URLSearchParams();
  for (const [name, value] of Object.entries(body ?? {})) {
    for (const one of Array.isArray(value) ? value : [value]) {
      // A parser that nests (`a[b]=c`) made an object of it: no field of a provider's client has such a name.
      if (typeof one === 'string') fields.append(name, one);
    }
  }
  return fields;
}
