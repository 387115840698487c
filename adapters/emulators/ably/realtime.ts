/** The WebSocket side: who comes is checked, gets a connection or the one it had, and its frames are read. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { EmulatorWorld } from '../emulator.js';
import type { FaultControl } from '../faults.js';
import { createLink } from '../link.js';
import type { Authenticate, Caller } from './auth.js';
import { readCredentials } from './auth.js';
import { AblyError, asAblyError, isPassing } from './errors.js';
import { ACTION, type ErrorInfo } from './protocol.js';
import { createSession, MAX_FRAME_SIZE, MAX_IDLE, type Session, type Transport } from './session.js';
import { decodeFrame, encodeFrame, type Format } from './wire.js';

export interface RealtimeOptions {
  readonly world: EmulatorWorld;
  readonly faults: FaultControl;
  readonly authenticate: Authenticate;
  readonly count: { connected: number; published: number; delivered: number };
}

export interface Realtime {
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Everything that can be resumed, live or not. */
  readonly sessions: ReadonlyMap<string, Session>;
  connectionOf(caller: Caller, key: string): { readonly id: string; readonly clientId: string | undefined } | undefined;
  /** Forgets every connection; their sockets are cut. */
  clear(): void;
}

/** An account has reached its most connections at a time. */
export const TOO_MANY: AblyError = new AblyError(40111, 'account restricted (connection limits exceeded)', 403);
const TOO_FAST = new AblyError(
  80021,
  'Maximum account-wide instantaneous connections rate exceeded; metric = connections.maxRate',
  429,
);

/** An error by its code alone, as a fault or `closeAll` names it. */
export const faultError = (code: number): ErrorInfo => new AblyError(code, 'a fault of the emulator').info;

export function createRealtime({ world, faults, authenticate, count }: RealtimeOptions): Realtime {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_FRAME_SIZE, autoPong: false });
  const sessions = new Map<string, Session>();

  const connectionOf: Realtime['connectionOf'] = (caller, key) => {
    const found = sessions.get(key.split('!')[0] ?? '');
    if (!found?.owns(key) || found.caller.app !== caller.app) return undefined;
    return { id: found.id, clientId: found.caller.clientId };
  };

  /** The connection that is asked for, or a new one and why. */
  function open(caller: Caller, key: string | null): readonly [session: Session, error?: ErrorInfo] {
    const made = (error?: AblyError): readonly [Session, ErrorInfo?] => {
      const session: Session = createSession({
        caller,
        world,
        authenticate,
        events: {
          published: () => void count.published++,
          delivered: () => void count.delivered++,
          ended: () => sessions.delete(session.id),
          quota: () => faults.now.quota,
          connectionOf,
        },
      });
      sessions.set(session.id, session);
      return error ? [session, error.info] : [session];
    };
    if (key === null) return made();
    if (!/^[A-Za-z0-9]{10}![A-Za-z0-9]{16}-\d+$/.test(key))
      return made(new AblyError(80018, 'invalid connection key', 400));
    const found = sessions.get(key.slice(0, 10));
    if (!found?.owns(key)) return made(new AblyError(80005, 'the connection is no longer available', 404));
    const isOther = found.caller.app !== caller.app || found.caller.clientId !== caller.clientId;
    return isOther ? made(new AblyError(80011, 'the connection was that of another client', 400)) : [found];
  }

  function accept(socket: WebSocket, query: URLSearchParams): void {
    const format: Format = query.get('format') === 'msgpack' ? 'msgpack' : 'json';
    let beat: unknown;
    let session: Session | undefined;
    const link = createLink(
      socket,
      { world, faults },
      {
        heard(data) {
          try {
            session?.heard(transport, decodeFrame(format, data));
          } catch (thrown) {
            session?.refuse(asAblyError(thrown).info);
          }
        },
        alive: () => {},
        closed() {
          world.clearTimeout(beat);
          session?.dropped(transport);
        },
      },
    );
    const transport: Transport = {
      format,
      echo: query.get('echo') !== 'false',
      send: link.send,
      message: link.message,
      close: () => link.close(1000, ''),
      cut: link.cut,
    };
    try {
      const code = faults.now.connections;
      if (typeof code === 'number') throw new AblyError(code, 'a fault of the emulator');
      if (faults.now.quota) throw TOO_MANY;
      const caller = authenticate(readCredentials(undefined, query));
      const { limits, connects } = caller.app;
      if (!connects.take()) throw TOO_FAST;
      const [found, error] = open(caller, query.get('resume') ?? query.get('recover'));
      const live = [...sessions.values()].filter((each) => each.live && each.caller.app === caller.app).length;
      if (!found.live && live >= limits.connections) {
        if (error || !query.has('resume')) found.end();
        throw TOO_MANY;
      }
      session = found;
      count.connected++;
      session.carry(transport, caller, error);
    } catch (thrown) {
      const { info } = asAblyError(thrown);
      link.send(
        encodeFrame(format, {
          action: isPassing(info) && typeof faults.now.connections === 'number' ? ACTION.DISCONNECTED : ACTION.ERROR,
          error: info,
        }),
      );
      return void link.close(1000, '');
    }
    const isBrowser = query.get('heartbeats') === 'true';
    const tick = (): void => {
      // Clients that see WebSocket pings need no frame of their own.
      if (isBrowser) link.send(encodeFrame(format, { action: ACTION.HEARTBEAT }));
      else if (!link.silent && socket.readyState === socket.OPEN) socket.ping();
      beat = world.setTimeout(tick, MAX_IDLE);
    };
    beat = world.setTimeout(tick, MAX_IDLE);
  }

  return {
    sessions,
    connectionOf,
    upgrade(request, socket, head) {
      const { connections } = faults.now;
      if (connections === 'reset') return void socket.destroy();
      if (connections === 'silent') return;
      const { pathname, searchParams } = new URL(request.url ?? '/', 'http://emulator');
      if (pathname !== '/') return void socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n');
      sockets.handleUpgrade(request, socket, head, (opened) => accept(opened, searchParams));
    },
    clear() {
      for (const session of [...sessions.values()]) session.end();
    },
  };
}
