/**
 * Links over a provider: links of the usual kind, which all share the one connection of the page to the provider. Loaded
 * when the server names a provider that the page has. States and races are in docs/hosted.md.
 */
import type { ClientAdapter, Interest, Link, LinkHost } from '../../adapters/contract.js';
import { ListenError } from '../../adapters/errors.js';
import { parseNotification } from '../../adapters/notification.js';
import type { ConfigAnswer, ProviderAuthAnswer, ServerEvent, StreamAnswer } from '../../adapters/protocol.js';
import type {
  CheckMessage,
  ProviderClientAdapter,
  ProviderConnection,
  ProviderInterest,
} from '../../adapters/provider.js';
import type { Core } from './core.js';
import { createSeen } from './seen.js';
import { createTimer } from './timer.js';

/**
 * How long the provider may carry nothing before a link over the built-in SSE takes over, and how long it must carry
 * without a break before that one is left: then up to as much again, by chance. Also how often a hidden page whose read
 * is due looks whether it is seen again. Milliseconds.
 */
const PATIENCE = 5_000;
/**
 * A visible page reads at least so often although nothing asks for it, in milliseconds, up to {@link PATIENCE} sooner by
 * chance. It bounds how long a message that the provider lost in silence can be missing.
 */
const CHECK = 60_000;
/**
 * The random wait before each read that something asked for, and the least between a read and the next one, in
 * milliseconds: no message can make a loop of reads.
 */
const PAUSE = 1_000;
/** The longest text that is read, four times `MAX_WIRE_BYTES`: anything larger would be kept for a while. */
const MAX_TEXT = 4_096;

const NEVER = Number.POSITIVE_INFINITY;

/** Opens links, and holds the connection that they share. */
export interface Hosted {
  /** Opens a link, as an adapter does. */
  open(interest: Interest, host: LinkHost, provider: ProviderClientAdapter): Link;
  /** Ends the connection. The next link makes another one. */
  close(): void;
}

/** A link, as the shared connection sees it. */
interface Member extends Link {
  event(event: ServerEvent): void;
  /** Something is carried from now on, or no more. */
  changed(): void;
  /** Reads after a random part of so many milliseconds; of {@link CHECK} at most, since no message may stop the reads. */
  ask(within: number): void;
}

