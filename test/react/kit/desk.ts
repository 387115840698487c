/** A server in the same process, behind `fetch`: it speaks the protocol's main line and counts what is asked of it. */
import { channelOf, everyChannelOf } from '../../../adapters/channel.js';
import type { ObjectRef } from '../../../adapters/contract.js';
import type {
  AuthAnswer,
  AuthRequest,
  ConfigAnswer,
  Latest,
  ServerEvent,
  StreamRequest,
  WireNotification,
} from '../../../adapters/protocol.js';

const EPOCH = 'desk';

interface Stream {
  readonly channels: ReadonlySet<string>;
  write(event: ServerEvent, position?: string): void;
  end(): void;
}

export interface Desk {
  /** For the `world` option of a client. */
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** How often each route was asked. */
  readonly asked: { config: number; auth: number; stream: number };
  /** Every object of every `/auth` request, as a channel, in order. */
  readonly objects: string[];
  /** The channels of every stream, in the order of opening. */
  readonly opened: string[][];
  /** The channels that live streams cover now. */
  covered(): string[];
  notify(action: string, object: ObjectRef, more?: Partial<WireNotification>): void;
  /** From now on these objects are refused. */
  refuse(...objects: ObjectRef[]): void;
  /** The right to them ends under the open page, and these objects are refused from now on. */
  revoke(...objects: ObjectRef[]): void;
  /** They may be listened to again. */
  allow(...objects: ObjectRef[]): void;
  /** From now on everything is answered with this status, until 200. */
  fail(status: number): void;
  /** From now on answers wait, until the function that it returns is called. */
  hold(): () => void;
  /** Cuts every stream, as a dead server would. */
  cut(): void;
}

export function createDesk(): Desk {
  const streams = new Set<Stream>();
  const log: { notification: WireNotification; offset: number; at: number; channels: string[] }[] = [];
  const refused = new Set<string>();
  const asked = { config: 0, auth: 0, stream: 0 };
  const objects: string[] = [];
  const opened: string[][] = [];
  let top = 100;
  let status = 200;
  let gate: Promise<void> | undefined;

  const json = (body: unknown, code = 200): Response =>
    new Response(JSON.stringify(body), { status: code, headers: { 'content-type': 'application/json' } });

  function config(): Response {
    const answer: ConfigAnswer = {
      protocol: 1,
      epoch: EPOCH,
      provider: 'sse',
      settings: {},
      user: 'ann',
      heartbeat: 15_000,
      retry: { min: 1, max: 20 },
      retention: 420_000,
    };
    return json(answer);
  }

  function auth(request: AuthRequest): Response {
    const channels = request.objects.map((object) => channelOf(object));
    objects.push(...channels);
    const answer: AuthAnswer = {
      epoch: EPOCH,
      results: channels.map((channel) => (refused.has(channel) ? 'refused' : 'granted')),
      grant: JSON.stringify(channels.filter((channel) => !refused.has(channel))),
      expiresIn: 300_000,
    };
    return json(answer);
  }

  function latest(channel: string): Record<string, Latest> {
    const newest: Record<string, Latest> = {};
    for (const { notification, offset, at, channels } of log) {
      if (!channels.includes(channel)) continue;
      const { action, changedDate = 0 } = notification;
      newest[action] = { position: `${EPOCH}:${offset}`, age: Date.now() - at, changedDate };
    }
    return newest;
  }

  function stream(request: StreamRequest, signal: AbortSignal | null | undefined): Response {
    const granted = new Set(request.grants.flatMap((grant) => JSON.parse(grant) as string[]));
    const channels = new Set(Object.keys(request.channels).filter((channel) => granted.has(channel)));
    const covers = new Set([
      ...channels,
      ...[...channels].map((channel) => everyChannelOf(channel.split('/')[0] ?? '')),
    ]);
    opened.push([...channels]);
    const encoder = new TextEncoder();
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        let open = true;
        const live: Stream = {
          channels: covers,
          write(event, position) {
            const { type, ...rest } = event;
            const data = JSON.stringify(event.type === 'notification' ? event.notification : rest);
            const id = position === undefined ? '' : `id: ${position}\n`;
            if (open) controller.enqueue(encoder.encode(`${id}event: ${type}\ndata: ${data}\n\n`));
          },
          end() {
            streams.delete(live);
            if (open) controller.error(new TypeError('cut'));
            open = false;
          },
        };
        streams.add(live);
        signal?.addEventListener('abort', () => live.end());
        live.write({ type: 'hello', protocol: 1, epoch: EPOCH, user: 'ann', heartbeat: 15_000, spread: 0 });
        for (const entry of log) {
          const after = entry.channels.some((channel) => {
            const position = request.channels[channel];
            return position && entry.offset > Number(position.split(':')[1]);
          });
          if (after) live.write({ type: 'notification', notification: entry.notification }, `${EPOCH}:${entry.offset}`);
        }
        const news = Object.fromEntries([...channels].map((channel) => [channel, latest(channel)]));
        live.write({ type: 'ready', position: `${EPOCH}:${top}`, known: 1e9, latest: news }, `${EPOCH}:${top}`);
      },
    });
    return new Response(body, { status: 200, headers: { 'content-type': 'text/event-stream' } });
  }

  return {
    asked,
    objects,
    opened,
    covered: () =>
      [...new Set([...streams].flatMap((each) => [...each.channels]))].filter((name) => !name.endsWith('*')),
    async fetch(url, init) {
      const route = new URL(url, 'http://desk').pathname.split('/').pop() as keyof typeof asked;
      asked[route]++;
      await gate;
      if (init.signal?.aborted) throw new DOMException('aborted', 'AbortError');
      if (status !== 200)
        return json({ error: { code: status === 401 ? 'unauthenticated' : 'unavailable', message: 'x' } }, status);
      if (route === 'config') return config();
      const body = JSON.parse(String(init.body));
      return route === 'auth' ? auth(body) : stream(body, init.signal);
    },
    notify(action, object, more) {
      top += 7; // gaps are normal
      const position = `${EPOCH}:${top}` as const;
      const id = object.id === undefined ? {} : { id: String(object.id) };
      const notification: WireNotification = {
        entity: object.entity,
        ...id,
        action,
        changedDate: top,
        position,
        ...more,
      };
      const channels =
        object.id === undefined
          ? [channelOf(object), everyChannelOf(object.entity)]
          : [channelOf(object), channelOf({ entity: object.entity })];
      log.push({ notification, offset: top, at: Date.now(), channels });
      const reduced: WireNotification = { entity: object.entity, action, position };
      for (const each of streams) {
        const [first = '', ...others] = channels;
        if (each.channels.has(first)) each.write({ type: 'notification', notification }, position);
        else if (others.some((channel) => each.channels.has(channel))) {
          each.write(
            { type: 'notification', notification: object.id === undefined ? notification : reduced },
            position,
          );
        }
      }
    },
    refuse(...these) {
      for (const object of these) refused.add(channelOf(object));
    },
    revoke(...these) {
      const channels = these.map((object) => channelOf(object));
      for (const channel of channels) refused.add(channel);
      for (const each of streams) each.write({ type: 'refused', channels });
    },
    allow(...these) {
      for (const object of these) refused.delete(channelOf(object));
    },
    fail(code) {
      status = code;
    },
    hold() {
      let release = (): void => {};
      gate = new Promise((resolve) => {
        release = resolve;
      });
      return release;
    },
    cut() {
      for (const each of [...streams]) each.end();
    },
  };
}
