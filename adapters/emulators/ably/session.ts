/**
 * One connection as Ably means it: it outlives its socket for two minutes, so that the client can come back to it.
 * Over 300 lines long, because every frame of the client ends here; what each does to a channel is in files of their own.
 */
import type { EmulatorWorld } from '../emulator.js';
import { createAcknowledgements } from './acknowledgements.js';
import type { Attachment, Carrier } from './attachment.js';
import { createAttachments } from './attachments.js';
import type { Authenticate, Caller } from './auth.js';
import { RECOVERY_WINDOW } from './channel.js';
import { AblyError, asAblyError, isPassing } from './errors.js';
import { randomName } from './names.js';
import { takePresence } from './presence.js';
import { ACTION, type ConnectionDetails, type ErrorInfo, FLAG, PRESENCE, type ProtocolMessage } from './protocol.js';
import { publish, rateError, readChannelName } from './publishing.js';
import { createRate } from './rates.js';
import { createTokenLife } from './token-life.js';
import { encodeFrame, type Format, readItems } from './wire.js';

export const MAX_FRAME_SIZE = 524_288;
/** How often a connection hears something, at least. Milliseconds. */
export const MAX_IDLE = 15_000;
/** How long members stay when the socket of their connection ends without a word. Milliseconds. */
const PRESENCE_GRACE = 15_000;
/** A socket that carries a connection. */
export interface Transport {
  readonly format: Format;
  readonly echo: boolean;
  send(frame: string | Uint8Array): void;
  /** Tells whether it is on its way. */
  message(channel: string, frame: string | Uint8Array): boolean;
  /** After what was sent before. */
  close(): void;
  cut(): void;
}

/** What it tells those who keep all of them. */
export interface SessionEvents {
  published(): void;
  delivered(): void;
  /** It cannot be resumed any more. */
  ended(): void;
  /** The account's quota of messages is used up. */
  quota(): boolean;
  connectionOf(caller: Caller, key: string): { readonly id: string; readonly clientId: string | undefined } | undefined;
}

export interface Session {
  readonly id: string;
  /** Whether this is a key of it. */
  owns(key: string): boolean;
  readonly caller: Caller;
  /** Whether a socket carries it. */
  readonly live: boolean;
  readonly attachments: ReadonlyMap<string, Attachment>;
  /** Takes over this socket and says CONNECTED; `error`: why this is not the connection that was asked for. */
  carry(transport: Transport, caller: Caller, error?: ErrorInfo): void;
  heard(transport: Transport, frame: ProtocolMessage): void;
  /** Its socket has ended. */
  dropped(transport: Transport): void;
  /** Asks the client for another token. */
  askForToken(): void;
  /** Ends the socket with this error: the client comes back, or takes it as final. */
  refuse(error: ErrorInfo): void;
  /** Ends the socket without a word. */
  cut(): void;
  end(): void;
}

export interface SessionOptions {
  readonly caller: Caller;
  readonly world: EmulatorWorld;
  readonly authenticate: Authenticate;
  readonly events: SessionEvents;
}

