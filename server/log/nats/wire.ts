/**
 * One connection to one server, as requests and answers: every request is answered, refused, or rejected in bounded time,
 * and the end of the connection rejects all at once. It never reconnects, so that whatever it answers is of one run of
 * the server; `link.ts` opens the next one.
 *
 * The client's own JetStream calls are not used: they hide round trips, and one request of theirs costs a timer each.
 */

/** What is used of the official client, `nats`. Its types may be named only where it is loaded. */
export interface NatsModule {
  connect(options: Readonly<Record<string, unknown>>): Promise<NatsConnection>;
  headers(): NatsHeaders;
  createInbox(): string;
  credsAuthenticator(creds: Uint8Array): unknown;
}

export interface NatsHeaders {
  readonly code: number;
  readonly description: string;
  set(name: string, value: string): void;
}

export interface NatsMessage {
  readonly subject: string;
  readonly reply?: string | undefined;
  readonly data: Uint8Array;
  readonly headers?: NatsHeaders | undefined;
}

export interface NatsConnection {
  readonly info?: ServerInfo | undefined;
  publish(subject: string, data: Uint8Array | string, options?: Readonly<Record<string, unknown>>): void;
  subscribe(
    subject: string,
    options: { readonly callback: (error: Error | null, message: NatsMessage) => void },
  ): { unsubscribe(): void };
  status(): AsyncIterable<{
    readonly type: string;
    readonly data: unknown;
    readonly permissionContext?: { readonly operation: string; readonly subject: string };
  }>;
  closed(): Promise<unknown>;
  close(): Promise<void>;
}

/** What the server says of itself at the beginning. Its id is a new one at every start. */
export interface ServerInfo {
  readonly server_id: string;
  readonly server_name: string;
  readonly max_payload: number;
  /** The cluster that it is in. */
  readonly cluster?: string;
}

/** How long an answer may take, in milliseconds: below the 3 s after which a call is given up, so that the reason is told. */
const ANSWER_MS = 2_500;

/** The connection ended, or a request was not answered. */
export class WireError extends Error {
  override name = 'WireError';
}

/** Nobody serves the subject: no stream, or no JetStream. */
export class NobodyError extends Error {
  override name = 'NobodyError';
}

export interface Wire {
  readonly info: ServerInfo;
  /** Rejects with a {@link NobodyError} when nobody is there to answer, and with a {@link WireError} when nobody does. */
  request(subject: string, body: string, headers?: Readonly<Record<string, string>>): Promise<NatsMessage>;
  /** Sends what is answered by messages for `reply`, an inbox. */
  send(subject: string, body: string, reply: string): void;
  /** Everything that comes for a subject of its own, for what the server is to send there; `ended`: nothing more will. */
  inbox(receive: (message: NatsMessage) => void, ended?: () => void): { readonly subject: string; close(): void };
  /** It has ended. */
  readonly over: boolean;
  /** Ends it at once; whatever waits for an answer is rejected. */
  close(why?: string): void;
}

interface Pending {
  readonly subject: string;
  readonly until: number;
  readonly resolve: (message: NatsMessage) => void;
  readonly reject: (error: Error) => void;
}

/** Takes a connection over that is open. */
export function createWire(connection: NatsConnection, nats: NatsModule): Wire {
  const info = connection.info;
  if (!info) throw new WireError('the connection to NATS ended at once');
  const inbox = nats.createInbox();
  const pending = new Map<string, Pending>();
  let count = 0;
  let over = false;
  let timer: NodeJS.Timeout | undefined;
  const endings = new Set<() => void>();

  function close(why = 'the connection to NATS ended'): void {
    if (over) return;
    over = true;
    for (const end of endings) end();
    endings.clear();
    clearTimeout(timer);
    for (const one of pending.values()) one.reject(new WireError(why));
    pending.clear();
    // Late faults of a connection that is given up say nothing.
    connection.close().catch(() => {});
  }

  /** One timer for all: the oldest request has the earliest end. */
  function watch(): void {
    const [oldest] = pending.values();
    timer = undefined;
    if (over || !oldest) return;
    const left = oldest.until - performance.now();
    // A half-open connection looks like this, and so does a cluster without a leader: another connection mends one, and
    // does not harm the other.
    if (left <= 0) close(`NATS did not answer within ${ANSWER_MS} ms`);
    else timer = setTimeout(watch, left).unref();
  }

  connection.subscribe(`${inbox}.*`, {
    callback(error, message) {
      const token = error ? '' : message.subject.slice(inbox.length + 1);
      const one = pending.get(token);
      if (!one) return;
      pending.delete(token);
      if (message.headers?.code === 503) one.reject(new NobodyError(`nobody in NATS serves ${one.subject}`));
      else one.resolve(message);
    },
  });

  /** A request that the user may not make is answered by nothing but this. */
  async function listen(open: NatsConnection): Promise<void> {
    for await (const { permissionContext } of open.status()) {
      if (!permissionContext) continue;
      const { operation, subject } = permissionContext;
      const error = new Error(`NATS: the user has no permission for ${operation} on "${subject}" (docs/nats.md)`);
      for (const [token, one] of pending) {
        if (operation === 'publish' ? one.subject !== subject : subject !== `${inbox}.*`) continue;
        pending.delete(token);
        one.reject(error);
      }
    }
  }
  listen(connection).catch(() => {});
  connection.closed().then(
    () => close(),
    () => close(),
  );

  return {
    info,
    get over() {
      return over;
    },
    request: (subject, body, named) =>
      new Promise((resolve, reject) => {
        if (over) return reject(new WireError('the connection to NATS ended'));
        const token = String(++count);
        pending.set(token, { subject, until: performance.now() + ANSWER_MS, resolve, reject });
        if (!timer) watch();
        let headers: NatsHeaders | undefined;
        if (named) {
          headers = nats.headers();
          for (const [name, value] of Object.entries(named)) headers.set(name, value);
        }
        try {
          connection.publish(subject, body, { reply: `${inbox}.${token}`, ...(headers && { headers }) });
        } catch (error) {
          pending.delete(token);
          reject(error);
        }
      }),
    send: (subject, body, reply) => connection.publish(subject, body, { reply }),
    inbox(receive, ended = () => {}) {
      endings.add(ended);
      const subject = nats.createInbox();
      const subscription = connection.subscribe(subject, {
        callback: (error, message) => {
          if (!error) receive(message);
        },
      });
      return {
        subject,
        close: () => {
          endings.delete(ended);
          if (!over) subscription.unsubscribe();
        },
      };
    },
    close,
  };
}