/** @param sse opens links over our own server, where the provider does not carry */
export function hosted(sse: ClientAdapter, core: Core): Hosted {
  const { world } = core;
  const members = new Set<Member>();
  const { sees, settle } = createSeen(() => askAll());
  let connection: ProviderConnection | undefined;
  /** What the connection was made with; none while there is no connection. */
  let config: ConfigAnswer | undefined;
  /** The newest set that it was given. */
  let newest: ProviderInterest | undefined;
  /** By when it must be carried, on the monotonic clock: never while it is, long ago where the provider refused. */
  let deadline: number;
  /** Of the connection and of all reads. */
  let life: AbortController | undefined;

  function askAll(within = 0): void {
    for (const member of members) member.ask(within);
  }

  function tellAll(event: ServerEvent): void {
    // A stream that took over hears it by itself; it must not seem alive because the provider is.
    for (const member of members) if (member.quiet || event.type !== 'notification') member.event(event);
  }

  function carriedBy(moment: number): void {
    deadline = moment;
    for (const member of members) member.changed();
  }

  /** The deadline of something that is not carried from now on; an earlier one stays. */
  const soon = (): number => Math.min(deadline, world.monotonic() + PATIENCE);

  function close(): void {
    connection?.close();
    life?.abort();
    config = undefined;
  }

  function connect(provider: ProviderClientAdapter, made: ConfigAnswer): void {
    close();
    life = new AbortController();
    newest = undefined;
    config = made;
    deadline = NEVER;
    connection = provider.connect({
      config,
      world,
      async authorise(connection, set) {
        const body = { connection, ...set };
        const answer = await core.ask<ProviderAuthAnswer>('auth', body, (life as AbortController).signal);
        if (answer.reauthorise?.length) tellAll({ type: 'reauthorise', channels: answer.reauthorise });
        return answer;
      },
      attached(set) {
        if (set === newest) carriedBy(NEVER);
      },
      missed: () => askAll(core.spread),
      message(data) {
        let value = data;
        try {
          // What is not text is not JSON either.
          if ((data as string).length <= MAX_TEXT) value = JSON.parse(data as string);
        } catch {}
        const notification = parseNotification(value);
        if (notification) tellAll({ type: 'notification', notification });
        // What cannot be read may have been news: a read tells.
        else askAll((value as CheckMessage | null)?.check);
      },
      down(error) {
        const cut = error.code === 'network';
        // Once: it goes on trying, and is refused again.
        if (!cut && deadline) core.report(error);
        carriedBy(cut ? soon() : 0);
      },
    });
  }

  function open(interest: Interest, host: LinkHost, provider: ProviderClientAdapter): Link {
    /** What the provider cannot hold. */
    const rest = Object.keys(interest.channels);
    const set = { grants: interest.grants, channels: rest.splice(0, provider.capabilities.channels) };
    if (config !== host.config) connect(provider, host.config);
    if (JSON.stringify(set) !== JSON.stringify(newest)) {
      newest = set;
      deadline = soon();
      connection?.update(set);
    }
    /** The provider does not carry: everything goes over our own server. */
    const instead = deadline <= world.monotonic();
    /** Over our own server. */
    let inner = instead ? sse.open(interest, host) : undefined;
    let began = false;
    let reading = false;
    /** A read is due; not before the first one. */
    let asked = true;
    /** When the next read may be, on the monotonic clock. */
    let free = 0;
    let chunk: undefined | typeof import('./overflow.js');

    const [turnIn, stopTurn] = createTimer(world, () => {
      if (instead || began) {
        host.again();
        turnLater();
      } else host.down();
    });
    const [readIn, stopRead] = createTimer(world, () => {
      if (asked || host.visible()) void read();
      else readIn(PATIENCE);
    });

    function turnLater(): void {
      turnIn(PATIENCE * (1 + world.random()));
    }

    /** Tells the status; what is known of the positions, the reads say. */
    function beat(): void {
      host.event({ type: 'heartbeat', spread: core.spread, ...(deadline < NEVER && { degraded: true }) });
    }

    async function read(): Promise<void> {
      began = reading = true;
      asked = false;
      let failure: ListenError | undefined = new ListenError('protocol', 'read');
      try {
        // Before anything is ready, so that a chunk that is not there is no loop. Then our own server carries all.
        if (rest[0])
          chunk ??= await import('./overflow.js').catch(() => {
            deadline = 0;
            throw failure;
          });
        const { events } = await core.ask<StreamAnswer>(
          'stream',
          { wait: 'once', ...host.interest() },
          (life as AbortController).signal,
        );
        for (const event of events) {
          host.event(event);
          if (event.type === 'ready') {
            failure = undefined;
            settle(event.position);
          }
        }
      } catch (cause) {
        failure = cause as ListenError;
      }
      if (failure) host.down(failure);
      // The core takes nothing of a link that it has closed; but no timer may stay.
      if (!members.has(link)) return;
      inner ??= chunk?.overflow(sse, rest, host, link.ask);
      reading = false;
      free = world.monotonic() + PAUSE;
      beat();
      readIn(asked ? PAUSE : CHECK - world.random() * PATIENCE);
    }

    const link: Member = {
      sees,
      quiet: !instead,
      close() {
        stopTurn();
        stopRead();
        inner?.close();
        members.delete(link);
      },
      changed() {
        stopTurn();
        if (deadline < NEVER) {
          if (instead) return;
          beat();
          turnIn(deadline - world.monotonic());
        } else if (instead) turnLater();
        else if (began) link.ask(core.spread);
        else void read();
      },
      event: host.event,
      ask(within) {
        // What came in a message may be anything.
        if (!asked && !reading)
          readIn(Math.max(free - world.monotonic(), world.random() * (PAUSE + (Math.min(within, CHECK) || 0))));
        asked = true;
      },
    };
    members.add(link);
    link.changed();
    return link;
  }

  return { open, close };
}
