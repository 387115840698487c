/** What the client half uses of Ably's SDK: the same in its modular build and in the one for Node. Types only. */

export interface AblyError {
  readonly code: number;
  readonly statusCode: number;
  readonly message: string;
}

/** Of a connection or a channel. Where both states are the same one it is an `update`: news about a state that stays. */
export interface StateChange {
  readonly current: string;
  readonly previous: string;
  readonly reason?: AblyError | undefined;
  /** Of a channel that became attached: nothing was lost since it was attached before. */
  readonly resumed?: boolean | undefined;
}

export interface AblyChannel {
  readonly state: string;
  on(listener: (change: StateChange) => void): void;
  off(listener: (change: StateChange) => void): void;
  subscribe(listener: (message: { readonly data?: unknown }) => void): Promise<unknown>;
  unsubscribe(listener: (message: { readonly data?: unknown }) => void): void;
  attach(): Promise<unknown>;
  detach(): Promise<void>;
}

export interface AblyClient {
  readonly connection: {
    readonly id?: string | undefined;
    readonly state: string;
    on(listener: (change: StateChange) => void): void;
    off(listener: (change: StateChange) => void): void;
  };
  readonly channels: {
    get(name: string, options: { attachOnSubscribe: false }): AblyChannel;
    release(name: string): void;
  };
  /** Gets another token and uses it: in place when connected, else by connecting, whatever the state was. */
  readonly auth: { authorize(): Promise<unknown> };
  /** Tries at once. */
  connect(): void;
  close(): void;
}

/** Gives the SDK a token request, or an error. */
export type TokenSource = (callback: (error: string | null, tokenRequest: TokenRequest | null) => void) => void;

/** As our server signed it; the SDK passes it on to Ably. */
export interface TokenRequest {
  readonly keyName: string;
  readonly capability: string;
  readonly timestamp: number;
  readonly nonce: string;
  readonly mac: string;
  readonly clientId?: string;
  readonly ttl?: number;
}
