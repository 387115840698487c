/**
 * What both emulators have in common: how one is started, what it counts, and the switches for faults. Types only.
 *
 * A vendor's emulator adds its own credentials, quotas and actions to these (`PusherEmulator`, `AblyEmulator`).
 */
import type { World } from '../contract.js';

/** Clock, timers and randomness. A test puts in its own, so that a day passes without waiting for it. */
export type EmulatorWorld = Pick<World, 'now' | 'monotonic' | 'setTimeout' | 'clearTimeout' | 'random'>;

export interface EmulatorOptions {
  /** The TCP port. Default 0: any that is free; `stop` and `start` keep it. */
  readonly port?: number;
  /** The address to listen on. Default `127.0.0.1`: this machine only. */
  readonly host?: string;
  /** Faults from the start on. Default: none. */
  readonly faults?: Partial<FaultSettings>;
  /** Default: the real ones. */
  readonly world?: EmulatorWorld;
}

/** How somebody who comes is refused: `reset`: the TCP connection is cut; `silent`: taken, and never answered. */
export type Refusal = 'reset' | 'silent';

/** What stands until it is changed. */
export interface FaultSettings {
  /**
   * What becomes of new realtime connections. A number: opened, and closed with this code of the vendor's (Pusher: the
   * WebSocket close code; Ably: the code of an ERROR or DISCONNECTED). `null`: they are served.
   */
  readonly connections: Refusal | number | null;
  /** What becomes of REST requests: `retryAfter` in seconds, as a header. `null`: they are served. */
  readonly requests: Refusal | { readonly status: number; readonly retryAfter?: number } | null;
  /** How long each frame and each REST answer waits, in milliseconds; the order stays. 0: not at all. */
  readonly delay: number;
  /** How many of the next messages are lost on their way, one for each connection that would get it. */
  readonly drop: number;
  /** `drop` counts only messages on channels whose name contains this text. Empty: on all. */
  readonly dropOn: string;
  /** Connections that stand say nothing and hear nothing any more, without being closed: half-open. */
  readonly silent: boolean;
  /** The account's quota is used up: as the vendor answers then, to publishers and to new connections. */
  readonly quota: boolean;
}

/** Nothing is wrong. */
export const NO_FAULTS: FaultSettings = {
  connections: null,
  requests: null,
  delay: 0,
  drop: 0,
  dropOn: '',
  silent: false,
  quota: false,
};

export interface Faults {
  /** What is in force; `drop` counts down. */
  readonly now: FaultSettings;
  /** Changes some of them. @throws TypeError that names the field and what it may be. */
  set(change: Partial<FaultSettings>): void;
  /** Back to {@link NO_FAULTS}. */
  clear(): void;
}

/** For tests, and for `GET /__faults`. */
export interface EmulatorCounters {
  /** Realtime connections that are open now. */
  readonly connections: number;
  /** Realtime connections opened since the start. */
  readonly connected: number;
  /** Channel subscriptions that stand now, of all connections. */
  readonly subscriptions: number;
  /** Messages accepted since the start, from REST and from connections; one for each channel. */
  readonly published: number;
  /** Messages sent to connections since the start; those that a fault dropped are not counted. */
  readonly delivered: number;
  /** Messages that `drop` took. */
  readonly dropped: number;
  /** REST requests since the start, refused ones included; the control route is not counted. */
  readonly requests: number;
}

export interface Emulator {
  readonly port: number;
  /** `http://host:port`. */
  readonly url: string;
  /** The constants with which an application reaches it: `notify-listen`'s own, and the vendor's. */
  readonly env: Readonly<Record<string, string>>;
  readonly faults: Faults;
  /** A copy, taken when it is read. */
  readonly counters: EmulatorCounters;
  /** Closes every connection in the vendor's way with this code; who comes back is served. Returns how many. */
  closeAll(code: number): number;
  /** As if the process were killed: connections are cut, and nobody listens on the port. */
  stop(): Promise<void>;
  /** Listens again, on the same port. What was subscribed is gone. */
  start(): Promise<void>;
  /** Ends it for good. */
  close(): Promise<void>;
}
