/**
 * Links over a provider: links of the usual kind, which all share the one connection of the page to the provider. Loaded
 * when the server names a provider that the page has. States and races are in docs/hosted.md.
 */
import type { ClientAdapter, Interest, Link, LinkHost } from '../../adapters/contract.js';
import { ListenError } from '../../adapters/errors.js';
import { limited } from '../../adapters/limit.js';
import { parseNotification } from '../../adapters/notification.js';
import { comparePositions, isAfter, type Position } from '../../adapters/position.js';
import type { ProviderAuthAnswer, ReadyEvent, ServerEvent, StreamAnswer } from '../../adapters/protocol.js';
import type {
  CheckMessage,
  ProviderClientAdapter,
  ProviderConnection,
  ProviderInterest,
} from '../../adapters/provider.js';
import type { Core } from './core.js';
import { guard } from './guard.js';
import { readJson } from './http.js';
import { createTimer } from './timer.js';

/** How long the provider may carry nothing before a link over the built-in SSE takes over, in milliseconds. */
export const GRACE = 5_000;
/** After how long more a link that nothing took over counts as cut, in milliseconds. */
const CUT = 30_000;
/**
 * How long the provider must carry without a break before the built-in SSE is left, in milliseconds, up to as much again
 * by chance: at first, and at most. It doubles with each return, so that one that comes and goes costs ever less.
 */
export const HOLD = 5_000;
const HOLD_MAX = 300_000;
/** How often a visible page reads although nothing asks for it, in milliseconds, more or less a fifth. */
export const CHECK = 60_000;
/** How often a hidden page whose read is due looks whether it is seen again, in milliseconds. */
const LOOK = 5_000;
/** Between the beginnings of two reads of a link, in milliseconds: messages that ask for reads must not make a loop. */
const PAUSE = 1_000;
/** The longest random wait before a read, in milliseconds: the server's own bound for spreading. */
const MAX_WITHIN = 60_000;
/** How long one request may take, in milliseconds. */
const ANSWER_LIMIT = 15_000;
/** Positions that are remembered above the bases, for the whole page: some 0.1 kB each. */
export const MAX_REMEMBERED = 1_000;
/** How long the connection outlives its last link, in milliseconds: above the backoff between two links. */
const LINGER = 60_000;
/** Since when nothing is carried where the provider refused: for too long already. */
const EVER = Number.NEGATIVE_INFINITY;

/** Makes links, and holds the connection that they share. */
export interface Hosted extends ClientAdapter {
  /** Ends the connection. The next link makes another one. */
  close(): void;
}

/** What the shared connection tells each link. */
interface Member {
  event(event: ServerEvent): void;
  /** @param lost something may have been lost before */
  attached(lost: boolean): void;
  down(): void;
  /** Reads after a random part of so many milliseconds. */
  ask(within: number): void;
}

