/** What a route is: the request that it needs, the answer that it gives, and how a JSON body is read. */
import { type ConfigAnswer, OLDEST_PROTOCOL_VERSION, PROTOCOL_VERSION } from '../adapters/protocol.js';
import type { Collector, StreamSink, Streams } from '../adapters/streams.js';
import type { Access, Identity } from './access.js';
import type { Settings } from './config.js';
import type { Duration } from './duration.js';
import type { Follower } from './follower.js';
import { HttpError } from './http-error.js';
import type { Gate } from './limits.js';
import type { Hosted } from './provider-route.js';
import type { Secrets } from './secrets.js';
import type { Limits } from './types.js';

/** What the routes need of a request. */
export interface RouteRequest<Request = unknown> {
  readonly method: string;
  /** Below the base path: `/config`. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** By lower-case name. */
  header(name: string): string | undefined;
  /** The body as text, or what a body parser made of it. @throws HttpError 413 beyond the limit, in bytes. */
  body(limit: number): Promise<unknown>;
  /** Calls back when the client has gone. */
  onClose(run: () => void): void;
  /** The framework's own request, for `user` and `session`. */
  readonly raw: Request;
}

export type RouteHeaders = Readonly<Record<string, string>>;

/** Either a whole answer, or the head of a stream and what to do with a sink for it once the head is written. */
export type RouteAnswer =
  | { readonly status: number; readonly headers: RouteHeaders; readonly body: string }
  | { readonly status: 200; readonly headers: RouteHeaders; readonly stream: (sink: StreamSink) => void };

export interface HandlerOptions<Request> {
  readonly access: Access<Request>;
  readonly secrets: Secrets;
  readonly follower: Follower;
  readonly streams: Streams;
  /** Makes the sink of a long poll or a catch-up read. */
  readonly collect: () => Collector;
  readonly gate: Gate;
  readonly limits: Limits;
  readonly settings: Settings;
  /** Where connections live at a provider. */
  readonly hosted: Hosted | undefined;
  readonly grantLife: number;
  readonly heartbeat: number;
  readonly duration: Duration;
  /** Whether this node is going away: it takes no new streams. */
  readonly closing: () => boolean;
  readonly origins: readonly string[];
  /** Names this process in the grants that it makes. */
  readonly node: string;
  /** Monotonic and wall clock, milliseconds. */
  readonly monotonic: () => number;
  readonly now: () => number;
  readonly onError: (error: unknown) => void;
  readonly onRefused: (count: number) => void;
  /** A page of an origin that is not named was refused. */
  readonly onForeign: (origin: string) => void;
}

export const JSON_HEADERS = {
  'Content-Type': 'application/json; charset=utf-8',
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
};

/** @throws HttpError 426 for a version that is not served, in which case the page must be loaded anew; 400 for none. */
export function checkProtocol(version: unknown): void {
  // What names no version is no page of another one, and must not be told to load itself again.
  if (typeof version !== 'number') throw new HttpError(400, 'invalid', 'protocol: must be the number of the version.');
  if (version >= OLDEST_PROTOCOL_VERSION && version <= PROTOCOL_VERSION) return;
  throw new HttpError(
    426,
    'upgrade',
    `This server speaks the protocol versions ${OLDEST_PROTOCOL_VERSION} to ${PROTOCOL_VERSION}; load the page again.`,
  );
}

/** The body as a JSON object of a known protocol version. @throws HttpError 400, 413, 426. */
export async function readJson(request: RouteRequest, limit: number): Promise<Record<string, unknown>> {
  const body = await request.body(limit);
  let value: unknown = body;
  // A parser for raw bodies leaves bytes.
  if (typeof body === 'string' || body instanceof Uint8Array) {
    try {
      value = JSON.parse(typeof body === 'string' ? body : Buffer.from(body).toString());
    } catch {
      throw new HttpError(400, 'invalid', 'The body is not JSON.');
    }
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new HttpError(400, 'invalid', 'The body must be a JSON object.');
  checkProtocol((value as { protocol?: unknown }).protocol);
  return value as Record<string, unknown>;
}

/** Who a page is, as the page is told: the first hash, and those under the other secrets while they are being changed. */
export function introduced({
  users: [user, ...aliases],
  sessions,
}: Identity): Pick<ConfigAnswer, 'user' | 'session' | 'aliases'> {
  return { user, ...(sessions && { session: sessions[0] }), ...(aliases.length > 0 && { aliases }) };
}

/** Where pages shall listen now: at the provider, or here while it does not take what it is given. */
export function providerNow({ hosted, settings }: Pick<HandlerOptions<never>, 'hosted' | 'settings'>): string {
  return hosted && !hosted.carries() ? 'sse' : settings.provider;
}
