/** The connection that calls go over: opened by the first one that needs it, given up as soon as it is of no use. */
import { createHash } from 'node:crypto';
import type { Script } from './scripts.js';

export type Argument = string | number;
export type RedisCommand = readonly [name: string, ...args: Argument[]];

/** One connection of the client library, which neither queues nor repeats anything by itself. */
export interface RedisConnection {
  /** Resolves when it can be used. */
  readonly ready: Promise<void>;
  /** Resolves when it is over, for whatever reason. */
  readonly ended: Promise<void>;
  call(command: string, args: readonly Argument[]): Promise<unknown>;
  /** Sends them together, and resolves with their answers. One that is an error makes it reject. */
  all(commands: readonly RedisCommand[]): Promise<readonly unknown[]>;
  /** Resolves when it hears these channels. */
  subscribe(channels: readonly string[], heard: (channel: string) => void): Promise<void>;
  /** Ends it at once, without telling the other side. */
  destroy(): void;
}

export interface RedisLink {
  /** Runs a script. Rejects with the server's error or the connection's. */
  run(script: Script, ...args: readonly Argument[]): Promise<unknown>;
  /** Sends commands and then a script together, and resolves with all answers, the script's at the end. */
  runAfter(
    commands: readonly RedisCommand[],
    script: Script,
    ...args: readonly Argument[]
  ): Promise<readonly unknown[]>;
  call(command: string, ...args: readonly Argument[]): Promise<unknown>;
  /** Ends the connection; the next call opens another one. */
  drop(): void;
  /** Ends it for good: calls reject. */
  close(): void;
}

/** What a server says that is not, or is no longer, the one to ask: another connection may lead to the one that is. */
const ELSEWHERE = /^(READONLY|LOADING|MASTERDOWN|CLUSTERDOWN|MOVED|ASK|NOAUTH|TRYAGAIN)\b/;

export function createLink(connect: () => RedisConnection): RedisLink {
  let current: RedisConnection | undefined;
  let closed = false;
  const hashes = new Map<Script, string>();

  function opened(): RedisConnection {
    if (current) return current;
    const made = connect();
    current = made;
    void made.ended.then(() => {
      if (current === made) current = undefined;
    });
    return made;
  }

  function giveUp(connection: RedisConnection): void {
    connection.destroy();
    if (current === connection) current = undefined;
  }

  async function use<T>(act: (connection: RedisConnection) => Promise<T>): Promise<T> {
    if (closed) throw new Error('the redis log is closed');
    const connection = opened();
    try {
      await connection.ready;
      return await act(connection);
    } catch (error) {
      if (!isReply(error) || ELSEWHERE.test(error.message)) giveUp(connection);
      throw error;
    }
  }

  /** By its hash, or, where the server restarted or never had it, by its text. */
  async function known<T>(
    script: Script,
    args: readonly Argument[],
    send: (command: RedisCommand) => Promise<T>,
  ): Promise<T> {
    let hash = hashes.get(script);
    if (hash === undefined) {
      hash = createHash('sha1').update(script.text).digest('hex');
      hashes.set(script, hash);
    }
    try {
      return await send(['EVALSHA', hash, script.keys, ...args]);
    } catch (error) {
      if (!isReply(error) || !error.message.startsWith('NOSCRIPT')) throw error;
      return send(['EVAL', script.text, script.keys, ...args]);
    }
  }

  return {
    call: (command, ...args) => use((connection) => connection.call(command, args)),
    run: (script, ...args) =>
      known(script, args, ([name, ...rest]) => use((connection) => connection.call(name, rest))),
    runAfter: (commands, script, ...args) =>
      known(script, args, (last) => use((connection) => connection.all([...commands, last]))),
    drop() {
      if (current) giveUp(current);
    },
    close() {
      closed = true;
      if (current) giveUp(current);
    },
  };
}

/** The server answered, with an error. */
function isReply(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}
