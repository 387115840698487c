/** A page on a scripted provider, before a small log: the test says what the provider carries, loses, repeats and reorders. */
import { channelOf, everyChannelOf } from '../../adapters/channel.js';
import { type ErrorCode, ListenError } from '../../adapters/errors.js';
import { isAfter, type Position } from '../../adapters/position.js';
import type { Latest, ServerEvent, StreamRequest, WireNotification } from '../../adapters/protocol.js';
import type {
  ProviderClientAdapter,
  ProviderConnection,
  ProviderHost,
  ProviderInterest,
} from '../../adapters/provider.js';
import type { ListenClientOptions } from '../../widget/client/index.js';
import { type Bench, createBench } from './client.js';
import type { ServerStream } from './scripted-server.js';

/** One connection of the provider, as the test drives it. */
export interface ProviderLine {
  readonly host: ProviderHost;
  /** Every set that it was given, oldest first. */
  readonly sets: ProviderInterest[];
  readonly closed: boolean;
  /** The newest set is subscribed. */
  attach(): void;
  down(code?: ErrorCode): void;
  missed(): void;
  message(data: unknown): void;
}

export interface ScriptedProvider extends ProviderClientAdapter {
  /** All connections, oldest first. */
  readonly lines: ProviderLine[];
  /** Whether a new set is subscribed at once. Default `true`. */
  attaches: boolean;
  /** The newest connection. */
  readonly line: ProviderLine;
}

export function createScriptedProvider(name = 'pusher', channels = 1_000): ScriptedProvider {
  const provider: ScriptedProvider = {
    name,
    capabilities: { fansOut: 'provider', channels },
    lines: [],
    attaches: true,
    get line() {
      return provider.lines.at(-1) as ProviderLine;
    },
    connect(host): ProviderConnection {
      const sets: ProviderInterest[] = [];
      let closed = false;
      const line: ProviderLine = {
        host,
        sets,
        get closed() {
          return closed;
        },
        attach: () => host.attached(sets.at(-1) as ProviderInterest),
        down: (code = 'network') => host.down(new ListenError(code, `${name}: ${code}`)),
        missed: () => host.missed(),
        message: (data) => host.message(data),
      };
      provider.lines.push(line);
      return {
        update(set) {
          sets.push(set);
          if (provider.attaches)
            void host.authorise('line', set).then(
              () => {
                if (!closed && sets.at(-1) === set) host.attached(set);
              },
              () => {},
            );
        },
        close() {
          closed = true;
        },
      };
    },
  };
  return provider;
}

/** An entry of the log, and where it may be heard. */
export interface Entry {
  readonly notification: WireNotification;
  readonly at: number;
}

export interface ScriptedLog {
  readonly entries: Entry[];
  /** How many entries the node that answers has tailed: one that lags knows less. Default: all. */
  tail: number;
  /** Positions of another epoch than this are answered by `resync`. */
  epoch: string;
  /** Reads that were answered. */
  readonly reads: StreamRequest[];
  /** Given once: takes the place of the next answers to reads. */
  readonly insteadOfReads: (() => Response | Promise<Response>)[];
  /** While it is set, answers to reads wait; `letGo` answers those that wait. */
  held: boolean;
  letGo(): void;
  /** Appends; streams hear it, the provider does not. Position: the epoch and the number of the entry, from 11 on. */
  append(object: { entity: string; id?: string }, action?: string, more?: Partial<WireNotification>): Entry;
  /** The provider carries the entry to this page, on every channel of the newest set that it belongs to, or on this one. */
  carry(entry: Entry, channel?: string): void;
  /** Both. */
  notify(object: { entity: string; id?: string }, action?: string, more?: Partial<WireNotification>): Entry;
}

export interface HostedBench extends Bench {
  readonly provider: ScriptedProvider;
  readonly log: ScriptedLog;
}

/** Where an entry is heard, in which rendering. */
export function renderings({ notification }: Entry): { channel: string; notification: WireNotification }[] {
  const { entity, id, action, position } = notification;
  if (id === undefined)
    return [channelOf({ entity }), everyChannelOf(entity)].map((channel) => ({ channel, notification }));
  return [
    { channel: channelOf({ entity, id }), notification },
    { channel: channelOf({ entity }), notification: { entity, action, position } },
  ];
}

