/** The words of Ably's realtime protocol: actions, flags and the shapes of what travels. Types and constants only. */

/** What a protocol message asks for or tells (TR2 of Ably's client specification). */
export const ACTION = {
  HEARTBEAT: 0,
  ACK: 1,
  NACK: 2,
  CONNECTED: 4,
  DISCONNECT: 5,
  DISCONNECTED: 6,
  CLOSE: 7,
  CLOSED: 8,
  ERROR: 9,
  ATTACH: 10,
  ATTACHED: 11,
  DETACH: 12,
  DETACHED: 13,
  PRESENCE: 14,
  MESSAGE: 15,
  SYNC: 16,
  AUTH: 17,
} as const;

/** Bits of `flags` (TR3). */
export const FLAG = {
  HAS_PRESENCE: 0x1,
  HAS_BACKLOG: 0x2,
  RESUMED: 0x4,
  ATTACH_RESUME: 0x20,
  PRESENCE: 0x1_0000,
  PUBLISH: 0x2_0000,
  SUBSCRIBE: 0x4_0000,
  PRESENCE_SUBSCRIBE: 0x8_0000,
  ANNOTATION_PUBLISH: 0x20_0000,
} as const;

/**
 * The modes that a channel has when the client asks for none. Annotations are among them at Ably; here they are granted
 * too, and whoever publishes one is told that they are not served.
 */
export const MODES: number =
  FLAG.PRESENCE | FLAG.PUBLISH | FLAG.SUBSCRIBE | FLAG.PRESENCE_SUBSCRIBE | FLAG.ANNOTATION_PUBLISH;

/** Every bit that asks for a mode; those that are not in {@link MODES} (objects, hearing annotations) are never granted. */
export const ALL_MODES: number = 0x03ff0000;

/** What became of a member of a channel (TP2). */
export const PRESENCE = { ABSENT: 0, PRESENT: 1, ENTER: 2, LEAVE: 3, UPDATE: 4 } as const;

export interface ErrorInfo {
  readonly code: number;
  readonly statusCode: number;
  readonly message: string;
  readonly href?: string;
}

/** A message as it travels and as it is kept; binary data is kept as bytes, whatever it came as. */
export interface WireMessage {
  readonly id?: string;
  readonly name?: string;
  readonly data?: unknown;
  readonly encoding?: string;
  readonly clientId?: string;
  readonly connectionId?: string;
  readonly connectionKey?: string;
  readonly timestamp?: number;
  readonly extras?: unknown;
  readonly action?: number;
  readonly serial?: string;
  readonly version?: unknown;
}

export interface WirePresence {
  readonly id?: string;
  readonly action: number;
  readonly clientId?: string;
  readonly connectionId?: string;
  readonly data?: unknown;
  readonly encoding?: string;
  readonly timestamp?: number;
  readonly extras?: unknown;
}

export interface ConnectionDetails {
  readonly clientId?: string;
  readonly connectionKey: string;
  readonly maxMessageSize: number;
  readonly maxFrameSize: number;
  readonly maxInboundRate: number;
  readonly connectionStateTtl: number;
  readonly maxIdleInterval: number;
  readonly serverId: string;
}

/** One frame, in either direction. */
export interface ProtocolMessage {
  readonly action: number;
  readonly id?: string;
  readonly channel?: string;
  readonly channelSerial?: string;
  readonly connectionId?: string;
  readonly connectionDetails?: ConnectionDetails;
  readonly msgSerial?: number;
  readonly count?: number;
  readonly flags?: number;
  readonly params?: Readonly<Record<string, string>>;
  readonly timestamp?: number;
  readonly messages?: readonly WireMessage[];
  readonly presence?: readonly WirePresence[];
  readonly error?: ErrorInfo;
  readonly auth?: { readonly accessToken?: string };
  readonly res?: readonly { readonly serials: readonly (string | null)[] }[];
}