export function createSession({ caller: first, world, authenticate, events }: SessionOptions): Session {
  let caller = first;
  const { limits } = caller.app;
  const id = randomName(10);
  /** Each time that it is carried it has another key; the older ones stay good. */
  const secret = `${id}!${randomName(16)}`;
  let times = 0;
  let transport: Transport | undefined;
  const inbound = createRate(limits.inboundRate, world);
  const outbound = createRate(limits.outboundRate, world);
  const backlog = createRate(limits.backlogRate, world);
  const timers: Record<'state' | 'presence' | 'rate', unknown> = { state: 0, presence: 0, rate: 0 };
  let waiting: (() => void)[] = [];

  function after(name: keyof typeof timers, ms: number, run: () => void): void {
    world.clearTimeout(timers[name]);
    timers[name] = world.setTimeout(run, ms);
  }
  const send = (frame: ProtocolMessage): void => transport?.send(encodeFrame(transport.format, frame));
  const acknowledgements = createAcknowledgements(send);

  const carrier: Carrier = {
    connectionId: id,
    get format() {
      return transport?.format ?? 'json';
    },
    get echo() {
      return transport?.echo ?? true;
    },
    outbound,
    backlog,
    send,
    message(channel, frame) {
      if (transport?.message(channel, frame)) events.delivered();
    },
    later(run) {
      waiting.push(run);
      if (waiting.length > 1) return;
      after('rate', Math.max(outbound.rest(), backlog.rest()), () => {
        const due = waiting;
        waiting = [];
        for (const each of due) each();
      });
    },
  };

  const attachments = createAttachments(carrier);
  const tokenLife = createTokenLife(world, {
    ask: () => session.askForToken(),
    expire: () => session.refuse(new AblyError(40142, 'token expired', 401).info),
  });

  const details = (): ConnectionDetails => ({
    ...(caller.clientId !== undefined && { clientId: caller.clientId }),
    connectionKey: `${secret}-${times}`,
    maxMessageSize: limits.messageSize,
    maxFrameSize: MAX_FRAME_SIZE,
    maxInboundRate: Math.min(limits.inboundRate, 1_000_000),
    connectionStateTtl: RECOVERY_WINDOW,
    maxIdleInterval: MAX_IDLE,
    serverId: 'emulator',
  });
  function connected(error?: ErrorInfo): void {
    send({
      action: ACTION.CONNECTED,
      connectionId: id,
      connectionDetails: details(),
      timestamp: world.now(),
      ...(error && { error }),
    });
    tokenLife.follow(caller.token);
  }

  /** Members of this connection leave: on one channel, or on all. */
  function leave(only?: string): void {
    for (const channel of [...caller.app.channels.values()]) {
      if (only !== undefined && channel.name !== only) continue;
      for (const { clientId = '' } of channel.members.of(id))
        takePresence(channel, [{ action: PRESENCE.LEAVE, clientId }], {
          connectionId: id,
          base: `emulator-${randomName(12)}`,
        });
    }
  }

  function reauthorise(token: string | undefined): void {
    try {
      const next = authenticate({ token: token ?? '', clientId: undefined });
      const isOther =
        next.app !== caller.app ||
        (next.clientId !== caller.clientId && next.clientId !== '*' && caller.clientId !== '*');
      if (isOther) throw new AblyError(40102, 'the new token is of another app or clientId', 401);
      // A client that was named when it connected keeps its name under a token for any.
      caller = { ...next, clientId: next.clientId === '*' ? caller.clientId : next.clientId };
    } catch (thrown) {
      return void end(ACTION.ERROR, asAblyError(thrown).info);
    }
    connected();
    attachments.restrict(caller);
  }

  function takeMessages({ channel: name, messages = [], msgSerial = 0 }: ProtocolMessage): readonly (string | null)[] {
    const channel = attachments.open(name, caller, 'publish', FLAG.PUBLISH);
    if (events.quota()) throw QUOTA;
    if (!inbound.take(messages.length)) throw rateError(42911, 'connection.inboundRate');
    const connectionOf = (other: string) => events.connectionOf(caller, other);
    const publisher = { caller, connectionId: id, base: `${id}:${msgSerial}`, connectionOf };
    const entry = publish(channel, messages, publisher, events.published);
    return (entry.messages ?? []).map((message) => message.serial ?? null);
  }

  function takeMembers({ channel: name, presence = [], msgSerial = 0 }: ProtocolMessage): readonly (string | null)[] {
    const channel = attachments.open(name, caller, 'presence', FLAG.PRESENCE);
    if (!inbound.take(presence.length)) throw rateError(42911, 'connection.inboundRate');
    takePresence(channel, readItems(presence), {
      connectionId: id,
      base: `${id}:${msgSerial}`,
      clientId: caller.clientId,
    });
    return [];
  }

  function take(frame: ProtocolMessage): void {
    const { channel: name } = frame;
    switch (frame.action) {
      case ACTION.HEARTBEAT:
        send({ action: ACTION.HEARTBEAT, ...(frame.id !== undefined && { id: frame.id }) });
        break;
      case ACTION.ATTACH:
        attachments.attach(frame, caller);
        break;
      case ACTION.DETACH:
        attachments.release(name ?? '');
        leave(readChannelName(name).base);
        send({ action: ACTION.DETACHED, ...(name !== undefined && { channel: name }) });
        break;
      case ACTION.MESSAGE:
        acknowledgements.answer(frame, () => takeMessages(frame));
        break;
      case ACTION.PRESENCE:
        acknowledgements.answer(frame, () => takeMembers(frame));
        break;
      case ACTION.SYNC:
        attachments.held.get(name ?? '')?.sync();
        break;
      case ACTION.AUTH:
        reauthorise(frame.auth?.accessToken);
        break;
      case ACTION.CLOSE:
        end(ACTION.CLOSED);
        session.end();
        break;
      case ACTION.DISCONNECT:
        end(ACTION.DISCONNECTED);
        break;
      default:
        // Of a newer protocol, it is passed over (RSF1); unless somebody waits to hear what became of it.
        if (frame.msgSerial !== undefined)
          acknowledgements.answer(frame, () => {
            throw new AblyError(40000, `the emulator does not serve action ${frame.action}`);
          });
    }
  }

  /** Says a last word, and lets go of the socket. */
  function end(action: number, error?: ErrorInfo): void {
    const ending = transport;
    send({ action, ...(error && { error }) });
    if (ending) session.dropped(ending);
    ending?.close();
  }

  const session: Session = {
    id,
    owns: (key) => key.replace(/-\d+$/, '') === secret,
    get caller() {
      return caller;
    },
    get live() {
      return transport !== undefined;
    },
    attachments: attachments.held,
    carry(next, as, error) {
      const former = transport;
      if (former) session.dropped(former);
      former?.close();
      world.clearTimeout(timers.state);
      world.clearTimeout(timers.presence);
      transport = next;
      caller = as;
      acknowledgements.renew();
      times++;
      connected(error);
    },
    heard(from, frame) {
      if (from !== transport) return;
      try {
        take(frame);
      } catch (thrown) {
        const { info } = asAblyError(thrown);
        if (frame.channel === undefined) end(ACTION.ERROR, info);
        else send({ action: ACTION.ERROR, channel: frame.channel, error: info });
      }
    },
    dropped(of) {
      if (of !== transport) return;
      transport = undefined;
      tokenLife.stop();
      world.clearTimeout(timers.rate);
      waiting = [];
      attachments.releaseAll();
      after('presence', PRESENCE_GRACE, () => leave());
      after('state', RECOVERY_WINDOW, () => session.end());
    },
    askForToken: () => send({ action: ACTION.AUTH }),
    refuse(error) {
      end(isPassing(error) ? ACTION.DISCONNECTED : ACTION.ERROR, error);
    },
    cut: () => transport?.cut(),
    end() {
      const ending = transport;
      if (ending) session.dropped(ending);
      ending?.cut();
      for (const timer of Object.values(timers)) world.clearTimeout(timer);
      leave();
      events.ended();
    },
  };
  return session;
}

/** The account has published all that it may. */
export const QUOTA: AblyError = new AblyError(40112, 'account restricted (message limits exceeded)', 401);