export function createHostedBench(options: ListenClientOptions = {}, channels?: number): HostedBench {
  const provider = createScriptedProvider('pusher', channels);
  const bench = createBench({ adapters: [provider], ...options });
  const { server, world } = bench;
  const streams: { readonly stream: ServerStream; readonly request: StreamRequest; sent: number }[] = [];
  let tail = Number.POSITIVE_INFINITY;
  let waiting: (() => void)[] = [];
  server.config.provider = 'pusher';
  server.accepts = false;

  const log: ScriptedLog = {
    entries: [],
    get tail() {
      return tail;
    },
    set tail(next) {
      tail = next;
      push();
    },
    epoch: 'e1',
    reads: [],
    insteadOfReads: [],
    held: false,
    letGo() {
      log.held = false;
      for (const go of waiting) go();
      waiting = [];
    },
    append({ entity, id }, action = 'updated', more = {}) {
      const notification: WireNotification = {
        entity,
        ...(id !== undefined && { id }),
        action,
        changedDate: '2026-01-01T00:00:00Z',
        unordered: true,
        position: `${log.epoch}:${11 + log.entries.length}`,
        ...more,
      };
      const entry = { notification, at: world.now() };
      log.entries.push(entry);
      push();
      return entry;
    },
    carry(entry, only) {
      const { line } = provider;
      const held = new Set(line.sets.at(-1)?.channels);
      const every = new Set([...held].filter((name) => name.includes('/')).map((name) => `${name.split('/')[0]}/*`));
      for (const { channel, notification } of renderings(entry))
        if (only === undefined ? held.has(channel) || every.has(channel) : channel === only)
          line.message(JSON.stringify(notification));
    },
    notify(object, action, more) {
      const entry = log.append(object, action, more);
      log.carry(entry);
      return entry;
    },
  };

  /** Streams are sent what their node has tailed by now. */
  function push(): void {
    for (const open of streams)
      for (; open.sent < Math.min(tail, log.entries.length); open.sent++) {
        const entry = log.entries[open.sent] as Entry;
        const notification = rendering(entry, open.request);
        const { position } = entry.notification;
        if (!open.stream.closed && notification) open.stream.send({ type: 'notification', notification }, position);
      }
  }

  /** The one rendering that a reader of these channels gets. */
  function rendering(entry: Entry, { channels: covered }: StreamRequest): WireNotification | undefined {
    const every = (channel: string) =>
      channel.endsWith('/*') && Object.keys(covered).some((name) => name.startsWith(channel.slice(0, -1)));
    return renderings(entry).find(({ channel }) => channel in covered || every(channel))?.notification;
  }

  /** What a reader is sent at its opening. */
  function opening(request: StreamRequest): ServerEvent[] {
    const known = log.entries.slice(0, log.tail);
    const top = (known.at(-1)?.notification.position ?? `${log.epoch}:10`) as Position;
    const bases = Object.entries(request.channels);
    const foreign = bases.filter(([, base]) => base !== null && !base.startsWith(`${log.epoch}:`));
    const missed = known.flatMap((entry): ServerEvent[] => {
      const { position } = entry.notification;
      const after = bases.filter(([, base]) => base !== null && isAfter(position, base));
      const notification = rendering(entry, { ...request, channels: Object.fromEntries(after) });
      return notification ? [{ type: 'notification', notification }] : [];
    });
    const latest: Record<string, Record<string, Latest>> = {};
    for (const [channel] of bases) {
      const news: Record<string, Latest> = {};
      for (const entry of known) {
        const { action, position } = entry.notification;
        if (rendering(entry, { ...request, channels: { [channel]: null } }))
          news[action] = { position, age: world.now() - entry.at };
      }
      latest[channel] = news;
    }
    const { epoch, user, heartbeat, provider: named } = server.config;
    return [
      { type: 'hello', protocol: 1, epoch, user, heartbeat, spread: 0, provider: named },
      ...missed,
      ...(foreign.length > 0 ? [{ type: 'resync' as const, channels: foreign.map(([channel]) => channel) }] : []),
      { type: 'ready', position: top, known: 400_000, latest },
    ];
  }

  world.network = async (input, init) => {
    const body = init?.body === undefined ? undefined : JSON.parse(String(init.body));
    if (body?.wait === 'once') {
      init?.signal?.throwIfAborted();
      log.reads.push(body);
      const special = log.insteadOfReads.shift();
      if (special) return special();
      if (log.held)
        await new Promise<void>((resolve, reject) => {
          waiting.push(resolve);
          init?.signal?.addEventListener('abort', () => reject(new Error('aborted')));
        });
      return Response.json({ events: opening(body) });
    }
    if (body?.connection && !server.instead.auth?.length) {
      server.requests.push({ route: 'auth', body, headers: new Headers(init?.headers) });
      return Response.json({ epoch: server.config.epoch, reauthorise: [], details: {}, renewIn: 200_000 });
    }
    const count = server.streams.length;
    const response = await server.fetch(input, init);
    const stream = server.streams[count];
    if (stream) {
      for (const event of opening(body)) stream.send(event, event.type === 'ready' ? event.position : undefined);
      streams.push({ stream, request: body, sent: Math.min(tail, log.entries.length) });
    }
    return response;
  };
  return { ...bench, provider, log };
}