/** @param sse opens the links over our own server, where the provider does not carry */
export function hosted(
  provider: ProviderClientAdapter,
  sse: ClientAdapter,
  { world, report }: Pick<Core, 'world' | 'report'>,
): Hosted {
  const { name, capabilities } = provider;
  const members = new Set<Member>();
  /** What was handed on above the bases, and to whom. One by one, since the provider keeps no order across channels. */
  const remembered = new Map<Position, WeakSet<object>>();
  let connection: ProviderConnection | undefined;
  let session = new AbortController();
  /** The text of the settings of the connection: with others it is another one. */
  let settings: string;
  let newest: ProviderInterest | undefined;
  /** What is carried at the moment. */
  let attached: ProviderInterest | undefined;
  /** Since when nothing is carried, on the monotonic clock. */
  let silent: number | undefined;
  /** The window for what all pages do at once, in milliseconds. */
  let spread = 0;
  let hold = HOLD;
  const [lingerFor, stopLinger] = createTimer(world, close);

  function all(tell: (member: Member) => void): void {
    for (const member of [...members]) tell(member);
  }

  const askAll = (within: number): void => all((member) => member.ask(within));

  const sees: NonNullable<Link['sees']> = (cursor, position) => {
    const { position: base } = cursor;
    const order = base === undefined ? 1 : comparePositions(position, base);
    let seers = remembered.get(position);
    if ((order as number) <= 0 || seers?.has(cursor)) return false;
    // Another log: only a read can tell what came before it there.
    if (order === undefined) askAll(0);
    if (!seers) {
      if (remembered.size >= MAX_REMEMBERED) {
        // What of these comes again is handed on again, which is harmless.
        remembered.clear();
        askAll(0);
      }
      seers = new WeakSet();
      remembered.set(position, seers);
    }
    seers.add(cursor);
    return true;
  };

  function close(): void {
    stopLinger();
    connection?.close();
    session.abort();
    connection = newest = attached = undefined;
  }

  function connect({ config, request }: LinkHost): void {
    session = new AbortController();
    const { signal } = session;
    silent = world.monotonic();
    const made = guard(report, () => {
      connection = provider.connect({
        config,
        world,
        authorise: (id, set) =>
          limited(world, signal, ANSWER_LIMIT, async (attempt) => {
            const body = { connection: id, ...set };
            const answer = await readJson<ProviderAuthAnswer>(await request('auth', body, attempt));
            const { reauthorise: channels } = answer;
            if (channels?.length) all((member) => member.event({ type: 'reauthorise', channels }));
            return answer;
          }),
        attached(set) {
          if (set !== newest) return;
          const lost = silent !== undefined || attached === set;
          silent = undefined;
          attached = set;
          all((member) => member.attached(lost));
        },
        missed: () => askAll(spread),
        message(data) {
          let value = data;
          guard(Boolean, () => {
            if (typeof data === 'string') value = JSON.parse(data);
          });
          const notification = parseNotification(value);
          if (notification) all((member) => member.event({ type: 'notification', notification }));
          // What cannot be read may have been news: a read tells.
          else askAll(Number((value as CheckMessage | null)?.check) || 0);
        },
        down(error) {
          if (error.code === 'network') silent ??= world.monotonic();
          else {
            // Once: it goes on trying, and is refused again.
            if (silent !== EVER) report(error);
            silent = EVER;
          }
          attached = undefined;
          all((member) => member.down());
        },
      });
    });
    if (!made) silent = EVER;
  }

  /** Takes the set of a new link; the same one costs nothing. */
  function want(set: ProviderInterest, host: LinkHost): ProviderInterest {
    const text = JSON.stringify(host.config.settings);
    stopLinger();
    if (text !== settings) close();
    settings = text;
    if (!connection) connect(host);
    if (newest && JSON.stringify(set) === JSON.stringify(newest)) return newest;
    newest = set;
    connection?.update(set);
    return set;
  }

  function open(interest: Interest, host: LinkHost): Link {
    const life = new AbortController();
    const { signal } = life;
    const { grants, channels } = interest;
    const names = Object.keys(channels);
    const set = want({ grants, channels: names.slice(0, capabilities.channels) }, host);
    /** What the provider cannot hold goes beside it, over our own server; after the fall, everything does. */
    const rest = names.slice(set.channels.length);
    let beside: Link | undefined;
    /** Up to where it was read beside. */
    let besideAt: Position | undefined;
    let besideHeard = world.monotonic();
    let fallen = false;
    let ready = false;
    /** Another link was asked for. */
    let asked = false;
    let reading = false;
    let more = false;
    /** When the newest read began, and when one is due, on the monotonic clock. */
    let began: number | undefined;
    let due = Number.POSITIVE_INFINITY;

    const [turnIn, stopTurn] = createTimer(world, turn);
    const [readIn, stopRead] = createTimer(world, read);
    const [checkIn, stopCheck] = createTimer(world, () => {
      if (!host.visible()) return checkIn(LOOK);
      hold = HOLD;
      if (beside && world.monotonic() - besideHeard > 2 * host.config.heartbeat + 30_000) fail(cut());
      else ask(0);
    });
    const cut = () => new ListenError('network', `${name}: silent`);

    function fail(cause: unknown): void {
      if (signal.aborted) return;
      host.down(cause instanceof ListenError ? cause : new ListenError('protocol', 'stream: no answer', { cause }));
    }

    const link: Link = {
      sees,
      close() {
        stop();
        if (members.delete(member) && members.size === 0) lingerFor(LINGER);
      },
    };

    function stop(): void {
      life.abort();
      stopTurn();
      stopRead();
      stopCheck();
      beside?.close();
    }

    /** Tells the status; what is known of the positions the reads say. */
    function beat(degraded = silent !== undefined): void {
      host.event({ type: 'heartbeat', spread, ...(degraded && { degraded }) });
    }

    /** Nothing was carried for too long; after the fall: it is carried again, for long enough. */
    function turn(): void {
      if (fallen) {
        host.again();
        hold = Math.min(2 * hold, HOLD_MAX);
        turnIn(hold * (1 + world.random()));
      } else if (!ready) {
        stop();
        fallen = true;
        delete link.sees;
        beside = sse.open(interest, host);
      } else if (asked) fail(cut());
      else {
        asked = true;
        host.again();
        turnIn(CUT);
      }
    }

    function wait(): void {
      const now = world.monotonic();
      const left = (silent ?? now) + GRACE - now;
      if (left > 0) turnIn(left);
      else turn();
    }

    function proceed(): void {
      if (attached === set && (besideAt || rest.length === 0) && began === undefined) void read();
    }

    function ask(within: number): void {
      const now = world.monotonic();
      const at = Math.max((began ?? 0) + PAUSE, now + world.random() * Math.min(within, MAX_WITHIN));
      if (signal.aborted || began === undefined || at >= due) return;
      due = at;
      readIn(at - now);
    }

    async function read(): Promise<void> {
      stopRead();
      due = Number.POSITIVE_INFINITY;
      more = reading;
      if (reading) return;
      reading = true;
      began = world.monotonic();
      try {
        const { events } = await limited(world, signal, ANSWER_LIMIT, async (attempt) => {
          const body = { wait: 'once', ...host.interest() };
          return readJson<StreamAnswer>(await host.request('stream', body, attempt));
        });
        let whole = false;
        for (const event of events) {
          if (signal.aborted) return;
          const { type } = event;
          if (type === 'hello') spread = event.spread;
          // Silence means nothing here: a link that is not carried ends itself.
          host.event(type === 'hello' ? { ...event, heartbeat: Number.POSITIVE_INFINITY } : event);
          if (type !== 'ready') continue;
          ready = whole = true;
          for (const position of remembered.keys()) if (!isAfter(position, event.position)) remembered.delete(position);
        }
        if (!whole) throw new ListenError('protocol', 'stream: not ready');
      } catch (cause) {
        return fail(cause);
      }
      if (signal.aborted) return;
      reading = false;
      beat();
      checkIn(CHECK * (0.8 + 0.4 * world.random()));
      if (more) ask(0);
    }

    const member: Member = {
      event(event) {
        if (!fallen) host.event(event);
      },
      ask,
      attached(lost) {
        stopTurn();
        asked = false;
        if (fallen) turnIn(hold * (1 + world.random()));
        else if (began === undefined) proceed();
        else if (lost) ask(ready ? spread : 0);
      },
      down() {
        if (fallen) stopTurn();
        else if (!asked) {
          if (ready) beat();
          wait();
        }
      },
    };
    members.add(member);
    if (attached === set) proceed();
    else wait();
    if (rest.length > 0 && !fallen)
      beside = sse.open(interest, {
        ...host,
        interest() {
          const { channels: bases, own, ...others } = host.interest();
          const known = rest.filter((channel) => channel in bases);
          return {
            ...others,
            own: besideAt ?? own,
            channels: Object.fromEntries(known.map((channel) => [channel, besideAt ?? bases[channel] ?? null])),
          };
        },
        alive() {
          besideHeard = world.monotonic();
        },
        via() {},
        event(event, id) {
          const { type } = event;
          if (type === 'ready' || besideAt) besideAt = id ?? (event as Partial<ReadyEvent>).position ?? besideAt;
          if (type === 'ready') proceed();
          else if (type === 'heartbeat') beat(event.degraded);
          // The reads say the rest of what a stream says when it is opened.
          else if (type !== 'hello' && (type !== 'resync' || besideAt)) host.event(event);
        },
        down: fail,
      });
    return link;
  }

  return { name, capabilities: { fansOut: 'provider', replays: false }, open, close };
}
